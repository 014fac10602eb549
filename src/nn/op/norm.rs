//! Batch normalisation in training: batch statistics over all axes but the last.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Error, Result, Tensor};

use super::host::{self, Kernel, Real};
use super::relu::gate;
use super::{Operation, Value, apply};
use crate::device::Gpu;
use crate::device::norm as device;
use crate::kernel::norm::{self as kernel, Moments};

/// Mean and biased variance of a batch, one number a channel.
#[derive(Debug, Clone)]
pub struct Statistics {
    pub mean: Tensor,
    pub variance: Tensor,
}

/// `γ·(x − mean)/√(variance + ε) + β`, no less than zero if `rectified`, with the statistics of the batch, which are returned too.
/// `x` is `…×C`.
pub fn batch_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
    rectified: bool,
) -> Result<(Tensor, Statistics)> {
    let saved = Arc::new(Mutex::new(None));
    let y = apply(BatchNorm { epsilon, rectified, saved: saved.clone() }, &[x, gamma, beta])?;
    Ok((y, read(&saved)?))
}

/// `(x − mean) · scale + shift`, channel by channel, no less than zero if `rectified`: detached.
pub fn affine(x: &Tensor, [mean, scale, shift]: [&Tensor; 3], rectified: bool) -> Result<Tensor> {
    fn on_host<T: Real>(args: [&Tensor; 4], rectified: bool) -> Result<Tensor> {
        let of = |slices: &[&[T]]| kernel::affine(slices[0], [slices[1], slices[2], slices[3]], rectified);
        host::tensor(host::read(&args, of)?, args[0].shape(), args[0])
    }
    match Kernel::of(x) {
        Kernel::Single => on_host::<f32>([x, mean, scale, shift], rectified),
        Kernel::Double => on_host::<f64>([x, mean, scale, shift], rectified),
        Kernel::Device(gpu) => Ok(device::affine(&gpu, x, [mean, scale, shift], rectified)?.tensor()),
        Kernel::None => {
            let y = x.detach().broadcast_sub(mean)?.broadcast_mul(scale)?.broadcast_add(shift)?;
            if rectified { y.relu() } else { Ok(y) }
        }
    }
}

struct BatchNorm {
    epsilon: f64,
    rectified: bool,
    /// Written by the forward pass, read by the backward pass.
    saved: Arc<Mutex<Option<Statistics>>>,
}

impl BatchNorm {
    fn save(&self, mean: Tensor, variance: Tensor) {
        *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(Statistics { mean, variance });
    }

    fn on_host<T: Real>(&self, args: &[Tensor]) -> Result<Value> {
        let (x, gamma, beta) = (&args[0], &args[1], &args[2]);
        let (y, Moments { mean, variance }) = host::read(&[x, gamma, beta], |slices| {
            let moments = kernel::moments::<T>(slices[0], slices[1].len());
            (kernel::forward(slices[0], &moments, slices[1], slices[2], self.epsilon, self.rectified), moments)
        })?;
        self.save(host::tensor(mean, gamma.shape(), x)?, host::tensor(variance, gamma.shape(), x)?);
        Ok(host::value(y, x.shape()))
    }

    fn host_backward<T: Real>(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<[Tensor; 3]> {
        let statistics = read(&self.saved)?;
        let moments = Moments { mean: statistics.mean.to_vec1::<T>()?, variance: statistics.variance.to_vec1::<T>()? };
        let [dx, dgamma, dbeta] = host::read(&[x, gamma, grad, output], |slices| {
            let rectified = self.rectified.then_some(slices[3]);
            kernel::backward::<T>(slices[0], &moments, slices[1], self.epsilon, slices[2], rectified)
        })?;
        Ok([
            host::tensor(dx, x.shape(), x)?,
            host::tensor(dgamma, gamma.shape(), x)?,
            host::tensor(dbeta, gamma.shape(), x)?,
        ])
    }

    fn on_device(&self, gpu: &Gpu, args: &[Tensor]) -> Result<Value> {
        let (x, gamma, beta) = (&args[0], &args[1], &args[2]);
        let device::Moments { mean, variance, factor } = device::moments(gpu, x, gamma, self.epsilon)?;
        let y = device::affine(gpu, x, [&mean, &factor, beta], self.rectified)?;
        self.save(mean, variance);
        Ok(Value::Device(y))
    }

    fn device_backward(
        &self,
        gpu: &Gpu,
        x: &Tensor,
        gamma: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<[Tensor; 3]> {
        let Statistics { mean, variance } = read(&self.saved)?;
        let rectified = self.rectified.then_some(output);
        device::batch_gradients(gpu, x, [&mean, &variance, gamma], self.epsilon, grad, rectified)
    }

    fn portable(&self, args: &[Tensor]) -> Result<Value> {
        let (x, gamma, beta) = (&args[0], &args[1], &args[2]);
        let rows = x.reshape(((), gamma.elem_count()))?;
        let mean = rows.mean(0)?;
        let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(0)?;
        self.save(mean, variance);
        let (centred, scale) = self.centre(x)?;
        let y = centred.broadcast_mul(&(scale * gamma)?)?.broadcast_add(beta)?.reshape(x.shape())?;
        Ok(Value::Tensor(if self.rectified { y.relu()? } else { y }))
    }

    fn portable_backward(&self, x: &Tensor, gamma: &Tensor, output: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        let (centred, scale) = self.centre(x)?;
        let normed = centred.broadcast_mul(&scale)?;
        let grad = if self.rectified { gate(output, grad)? } else { grad.clone() };
        let grad = grad.reshape(normed.shape())?;
        let grad_beta = grad.sum(0)?;
        let grad_gamma = (&grad * &normed)?.sum(0)?;
        let count = normed.dim(0)? as f64;
        let pull = normed.broadcast_mul(&(&grad_gamma / count)?)?.broadcast_add(&(&grad_beta / count)?)?;
        let grad_x = (grad - pull)?.broadcast_mul(&(scale * gamma)?)?.reshape(x.shape())?;
        Ok([grad_x, grad_gamma, grad_beta])
    }

    /// Rows of `x` less the mean, and 1/√(variance + ε).
    fn centre(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let statistics = read(&self.saved)?;
        let centred = x.reshape(((), statistics.mean.elem_count()))?.broadcast_sub(&statistics.mean)?;
        let scale = (&statistics.variance + self.epsilon)?.sqrt()?.recip()?;
        Ok((centred, scale))
    }
}

impl Operation for BatchNorm {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match Kernel::of(&args[0]) {
            Kernel::Single => self.on_host::<f32>(args),
            Kernel::Double => self.on_host::<f64>(args),
            Kernel::Device(gpu) => self.on_device(&gpu, args),
            Kernel::None => self.portable(args),
        }
    }

    fn backward(&self, args: &[&Tensor], output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, gamma, output) = (args[0].detach(), args[1].detach(), output.detach());
        let grads = match Kernel::of(&x) {
            Kernel::Single => self.host_backward::<f32>(&x, &gamma, &output, grad)?,
            Kernel::Double => self.host_backward::<f64>(&x, &gamma, &output, grad)?,
            Kernel::Device(gpu) => self.device_backward(&gpu, &x, &gamma, &output, grad)?,
            Kernel::None => self.portable_backward(&x, &gamma, &output, grad)?,
        };
        Ok(grads.into_iter().zip(args).map(|(grad, arg)| arg.track_op().then_some(grad)).collect())
    }
}

