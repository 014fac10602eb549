//! GELU, `x·Φ(x)` (Hendrycks & Gimpel 2016), exact as PyTorch's default.

use candle_core::{Result, Tensor};

use super::host::{self, Kernel, Real};
use super::{Operation, Value, apply};
use crate::device::elementwise as device;
use crate::kernel::{elementary::Elementary, gelu as kernel};

/// `x·Φ(x)`, element by element.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    apply(Gelu, &[x])
}

struct Gelu;

impl Gelu {
    fn on_host<T: Real + Elementary>(x: &Tensor) -> Result<Value> {
        Ok(host::value(host::read(&[x], |slices| kernel::forward::<T>(slices[0]))?, x.shape()))
    }

    fn host_backward<T: Real + Elementary>(x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        host::tensor(host::read(&[x, grad], |slices| kernel::backward::<T>(slices[0], slices[1]))?, x.shape(), x)
    }

    fn portable_backward(x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let distribution = ((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)? * 0.5;
        let height = 1.0 / (2.0 * std::f64::consts::PI).sqrt();
        let density = ((x.sqr()? * -0.5)?.exp()? * height)?;
        grad * (distribution? + (x * density)?)?
    }
}

impl Operation for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match Kernel::of(&args[0]) {
            Kernel::Single => Self::on_host::<f32>(&args[0]),
            Kernel::Double => Self::on_host::<f64>(&args[0]),
            Kernel::Device(gpu) => Ok(Value::Device(device::gelu(&gpu, &args[0])?)),
            Kernel::None => Ok(Value::Tensor(args[0].gelu_erf()?)),
        }
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let x = args[0].detach();
        Ok(vec![Some(match Kernel::of(&x) {
            Kernel::Single => Self::host_backward::<f32>(&x, grad)?,
            Kernel::Double => Self::host_backward::<f64>(&x, grad)?,
            Kernel::Device(gpu) => device::gelu_gradient(&gpu, &x, grad)?,
            Kernel::None => Self::portable_backward(&x, grad)?,
        })])
    }
}

#[cfg(test)]
mod tests {
    use super::{Gelu, Value, gelu};
    use crate::nn::op::check::{self, random, values};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn the_kernel_agrees_with_candle_operations(count in 1usize..10_000) {
            let (x, grad) = (random(&[count], 1), random(&[count], 2));
            let Value::Host(ours, _) = Gelu::on_host::<f64>(&x).unwrap() else { panic!("not a kernel's value") };
            prop_assert!(check::close(ours.as_slice::<f64>().unwrap(), &values(&x.gelu_erf().unwrap()), 1e-12));
            let ours = Gelu::host_backward::<f64>(&x, &grad).unwrap();
            prop_assert!(check::close(&values(&ours), &values(&Gelu::portable_backward(&x, &grad).unwrap()), 1e-12));
        }

        #[test]
        fn gradients_are_those_of_finite_differences(count in 1usize..30) {
            check::gradients(&[random(&[count], 1)], |args| gelu(&args[0]));
        }
    }
}
