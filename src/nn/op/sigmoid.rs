//! The logistic sigmoid, `1/(1 + e^(−x))`.

use candle_core::{Result, Tensor};

use super::{Operation, Value, apply};

/// `1/(1 + e^(−x))`, element by element.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    apply(Sigmoid, &[x])
}

struct Sigmoid;

impl Operation for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        Ok(Value::Tensor(candle_nn::ops::sigmoid(&args[0])?))
    }

    fn backward(&self, _args: &[&Tensor], output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let y = output.detach();
        // y(1 − y).
        Ok(vec![Some((grad * (&y - y.sqr()?)?)?)])
    }
}

#[cfg(test)]
mod tests {
    use super::sigmoid;
    use crate::nn::op::check::{self, close, random, values};
    use candle_core::{Device, Tensor};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        check::gradients(&[random(&[3, 4], 1)], |args| sigmoid(&args[0]));
    }

    #[test]
    fn large_numbers_go_to_zero_and_one() {
        let x = Tensor::new(&[-800.0f64, -1.0, 0.0, 800.0], &Device::Cpu).unwrap();
        let expected = [0.0, 1.0 / (1.0 + 1f64.exp()), 0.5, 1.0];
        assert!(close(&values(&sigmoid(&x).unwrap()), &expected, 1e-15));
        assert!(!close(&values(&sigmoid(&x).unwrap()), &expected.map(|y| y * (1.0 + 1e-12)), 1e-15));
    }
}