fn read(saved: &Mutex<Option<Statistics>>) -> Result<Statistics> {
    let statistics = saved.lock().unwrap_or_else(PoisonError::into_inner).clone();
    statistics.ok_or_else(|| Error::Msg("batch-norm: no statistics before the forward pass".into()))
}

#[cfg(test)]
mod tests {
    use super::{BatchNorm, Value, batch_norm};
    use crate::nn::op::check;
    use candle_core::{Device, Tensor};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn values(value: &Tensor) -> Vec<f64> {
        value.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn close(ours: &[f64], theirs: &[f64]) -> bool {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-10)
    }

    #[test]
    fn a_channel_of_equal_numbers_becomes_its_shift_however_large_they_are() {
        let large = [3.7e6f32, -1.1e-3, 9.3e20];
        let x = Tensor::new(&large, &Device::Cpu).unwrap().broadcast_as((4, 7, 7, 3)).unwrap().contiguous().unwrap();
        let [gamma, beta] = [[2f32, 2.0, 2.0], [0.3, -0.2, 0.1]].map(|row| Tensor::new(&row, &Device::Cpu).unwrap());
        let (y, statistics) = batch_norm(&x, &gamma, &beta, 1e-5, false).unwrap();
        assert_eq!(statistics.variance.to_vec1::<f32>().unwrap(), [0.0; 3]);
        let rows = y.reshape(((), 3)).unwrap().to_vec2::<f32>().unwrap();
        assert!(rows.iter().all(|row| row == &[0.3, -0.2, 0.1]), "{rows:?}");
        // Control: with the mean taken into the shift nothing is left of it.
        let scale = 2.0 / 1e-5f32.sqrt();
        assert!(large[0] * scale + (0.3 - large[0] * scale) != 0.3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_kernel_agrees_with_candle_operations(batch in 1usize..4, side in 2usize..30, channels in 1usize..20, rectified: bool) {
            let random = |dims: &[usize]| Tensor::randn(0f64, 1., dims, &Device::Cpu).unwrap();
            let (x, grad) = (random(&[batch, side, side, channels]), random(&[batch, side, side, channels]));
            let args = [x.clone(), random(&[channels]), random(&[channels])];
            let operation = BatchNorm { epsilon: 1e-5, rectified, saved: Arc::default() };
            let Value::Tensor(theirs) = operation.portable(&args).unwrap() else { panic!("not candle's value") };
            let their_grads = operation.portable_backward(&x, &args[1], &theirs, &grad).unwrap();
            let Value::Host(ours, _) = operation.on_host::<f64>(&args).unwrap() else { panic!("not a kernel's value") };
            prop_assert!(close(ours.as_slice::<f64>().unwrap(), &values(&theirs)));
            let our_grads = operation.host_backward::<f64>(&x, &args[1], &theirs, &grad).unwrap();
            for (ours, theirs) in our_grads.iter().zip(&their_grads) {
                prop_assert!(close(&values(ours), &values(theirs)));
            }
        }

        #[test]
        fn gradients_are_those_of_finite_differences(batch in 2usize..5, side in 1usize..4, channels in 1usize..5, rectified: bool) {
            let args = [
                check::random(&[batch, side, side, channels], 1),
                check::random(&[channels], 2),
                check::random(&[channels], 3),
            ];
            let y = |args: &[Tensor]| Ok(batch_norm(&args[0], &args[1], &args[2], 1e-2, rectified)?.0);
            // Not across the rectifier's kink.
            let unrectified = batch_norm(&args[0], &args[1], &args[2], 1e-2, false).unwrap().0;
            prop_assume!(values(&unrectified).iter().all(|y| y.abs() > 1e-3));
            check::gradients(&args, y);
        }
    }
}
