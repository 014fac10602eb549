//! Softmax cross-entropy, averaged over the batch, with label smoothing as in PyTorch.

use candle_core::{D, Result, Tensor};

use super::{Operation, Value, apply};

/// The mean loss of `logits`, `N×K`, under `labels`, `N` whole numbers below K: a scalar.
///
/// With smoothing ε the target puts `1 − ε + ε/K` on the label and `ε/K` on every other class.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, smoothing: f64) -> Result<Tensor> {
    let classes = logits.dim(1)?;
    let target = one_hot(labels, classes, logits)?.affine(1.0 - smoothing, smoothing / classes as f64)?;
    apply(CrossEntropy { target }, &[logits])
}

/// `softmax(logits)` by rows, detached.
pub fn softmax(logits: &Tensor) -> Result<Tensor> {
    log_softmax(&logits.detach())?.exp()
}

/// `N×K` with a one at each label, in the type and place of `like`.
pub fn one_hot(labels: &Tensor, classes: usize, like: &Tensor) -> Result<Tensor> {
    let columns = Tensor::arange(0u32, classes as u32, like.device())?;
    labels.unsqueeze(1)?.broadcast_eq(&columns.unsqueeze(0)?)?.to_dtype(like.dtype())
}

fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    candle_nn::ops::log_softmax(logits, D::Minus1)
}

struct CrossEntropy {
    target: Tensor,
}

impl Operation for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        let batch = args[0].dim(0)? as f64;
        Ok(Value::Tensor(((&self.target * log_softmax(&args[0])?)?.sum_all()? * (-1.0 / batch))?))
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let batch = args[0].dim(0)? as f64;
        let slope = ((softmax(args[0])? - &self.target)? / batch)?;
        Ok(vec![Some(slope.broadcast_mul(grad)?)])
    }
}

#[cfg(test)]
mod tests {
    use super::cross_entropy;
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
