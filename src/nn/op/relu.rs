//! The rectifier, whose derivative at zero is zero as in PyTorch (candle's own says one).

use candle_core::{Result, Tensor};

use super::host::{self, Kernel, Real};
use super::{Operation, Value, apply};
use crate::device::elementwise as device;
use crate::kernel::elementwise;

/// `max(x, 0)`.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    apply(Relu, &[x])
}

/// `max(a + b, 0)`, for the end of a residual block.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    apply(AddRelu, &[a, b])
}

/// `a + b`, for the end of a block without a rectifier.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    apply(Add, &[a, b])
}

struct Relu;

impl Operation for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        fn on_host<T: Real>(x: &Tensor) -> Result<Value> {
            Ok(host::value(host::read(&[x], |slices| elementwise::relu::<T>(slices[0]))?, x.shape()))
        }
        match Kernel::of(&args[0]) {
            Kernel::Single => on_host::<f32>(&args[0]),
            Kernel::Double => on_host::<f64>(&args[0]),
            Kernel::Device(gpu) => Ok(Value::Device(device::relu(&gpu, &args[0])?)),
            Kernel::None => Ok(Value::Tensor(args[0].relu()?)),
        }
    }

    fn backward(&self, _args: &[&Tensor], output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(gate(&output.detach(), grad)?)])
    }
}

struct AddRelu;

impl Operation for AddRelu {
    fn name(&self) -> &'static str {
        "add-relu"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        fn on_host<T: Real>(a: &Tensor, b: &Tensor) -> Result<Value> {
            Ok(host::value(host::read(&[a, b], |slices| elementwise::add_relu::<T>(slices[0], slices[1]))?, a.shape()))
        }
        match Kernel::of(&args[0]) {
            Kernel::Single => on_host::<f32>(&args[0], &args[1]),
            Kernel::Double => on_host::<f64>(&args[0], &args[1]),
            Kernel::Device(gpu) => Ok(Value::Device(device::add_relu(&gpu, &args[0], &args[1])?)),
            Kernel::None => Ok(Value::Tensor((&args[0] + &args[1])?.relu()?)),
        }
    }

    fn backward(&self, args: &[&Tensor], output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let gradient = gate(&output.detach(), grad)?;
        Ok(args.iter().map(|arg| arg.track_op().then(|| gradient.clone())).collect())
    }
}

struct Add;

impl Operation for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        Ok(Value::Tensor(sum(&args[0], &args[1])?))
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(args.iter().map(|arg| arg.track_op().then(|| grad.clone())).collect())
    }
}

/// `a + b`, detached.
pub(super) fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    fn on_host<T: Real>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let sum = host::read(&[a, b], |slices| elementwise::add::<T>(slices[0], slices[1]))?;
        host::tensor(sum, a.shape(), a)
    }
    match Kernel::of(a) {
        Kernel::Single => on_host::<f32>(a, b),
        Kernel::Double => on_host::<f64>(a, b),
        Kernel::Device(gpu) => device::add(&gpu, a, b),
        Kernel::None => a + b,
    }
}

/// `grad` where `output` is positive, else zero.
pub(super) fn gate(output: &Tensor, grad: &Tensor) -> Result<Tensor> {
    fn on_host<T: Real>(output: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let gated = host::read(&[output, grad], |slices| elementwise::gate::<T>(slices[0], slices[1]))?;
        host::tensor(gated, grad.shape(), grad)
    }
    match Kernel::of(grad) {
        Kernel::Single => on_host::<f32>(output, grad),
        Kernel::Double => on_host::<f64>(output, grad),
        Kernel::Device(gpu) => device::gate(&gpu, output, grad),
        Kernel::None => grad * output.gt(0.0)?.to_dtype(grad.dtype())?,
    }
}

#[cfg(test)]
mod tests {
    use super::{add, add_relu, relu};
    use crate::nn::op::check::{self, distinct, random, values};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn gradients_are_those_of_finite_differences(rows in 1usize..20, columns in 1usize..20) {
            let apart = distinct(&[rows, columns], 1);
            check::gradients(std::slice::from_ref(&apart), |args| relu(&args[0]));
            let b = random(&[rows, columns], 2);
            // Their sum is `apart`, which is nowhere near the kink.
            let pair = [(&apart - &b).unwrap(), b];
            check::gradients(&pair, |args| add_relu(&args[0], &args[1]));
            check::gradients(&pair, |args| add(&args[0], &args[1]));
        }
    }

    #[test]
    fn the_slope_at_zero_is_zero_as_in_pytorch() -> candle_core::Result<()> {
        let x = candle_core::Var::new(&[-1f64, 0.0, 2.0], &candle_core::Device::Cpu)?;
        let grads = relu(&x)?.sum_all()?.backward()?;
        assert_eq!(grads.get(&x).map(values), Some(vec![0.0, 0.0, 1.0]));
        Ok(())
    }
}
