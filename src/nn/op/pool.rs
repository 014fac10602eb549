//! Max and average pooling for any window (candle's max-pool gradient is wrong, and its windows must not overlap).

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Result, Tensor};

use super::host::{self, Kernel, Real};
use super::{Operation, Value, apply, window::Window};
use crate::device::{self, Gpu};
use crate::kernel::{self, Geometry};

/// The largest value in each window; padding never wins. The gradient goes to the first maximum, as in PyTorch.
pub fn max_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    apply(MaxPool { window, winners: Mutex::default() }, &[x])
}

/// The mean of each window, zeros of the padding counted, as PyTorch does unless told otherwise.
pub fn average_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    apply(AveragePool(window), &[x])
}

/// `N×H×W×C` to its means over height and width, `N×C`.
pub fn global_average_pool(x: &Tensor) -> Result<Tensor> {
    apply(GlobalAverage, &[x])
}

struct GlobalAverage;

impl Operation for GlobalAverage {
    fn name(&self) -> &'static str {
        "global-average-pool"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match device::of(&[&args[0]]) {
            Some(gpu) => Ok(Value::Device(device::pool::global_average(&gpu, &args[0])?)),
            None => Ok(Value::Tensor(args[0].mean((1, 2))?)),
        }
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        if let Some(gpu) = device::of(&[grad]) {
            return Ok(vec![Some(device::pool::global_average_gradient(&gpu, args[0], grad)?)]);
        }
        let (_, height, width, _) = args[0].dims4()?;
        let share = (grad / (height * width) as f64)?;
        Ok(vec![Some(share.unsqueeze(1)?.unsqueeze(1)?.broadcast_as(args[0].shape())?.contiguous()?)])
    }
}

struct MaxPool {
    window: Window,
    /// Left by the kernel's forward pass for its backward pass.
    winners: Mutex<Winners>,
}

/// For each window the pixel of its image that holds the maximum.
#[derive(Default)]
enum Winners {
    #[default]
    None,
    Host(Vec<u32>),
    Device(Tensor),
}

impl MaxPool {
    fn lock(&self) -> MutexGuard<'_, Winners> {
        self.winners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_host<T: Real>(&self, x: &Tensor) -> Result<Value> {
        let geometry = geometry(x, self.window)?;
        let (y, winners) = host::read(&[x], |slices| kernel::pool::max::<T>(&geometry, slices[0]))?;
        *self.lock() = Winners::Host(winners);
        Ok(host::value(y, output_dims(&geometry)))
    }

    fn host_backward<T: Real>(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let geometry = geometry(x, self.window)?;
        let winners = self.lock();
        let Winners::Host(winners) = &*winners else { candle_core::bail!("max-pool: no winners for the CPU") };
        let dx = host::read(&[grad], |slices| kernel::pool::max_backward::<T>(&geometry, slices[0], winners))?;
        host::tensor(dx, x.shape(), x)
    }

    fn on_device(&self, gpu: &Gpu, x: &Tensor) -> Result<Value> {
        let (y, winners) = device::pool::max(gpu, &geometry(x, self.window)?, x)?;
        *self.lock() = Winners::Device(winners);
        Ok(Value::Device(y))
    }

    fn device_backward(&self, gpu: &Gpu, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let winners = self.lock();
        let Winners::Device(winners) = &*winners else { candle_core::bail!("max-pool: no winners for a device") };
        device::pool::max_gradient(gpu, &geometry(x, self.window)?, grad, winners)
    }

    fn portable(&self, x: &Tensor) -> Result<Tensor> {
        Tensor::stack(&self.window.slices(x, f64::NEG_INFINITY)?, 0)?.max(0)
    }

    fn portable_backward(&self, x: &Tensor, output: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let mut free = output.ones_like()?.to_dtype(DType::U8)?;
        let mut grads = Vec::new();
        for slice in self.window.slices(x, f64::NEG_INFINITY)? {
            let wins = (slice.eq(output)? * &free)?;
            free = (free - &wins)?;
            grads.push((grad * wins.to_dtype(grad.dtype())?)?);
        }
        self.window.fold(&grads, x.dim(1)?, x.dim(2)?)
    }
}

impl Operation for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match Kernel::of(&args[0]) {
            Kernel::Single => self.on_host::<f32>(&args[0]),
            Kernel::Double => self.on_host::<f64>(&args[0]),
            Kernel::Device(gpu) => self.on_device(&gpu, &args[0]),
            Kernel::None => Ok(Value::Tensor(self.portable(&args[0])?)),
        }
    }

    fn backward(&self, args: &[&Tensor], output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let x = args[0].detach();
        Ok(vec![Some(match Kernel::of(&x) {
            Kernel::Single => self.host_backward::<f32>(&x, grad)?,
            Kernel::Double => self.host_backward::<f64>(&x, grad)?,
            Kernel::Device(gpu) => self.device_backward(&gpu, &x, grad)?,
            Kernel::None => self.portable_backward(&x, &output.detach(), grad)?,
        })])
    }
}

