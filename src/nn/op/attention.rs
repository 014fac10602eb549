//! Self-attention between the layer that gives queries, keys and values and the layer behind the heads.

use candle_core::{D, Result, Tensor};

use super::host::{self, Kernel, Real};
use super::{Operation, Value, apply};
use crate::kernel::attention as kernel;
use crate::kernel::elementary::Elementary;

/// `softmax(Q Kᵀ/√D) V` of each of `heads` heads, `N×T×(heads·D)`, of `qkv`, `N×T×(3·heads·D)` with queries, keys and values of all heads in
/// this order; if `causal`, a token sees itself and those before it only.
pub fn attention(qkv: &Tensor, heads: usize, causal: bool) -> Result<Tensor> {
    let (_, _, channels) = qkv.dims3()?;
    if heads == 0 || !channels.is_multiple_of(3 * heads) {
        candle_core::bail!("attention: {channels} channels are not queries, keys and values of {heads} heads")
    }
    apply(Attention { heads, causal }, &[qkv])
}

struct Attention {
    heads: usize,
    causal: bool,
}

impl Attention {
    fn shape(&self, qkv: &Tensor) -> Result<kernel::Shape> {
        let (batch, tokens, channels) = qkv.dims3()?;
        let width = channels / (3 * self.heads);
        Ok(kernel::Shape { batch, tokens, heads: self.heads, width, causal: self.causal })
    }

    fn on_host<T: Real + Elementary>(&self, qkv: &Tensor) -> Result<Value> {
        let shape = self.shape(qkv)?;
        let out = host::read(&[qkv], |slices| kernel::forward::<T>(&shape, slices[0]))?;
        Ok(host::value(out, (shape.batch, shape.tokens, shape.heads * shape.width)))
    }

    fn host_backward<T: Real + Elementary>(&self, qkv: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let shape = self.shape(qkv)?;
        let grads = host::read(&[qkv, grad], |slices| kernel::backward::<T>(&shape, slices[0], slices[1]))?;
        host::tensor(grads, qkv.shape(), qkv)
    }

    /// Queries divided by √D, keys and values, N×heads×T×D each, and the weights, N×heads×T×T.
    fn portable_parts(&self, qkv: &Tensor) -> Result<[Tensor; 4]> {
        let shape = self.shape(qkv)?;
        let qkv = qkv.reshape((shape.batch, shape.tokens, 3, shape.heads, shape.width))?;
        let part = |which| qkv.narrow(2, which, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (queries, keys, values) = ((part(0)? / (shape.width as f64).sqrt())?, part(1)?, part(2)?);
        let mut scores = queries.matmul(&keys.transpose(2, 3)?.contiguous()?)?;
        if self.causal {
            scores = scores.broadcast_add(&future(shape.tokens, &scores)?)?;
        }
        let exp = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let weights = exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)?;
        Ok([queries, keys, values, weights])
    }

    fn portable(&self, qkv: &Tensor) -> Result<Tensor> {
        let [_, _, values, weights] = self.portable_parts(qkv)?;
        weights.matmul(&values)?.transpose(1, 2)?.flatten_from(2)
    }

    fn portable_backward(&self, qkv: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let shape = self.shape(qkv)?;
        let [queries, keys, values, weights] = self.portable_parts(qkv)?;
        let grad =
            grad.reshape((shape.batch, shape.tokens, shape.heads, shape.width))?.transpose(1, 2)?.contiguous()?;
        let turned = |x: &Tensor| x.transpose(2, 3)?.contiguous();
        let by_values = turned(&weights)?.matmul(&grad)?;
        let by_weights = grad.matmul(&turned(&values)?)?;
        let inner = (&weights * &by_weights)?.sum_keepdim(D::Minus1)?;
        let by_scores = (&weights * by_weights.broadcast_sub(&inner)?)?;
        let by_queries = (by_scores.matmul(&keys)? / (shape.width as f64).sqrt())?;
        let by_keys = turned(&by_scores)?.matmul(&queries)?;
        let parts = [by_queries, by_keys, by_values].map(|part| part.transpose(1, 2)?.contiguous());
        let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
        Tensor::stack(&parts, 2)?.reshape(qkv.shape())
    }
}

