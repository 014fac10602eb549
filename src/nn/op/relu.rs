//! The rectifier, whose derivative at zero is zero as in PyTorch (candle's own says one).

use candle_core::{Result, Tensor};

use super::{Operation, apply};

/// `max(x, 0)`.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    apply(Relu, &[x])
}

struct Relu;

impl Operation for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Tensor> {
        args[0].relu()
    }

    fn backward(&self, _args: &[&Tensor], output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let positive = output.detach().gt(0.0)?.to_dtype(grad.dtype())?;
        Ok(vec![Some((grad * positive)?)])
    }
}
