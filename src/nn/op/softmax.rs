//! Softmax over the last axis; candle's fast one drops the gradient.

use candle_core::{D, Result, Tensor};

use super::host::{self, Kernel, Real};
use super::{Operation, Value, apply};
use crate::kernel::{elementary::Elementary, softmax as kernel};

/// `e^x / Σ e^x` along the last axis.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    apply(Softmax, &[x])
}

struct Softmax;

impl Softmax {
    fn on_host<T: Real + Elementary>(x: &Tensor) -> Result<Value> {
        let columns = x.dim(D::Minus1)?;
        Ok(host::value(host::read(&[x], |slices| kernel::forward::<T>(slices[0], columns))?, x.shape()))
    }

    fn host_backward<T: Real + Elementary>(y: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let columns = y.dim(D::Minus1)?;
        let dx = host::read(&[y, grad], |slices| kernel::backward::<T>(slices[0], slices[1], columns))?;
        host::tensor(dx, y.shape(), y)
    }

    fn portable(x: &Tensor) -> Result<Tensor> {
        let exp = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
        exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)
    }

    fn portable_backward(y: &Tensor, grad: &Tensor) -> Result<Tensor> {
        y * grad.broadcast_sub(&(y * grad)?.sum_keepdim(D::Minus1)?)?
    }
}

impl Operation for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match Kernel::of(&args[0]) {
            Kernel::Single => Self::on_host::<f32>(&args[0]),
            Kernel::Double => Self::on_host::<f64>(&args[0]),
            Kernel::None => Ok(Value::Tensor(Self::portable(&args[0])?)),
        }
    }

    fn backward(&self, _args: &[&Tensor], output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let y = output.detach();
        Ok(vec![Some(match Kernel::of(&y) {
            Kernel::Single => Self::host_backward::<f32>(&y, grad)?,
            Kernel::Double => Self::host_backward::<f64>(&y, grad)?,
            Kernel::None => Self::portable_backward(&y, grad)?,
        })])
    }
}

#[cfg(test)]
mod tests {
    use super::{Softmax, Value, softmax};
    use crate::nn::op::check::{self, random, values};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_kernel_agrees_with_candle_operations(rows in 1usize..200, columns in 1usize..40) {
            let (x, grad) = (random(&[rows, columns], 1), random(&[rows, columns], 2));
            let Value::Host(ours, _) = Softmax::on_host::<f64>(&x).unwrap() else { panic!("not a kernel's value") };
            let y = Softmax::portable(&x).unwrap();
            prop_assert!(check::close(ours.as_slice::<f64>().unwrap(), &values(&y), 1e-12));
            let ours = Softmax::host_backward::<f64>(&y, &grad).unwrap();
            prop_assert!(check::close(&values(&ours), &values(&Softmax::portable_backward(&y, &grad).unwrap()), 1e-12));
        }

        #[test]
        fn gradients_are_those_of_finite_differences(rows in 1usize..5, columns in 1usize..9) {
            check::gradients(&[random(&[2, rows, columns], 1)], |args| softmax(&args[0]));
        }
    }

    /// The control: candle's own must fail where ours passes.
    #[test]
    #[should_panic(expected = "no gradient")]
    fn candles_softmax_fails_the_same_check() {
        check::gradients(&[random(&[3, 4], 1)], |args| candle_nn::ops::softmax_last_dim(&args[0]));
    }
}
