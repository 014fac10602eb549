//! Layer normalisation over the last axis (Ba et al. 2016); candle's own drops the gradient.

use std::sync::{Mutex, PoisonError};

use candle_core::{D, Error, Result, Tensor};

use super::host::{self, Kernel, Real};
use super::{Operation, Value, apply};
use crate::device::{Gpu, norm as device};
use crate::kernel::layer_norm as kernel;

/// `γ·(x − mean)/√(variance + ε) + β`, each row along the last axis of `x`, `…×C`, by its own biased moments.
pub fn layer_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, epsilon: f64) -> Result<Tensor> {
    apply(LayerNorm { epsilon, moments: Mutex::default() }, &[x, gamma, beta])
}

struct LayerNorm {
    epsilon: f64,
    /// Means and inverse deviations of the rows, left by a device's forward pass for its backward pass.
    moments: Mutex<Option<[Tensor; 2]>>,
}

impl LayerNorm {
    fn on_host<T: Real>(&self, args: &[Tensor]) -> Result<Value> {
        let y = host::read(&[&args[0], &args[1], &args[2]], |slices| {
            kernel::forward::<T>(slices[0], slices[1], slices[2], self.epsilon)
        })?;
        Ok(host::value(y, args[0].shape()))
    }

    fn host_backward<T: Real>(&self, x: &Tensor, gamma: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        let [dx, dgamma, dbeta] = host::read(&[x, gamma, grad], |slices| {
            kernel::backward::<T>(slices[0], slices[1], self.epsilon, slices[2])
        })?;
        let vector = |values| host::tensor(values, gamma.shape(), x);
        Ok([host::tensor(dx, x.shape(), x)?, vector(dgamma)?, vector(dbeta)?])
    }

    fn on_device(&self, gpu: &Gpu, args: &[Tensor]) -> Result<Value> {
        let (y, moments) = device::layer_norm(gpu, &args[0], [&args[1], &args[2]], self.epsilon)?;
        *self.moments.lock().unwrap_or_else(PoisonError::into_inner) = Some(moments);
        Ok(Value::Device(y))
    }

    fn device_backward(&self, gpu: &Gpu, x: &Tensor, gamma: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        let moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let moments = moments.ok_or_else(|| Error::Msg("layer-norm: no moments before the forward pass".into()))?;
        device::layer_gradients(gpu, x, moments.each_ref(), gamma, grad)
    }

    fn portable(&self, args: &[Tensor]) -> Result<Tensor> {
        let (normed, _) = self.normalise(&args[0])?;
        normed.broadcast_mul(&args[1])?.broadcast_add(&args[2])
    }

    fn portable_backward(&self, x: &Tensor, gamma: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        let (normed, inverse) = self.normalise(x)?;
        let scaled = grad.broadcast_mul(gamma)?;
        let pull = scaled.mean_keepdim(D::Minus1)?;
        let lean = normed.broadcast_mul(&(&scaled * &normed)?.mean_keepdim(D::Minus1)?)?;
        let dx = (scaled.broadcast_sub(&pull)? - lean)?.broadcast_mul(&inverse)?;
        let over_rows = |x: &Tensor| x.reshape(((), gamma.elem_count()))?.sum(0);
        Ok([dx, over_rows(&(grad * &normed)?)?, over_rows(grad)?])
    }

    /// `x̂`, and 1/√(variance + ε) of each row.
    fn normalise(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let inverse = (centred.sqr()?.mean_keepdim(D::Minus1)? + self.epsilon)?.sqrt()?.recip()?;
        Ok((centred.broadcast_mul(&inverse)?, inverse))
    }
}

impl Operation for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match Kernel::of(&args[0]) {
            Kernel::Single => self.on_host::<f32>(args),
            Kernel::Double => self.on_host::<f64>(args),
            Kernel::Device(gpu) => self.on_device(&gpu, args),
            Kernel::None => Ok(Value::Tensor(self.portable(args)?)),
        }
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, gamma) = (args[0].detach(), args[1].detach());
        let grads = match Kernel::of(&x) {
            Kernel::Single => self.host_backward::<f32>(&x, &gamma, grad)?,
            Kernel::Double => self.host_backward::<f64>(&x, &gamma, grad)?,
            Kernel::Device(gpu) => self.device_backward(&gpu, &x, &gamma, grad)?,
            Kernel::None => self.portable_backward(&x, &gamma, grad)?,
        };
        Ok(grads.into_iter().zip(args).map(|(grad, arg)| arg.track_op().then_some(grad)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{LayerNorm, Value, layer_norm};
    use crate::nn::op::check::{self, random, values};
    use candle_core::D;
    use proptest::prelude::*;
    use std::sync::Mutex;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_kernel_agrees_with_candle_operations(rows in 1usize..200, columns in 2usize..40) {
            let operation = LayerNorm { epsilon: 1e-6, moments: Mutex::default() };
            let args = [random(&[rows, columns], 1), random(&[columns], 2), random(&[columns], 3)];
            let Value::Host(ours, _) = operation.on_host::<f64>(&args).unwrap() else { panic!("not a kernel's value") };
            let theirs = values(&operation.portable(&args).unwrap());
            prop_assert!(check::close(ours.as_slice::<f64>().unwrap(), &theirs, 1e-10));
            let grad = random(&[rows, columns], 4);
            let ours = operation.host_backward::<f64>(&args[0], &args[1], &grad).unwrap();
            let theirs = operation.portable_backward(&args[0], &args[1], &grad).unwrap();
            for (ours, theirs) in ours.iter().zip(&theirs) {
                prop_assert!(check::close(&values(ours), &values(theirs), 1e-8));
            }
        }

        #[test]
        fn gradients_are_those_of_finite_differences(rows in 1usize..5, columns in 2usize..9) {
            let args = [random(&[2, rows, columns], 1), random(&[columns], 2), random(&[columns], 3)];
            check::gradients(&args, |args| layer_norm(&args[0], &args[1], &args[2], 1e-2));
        }
    }

    /// The control: a gradient that takes the mean for a constant must fail where ours passes.
    #[test]
    #[should_panic(expected = "argument 0")]
    fn a_mean_without_gradient_fails_the_same_check() {
        let args = [random(&[3, 4], 1), random(&[4], 2), random(&[4], 3)];
        check::gradients(&args, |args| {
            let mean = args[0].mean_keepdim(D::Minus1)?.detach();
            layer_norm(&args[0].broadcast_sub(&mean)?, &args[1], &args[2], 1e-2)?.broadcast_mul(&mean)
        });
    }
}