struct AveragePool(Window);

impl AveragePool {
    fn on_host<T: Real>(&self, x: &Tensor) -> Result<Value> {
        let geometry = geometry(x, self.0)?;
        let y = host::read(&[x], |slices| kernel::pool::average::<T>(&geometry, slices[0]))?;
        Ok(host::value(y, output_dims(&geometry)))
    }

    fn host_backward<T: Real>(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let geometry = geometry(x, self.0)?;
        let dx = host::read(&[grad], |slices| kernel::pool::average_backward::<T>(&geometry, slices[0]))?;
        host::tensor(dx, x.shape(), x)
    }

    fn portable(&self, x: &Tensor) -> Result<Tensor> {
        Tensor::stack(&self.0.slices(x, 0.0)?, 0)?.mean(0)
    }

    fn portable_backward(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let taps = self.0.kernel * self.0.kernel;
        self.0.fold(&vec![(grad / taps as f64)?; taps], x.dim(1)?, x.dim(2)?)
    }
}

impl Operation for AveragePool {
    fn name(&self) -> &'static str {
        "average-pool"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match Kernel::of(&args[0]) {
            Kernel::Single => self.on_host::<f32>(&args[0]),
            Kernel::Double => self.on_host::<f64>(&args[0]),
            Kernel::Device(gpu) => {
                let geometry = geometry(&args[0], self.0)?;
                Ok(Value::Device(device::pool::average(&gpu, &geometry, &args[0])?))
            }
            Kernel::None => Ok(Value::Tensor(self.portable(&args[0])?)),
        }
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let x = args[0].detach();
        Ok(vec![Some(match Kernel::of(&x) {
            Kernel::Single => self.host_backward::<f32>(&x, grad)?,
            Kernel::Double => self.host_backward::<f64>(&x, grad)?,
            Kernel::Device(gpu) => device::pool::average_gradient(&gpu, &geometry(&x, self.0)?, grad)?,
            Kernel::None => self.portable_backward(&x, grad)?,
        })])
    }
}

fn geometry(x: &Tensor, window: Window) -> Result<Geometry> {
    window.geometry(x, x.dim(3)?)
}

fn output_dims(g: &Geometry) -> (usize, usize, usize, usize) {
    (g.batch, g.out_height(), g.out_width(), g.inputs)
}

#[cfg(test)]
mod tests {
    use super::{AveragePool, MaxPool, Value, average_pool, geometry, global_average_pool, max_pool, output_dims};
    use crate::nn::op::check;
    use crate::nn::op::window::Window;
    use candle_core::{Device, Tensor};
    use proptest::prelude::*;
    use std::sync::Mutex;

    fn values(value: &Tensor) -> Vec<f64> {
        value.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn host(value: Value) -> Vec<f64> {
        let Value::Host(storage, _) = value else { panic!("not a kernel's value") };
        storage.as_slice::<f64>().unwrap().to_vec()
    }

    fn close(ours: &[f64], theirs: &[f64]) -> bool {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn kernels_agree_with_candle_operations(
            kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3, height in 4usize..9, width in 4usize..9,
        ) {
            prop_assume!(padding <= kernel / 2);
            let window = Window { kernel, stride, padding };
            // Whole numbers, so that there are equals among the maxima.
            let x = (Tensor::randn(0f64, 1., (2, height, width, 3), &Device::Cpu).unwrap() * 2.0).unwrap().round().unwrap();
            let dims = output_dims(&geometry(&x, window).unwrap());
            let grad = Tensor::randn(0f64, 1., dims, &Device::Cpu).unwrap();

            let max = MaxPool { window, winners: Mutex::default() };
            let y = max.portable(&x).unwrap();
            prop_assert!(close(&host(max.on_host::<f64>(&x).unwrap()), &values(&y)));
            let ours = max.host_backward::<f64>(&x, &grad).unwrap();
            prop_assert!(close(&values(&ours), &values(&max.portable_backward(&x, &y, &grad).unwrap())));

            let average = AveragePool(window);
            prop_assert!(close(&host(average.on_host::<f64>(&x).unwrap()), &values(&average.portable(&x).unwrap())));
            let ours = average.host_backward::<f64>(&x, &grad).unwrap();
            prop_assert!(close(&values(&ours), &values(&average.portable_backward(&x, &grad).unwrap())));
        }

        #[test]
        fn gradients_are_those_of_finite_differences(
            kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3, height in 4usize..9, width in 4usize..9,
        ) {
            prop_assume!(padding <= kernel / 2);
            let window = Window { kernel, stride, padding };
            let args = [check::distinct(&[2, height, width, 3], 1)];
            check::gradients(&args, |args| max_pool(&args[0], window));
            check::gradients(&args, |args| average_pool(&args[0], window));
            check::gradients(&args, |args| global_average_pool(&args[0]));
        }
    }
}
