//! Losses: softmax cross-entropy, averaged over the batch and its tokens, with label smoothing as in PyTorch; and those of numbers, summed
//! over an example's and averaged over the batch.

use candle_core::{D, DType, Result, Tensor};

use super::sigmoid::sigmoid;
use super::{Operation, Value, apply};
use crate::device::{self, Gpu};

/// The mean loss of `logits`, `…×K`, under `labels`, `…` whole numbers below K: a scalar. There is a term a label: one an image, or one a
/// token.
///
/// With smoothing ε the target puts `1 − ε + ε/K` on the label and `ε/K` on every other class.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, smoothing: f64) -> Result<Tensor> {
    if let Some(gpu) = device::of(&[logits]) {
        let labels = labels.to_dtype(DType::U32)?;
        return apply(DeviceCrossEntropy { gpu, labels, smoothing }, &[logits]);
    }
    let classes = logits.dim(D::Minus1)?;
    let target = one_hot(labels, classes, logits)?.affine(1.0 - smoothing, smoothing / classes as f64)?;
    apply(CrossEntropy { target }, &[logits])
}

/// Half the sum of squared errors of `outputs`, `N×K`, the mean over N: up to a constant the negative logarithm of a normal density of
/// variance 1.
pub fn squared(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let errors = (outputs - targets.to_dtype(outputs.dtype())?)?;
    errors.sqr()?.sum_all()?.affine(0.5 / outputs.dim(0)? as f64, 0.0)
}

/// Sigmoid cross-entropy of `logits`, `N×K`, under `targets` in [0, 1], summed over K, the mean over N:
/// `−t log σ(z) − (1 − t) log σ(−z)`.
pub fn bernoulli(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    apply(Bernoulli { targets: targets.to_dtype(logits.dtype())? }, &[logits])
}

/// `softmax(logits)` over the last axis, detached.
pub fn softmax(logits: &Tensor) -> Result<Tensor> {
    log_softmax(&logits.detach())?.exp()
}

/// `…×K` with a one at each label, in the type and place of `like`.
pub fn one_hot(labels: &Tensor, classes: usize, like: &Tensor) -> Result<Tensor> {
    let columns = Tensor::arange(0u32, classes as u32, like.device())?;
    labels.unsqueeze(D::Minus1)?.broadcast_eq(&columns)?.to_dtype(like.dtype())
}

fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    candle_nn::ops::log_softmax(logits, D::Minus1)
}

struct CrossEntropy {
    target: Tensor,
}

impl CrossEntropy {
    /// How many terms the mean is taken over.
    fn terms(&self) -> Result<f64> {
        Ok((self.target.elem_count() / self.target.dim(D::Minus1)?) as f64)
    }
}

impl Operation for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        Ok(Value::Tensor(((&self.target * log_softmax(&args[0])?)?.sum_all()? * (-1.0 / self.terms()?))?))
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let slope = ((softmax(args[0])? - &self.target)? / self.terms()?)?;
        Ok(vec![Some(slope.broadcast_mul(grad)?)])
    }
}

/// The same by kernels, to which a label is a number.
struct DeviceCrossEntropy {
    gpu: Gpu,
    labels: Tensor,
    smoothing: f64,
}

impl Operation for DeviceCrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        Ok(Value::Device(device::loss::cross_entropy(&self.gpu, &args[0], &self.labels, self.smoothing)?))
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let tensors = [args[0], &self.labels, grad];
        Ok(vec![Some(device::loss::cross_entropy_gradient(&self.gpu, tensors, self.smoothing)?)])
    }
}

struct Bernoulli {
    targets: Tensor,
}

impl Operation for Bernoulli {
    fn name(&self) -> &'static str {
        "bernoulli"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        let z = &args[0];
        // max(z, 0) − tz + log(1 + e^(−|z|)), which does not overflow.
        let terms = ((z.relu()? - (z * &self.targets)?)? + (z.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        Ok(Value::Tensor((terms.sum(D::Minus1)?.sum_all()? / z.dim(0)? as f64)?))
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let z = args[0].detach();
        let slope = ((sigmoid(&z)? - &self.targets)? / z.dim(0)? as f64)?;
        Ok(vec![Some(slope.broadcast_mul(grad)?)])
    }
}

#[cfg(test)]
mod tests {
    use super::{bernoulli, cross_entropy, squared};
    use crate::nn::op::check::{self, random};
    use candle_core::{Device, Result, Tensor};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn gradients_are_those_of_finite_differences(batch in 1usize..6, classes in 2usize..9, smoothing in 0.0..0.9) {
            let labels: Vec<u32> = (0..batch).map(|i| (i * 5 % classes) as u32).collect();
            let labels = Tensor::new(labels, &Device::Cpu).unwrap();
            check::gradients(&[random(&[batch, classes], 1)], |args| cross_entropy(&args[0], &labels, smoothing));
        }
    }

    #[test]
    fn gradients_of_losses_of_numbers_are_those_of_finite_differences() {
        let targets = Tensor::new(&[[0.0, 0.3, 1.0], [1.0, 0.0, 0.9]], &Device::Cpu).unwrap();
        check::gradients(&[random(&[2, 3], 1)], |args| bernoulli(&args[0], &targets));
        check::gradients(&[random(&[2, 3], 2)], |args| squared(&args[0], &targets));
    }

    #[test]
    fn large_logits_do_not_overflow() -> Result<()> {
        let loss = |z: f64, t: f64| -> Result<f64> {
            bernoulli(&Tensor::new(&[[z]], &Device::Cpu)?, &Tensor::new(&[[t]], &Device::Cpu)?)?.to_scalar()
        };
        assert_eq!((loss(800.0, 0.0)?, loss(-800.0, 1.0)?, loss(800.0, 1.0)?), (800.0, 800.0, 0.0));
        let by_hand = -(0.25 * (1.0 / (1.0 + (-2f64).exp())).ln() + 0.75 * (1.0 / (1.0 + 2f64.exp())).ln());
        assert!((loss(2.0, 0.25)? - by_hand).abs() < 1e-12 && (loss(2.0, 0.26)? - by_hand).abs() > 1e-3);
        Ok(())
    }

    /// Two classes: `−log p` of the label weighs 1 − ε/2, that of the other ε/2.
    #[test]
    fn smoothing_takes_some_of_the_target_from_the_label() -> Result<()> {
        let logits = Tensor::new(&[[2f64, 0.0], [1.0, 1.5]], &Device::Cpu)?;
        let labels = Tensor::new(&[0u32, 0], &Device::Cpu)?;
        let by_hand = |smoothing: f64| {
            let of = |label: f64, other: f64| {
                let total = label.exp() + other.exp();
                -((1.0 - smoothing / 2.0) * (label.exp() / total).ln() + smoothing / 2.0 * (other.exp() / total).ln())
            };
            f64::midpoint(of(2.0, 0.0), of(1.0, 1.5))
        };
        let ours: f64 = cross_entropy(&logits, &labels, 0.1)?.to_scalar()?;
        assert!((ours - by_hand(0.1)).abs() < 1e-12, "{ours}");
        // Control: another smoothing gives another loss.
        assert!((ours - by_hand(0.2)).abs() > 1e-3);
        Ok(())
    }
}
