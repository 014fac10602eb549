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