/// T×T, −∞ where the column comes after the row and zero elsewhere.
fn future(tokens: usize, like: &Tensor) -> Result<Tensor> {
    let mask = |i: usize| if i % tokens > i / tokens { f64::NEG_INFINITY } else { 0.0 };
    let mask: Vec<f64> = (0..tokens * tokens).map(mask).collect();
    Tensor::from_vec(mask, (tokens, tokens), like.device())?.to_dtype(like.dtype())
}

impl Operation for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match Kernel::of(&args[0]) {
            Kernel::Single => self.on_host::<f32>(&args[0]),
            Kernel::Double => self.on_host::<f64>(&args[0]),
            Kernel::Device(_) | Kernel::None => Ok(Value::Tensor(self.portable(&args[0])?)),
        }
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let qkv = args[0].detach();
        Ok(vec![Some(match Kernel::of(&qkv) {
            Kernel::Single => self.host_backward::<f32>(&qkv, grad)?,
            Kernel::Double => self.host_backward::<f64>(&qkv, grad)?,
            Kernel::Device(_) | Kernel::None => self.portable_backward(&qkv, grad)?,
        })])
    }
}

#[cfg(test)]
mod tests {
    use super::{Attention, Value, attention};
    use crate::nn::op::check::{self, random, values};
    use candle_core::{DType, Tensor};
    use proptest::prelude::*;

    fn doubles(x: &Tensor) -> Vec<f64> {
        values(&x.to_dtype(DType::F64).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// Over several blocks of queries.
        #[test]
        fn the_kernel_agrees_with_candle_operations(
            batch in 1usize..3, tokens in 1usize..150, heads in 1usize..4, width in 1usize..9, causal: bool,
        ) {
            let operation = Attention { heads, causal };
            let (qkv, grad) = (random(&[batch, tokens, 3 * heads * width], 1), random(&[batch, tokens, heads * width], 2));
            let Value::Host(ours, _) = operation.on_host::<f64>(&qkv).unwrap() else { panic!("not a kernel's value") };
            prop_assert!(check::close(ours.as_slice::<f64>().unwrap(), &values(&operation.portable(&qkv).unwrap()), 1e-11));
            let theirs = values(&operation.portable_backward(&qkv, &grad).unwrap());
            let ours = operation.host_backward::<f64>(&qkv, &grad).unwrap();
            prop_assert!(check::close(&values(&ours), &theirs, 1e-10));
            let [qkv, grad] = [&qkv, &grad].map(|x| x.to_dtype(DType::F32).unwrap());
            let ours = operation.host_backward::<f32>(&qkv, &grad).unwrap();
            prop_assert!(check::close(&doubles(&ours), &theirs, 1e-4));
            // Control: with the mask the other way round all but the first token sees something else.
            if tokens > 1 {
                let other = Attention { heads, causal: !causal }.portable_backward(&qkv, &grad).unwrap();
                prop_assert!(!check::close(&doubles(&other), &theirs, 1e-4));
            }
        }

        #[test]
        fn gradients_are_those_of_finite_differences(tokens in 1usize..5, heads in 1usize..3, width in 1usize..4, causal: bool) {
            check::gradients(&[random(&[2, tokens, 3 * heads * width], 1)], |args| attention(&args[0], heads, causal));
        }
    }

    #[test]
    fn channels_that_are_no_heads_are_refused() {
        let error = attention(&random(&[1, 2, 8], 1), 2, false).unwrap_err().to_string();
        assert!(error.contains("8 channels are not queries, keys and values of 2 heads"), "{error}");
    }
}
