//! Channels of several tensors side by side, and images as rows.

use candle_core::{D, Result, Tensor};

use super::host::{self, Kernel, Real};
use super::{Operation, Value, apply};
use crate::kernel::concat as kernel;

/// `…×C₁`, `…×C₂` and so on as `…×(C₁ + C₂ + …)`.
pub fn concat(parts: &[impl AsRef<Tensor>]) -> Result<Tensor> {
    match parts {
        [part] => Ok(part.as_ref().clone()),
        // An operation takes three arguments.
        [a, b, c, rest @ ..] if !rest.is_empty() => {
            let head = apply(Concat, &[a.as_ref(), b.as_ref(), c.as_ref()])?;
            let rest = std::iter::once(head).chain(rest.iter().map(|part| part.as_ref().clone()));
            concat(&rest.collect::<Vec<_>>())
        }
        _ => apply(Concat, &parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
    }
}

/// `N×H×W×C` as `N×(C·H·W)`: channels slowest, as PyTorch has them.
pub fn flatten(x: &Tensor) -> Result<Tensor> {
    apply(Flatten, &[x])
}

struct Concat;

impl Operation for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        fn on_host<T: Real>(args: &[Tensor], channels: &[usize]) -> Result<Value> {
            let parts: Vec<&Tensor> = args.iter().collect();
            let y = host::read(&parts, |slices| kernel::concat::<T>(slices, channels))?;
            let mut dims = args[0].dims().to_vec();
            dims[args[0].rank() - 1] = channels.iter().sum();
            Ok(host::value(y, dims))
        }
        let channels = args.iter().map(|arg| arg.dim(D::Minus1)).collect::<Result<Vec<_>>>()?;
        match Kernel::of(&args[0]) {
            Kernel::Single => on_host::<f32>(args, &channels),
            Kernel::Double => on_host::<f64>(args, &channels),
            Kernel::Device(_) | Kernel::None => Ok(Value::Tensor(Tensor::cat(args, D::Minus1)?)),
        }
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        fn on_host<T: Real>(grad: &Tensor, total: usize, first: usize, like: &Tensor) -> Result<Tensor> {
            let count = like.dim(D::Minus1)?;
            let part = host::read(&[grad], |slices| kernel::narrow::<T>(slices[0], total, first, count))?;
            host::tensor(part, like.shape(), like)
        }
        let (mut first, total) = (0, grad.dim(D::Minus1)?);
        let mut grads = Vec::with_capacity(args.len());
        for arg in args {
            let part = |first: usize| match Kernel::of(grad) {
                Kernel::Single => on_host::<f32>(grad, total, first, arg),
                Kernel::Double => on_host::<f64>(grad, total, first, arg),
                Kernel::Device(_) | Kernel::None => grad.narrow(D::Minus1, first, arg.dim(D::Minus1)?)?.contiguous(),
            };
            grads.push(arg.track_op().then(|| part(first)).transpose()?);
            first += arg.dim(D::Minus1)?;
        }
        Ok(grads)
    }
}

struct Flatten;

impl Operation for Flatten {
    fn name(&self) -> &'static str {
        "flatten"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        Ok(Value::Tensor(args[0].permute((0, 3, 1, 2))?.flatten_from(1)?))
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (batch, height, width, channels) = args[0].dims4()?;
        let grad = grad.reshape((batch, channels, height, width))?.permute((0, 2, 3, 1))?.contiguous()?;
        Ok(vec![Some(grad)])
    }
}

#[cfg(test)]
mod tests {
    use super::{concat, flatten};
    use crate::nn::op::check::{self, random};
    use candle_core::{Device, Result, Tensor, Var};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn gradients_are_those_of_finite_differences(
            channels in proptest::collection::vec(1usize..7, 1..6), height in 1usize..5, width in 1usize..5,
        ) {
            let part = |(i, &channels): (usize, &usize)| random(&[2, height, width, channels], i as u64);
            let parts: Vec<Tensor> = channels.iter().enumerate().map(part).collect();
            check::gradients(&parts, |parts| flatten(&concat(parts)?));
        }
    }

    #[test]
    fn four_parts_are_put_together_and_their_gradients_taken_apart() -> Result<()> {
        let part = |channels: usize| Var::randn(0f32, 1.0, (2, 3, 3, channels), &Device::Cpu);
        let parts = [part(1)?, part(2)?, part(3)?, part(4)?];
        let tensors: Vec<Tensor> = parts.iter().map(|part| part.as_tensor().clone()).collect();
        let stock = Tensor::cat(&tensors, 3)?;
        let weight = stock.detach().randn_like(0.0, 1.0)?;
        let ours = concat(&tensors)?;
        assert_eq!(flatten(&ours.detach())?.to_vec2::<f32>()?, flatten(&stock.detach())?.to_vec2::<f32>()?);
        let ours = (ours * &weight)?.sum_all()?.backward()?;
        let theirs = (stock * &weight)?.sum_all()?.backward()?;
        let flat = |grads: &candle_core::backprop::GradStore, part: &Var| -> Result<Vec<f32>> {
            grads.get(part).map_or(Ok(Vec::new()), |grad| grad.flatten_all()?.to_vec1())
        };
        for part in &parts {
            assert_eq!(flat(&ours, part)?, flat(&theirs, part)?);
            assert_eq!(flat(&ours, part)?.len(), part.elem_count());
        }
        Ok(())
    }
}
