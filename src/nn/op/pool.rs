//! Max and average pooling for any window (candle's max-pool gradient is wrong, and its windows must not overlap).

use candle_core::{DType, Result, Tensor};

use super::{Operation, apply, window::Window};

/// The largest value in each window; padding never wins. The gradient goes to the first maximum, as in PyTorch.
pub fn max_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    apply(MaxPool(window), &[x])
}

/// The mean of each window, zeros of the padding counted, as PyTorch does unless told otherwise.
pub fn average_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    apply(AveragePool(window), &[x])
}

/// `N×H×W×C` to its means over height and width, `N×C`.
pub fn global_average_pool(x: &Tensor) -> Result<Tensor> {
    x.mean((1, 2))
}

struct MaxPool(Window);

impl Operation for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Tensor> {
        Tensor::stack(&self.0.slices(&args[0], f64::NEG_INFINITY)?, 0)?.max(0)
    }

    fn backward(&self, args: &[&Tensor], output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, output) = (args[0].detach(), output.detach());
        let mut free = output.ones_like()?.to_dtype(DType::U8)?;
        let mut grads = Vec::new();
        for slice in self.0.slices(&x, f64::NEG_INFINITY)? {
            let wins = (slice.eq(&output)? * &free)?;
            free = (free - &wins)?;
            grads.push((grad * wins.to_dtype(grad.dtype())?)?);
        }
        Ok(vec![Some(self.0.fold(&grads, x.dim(1)?, x.dim(2)?)?)])
    }
}

struct AveragePool(Window);

impl Operation for AveragePool {
    fn name(&self) -> &'static str {
        "average-pool"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Tensor> {
        Tensor::stack(&self.0.slices(&args[0], 0.0)?, 0)?.mean(0)
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let taps = self.0.kernel * self.0.kernel;
        let share = (grad / taps as f64)?;
        Ok(vec![Some(self.0.fold(&vec![share; taps], args[0].dim(1)?, args[0].dim(2)?)?)])
    }
}
