//! Sums of loss and hits over batches, kept on the device until somebody asks.

use candle_core::{D, DType, Result, Tensor};

/// Loss and accuracy over the images seen so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Sum of losses and number of hits.
    sums: Option<[Tensor; 2]>,
    images: usize,
}

/// Means over a set of images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    pub loss: f64,
    /// The share of images whose label has the largest logit.
    pub accuracy: f64,
}

impl Tally {
    /// Adds a batch with its mean `loss`.
    pub fn add(&mut self, loss: &Tensor, logits: &Tensor, labels: &Tensor) -> Result<()> {
        let batch = labels.dim(0)?;
        let hits = logits.detach().argmax(D::Minus1)?.eq(labels)?.to_dtype(DType::F64)?.sum_all()?;
        let loss = (loss.detach().to_dtype(DType::F64)? * batch as f64)?;
        self.sums = Some(match self.sums.take() {
            Some([losses, all_hits]) => [(losses + loss)?, (all_hits + hits)?],
            None => [loss, hits],
        });
        self.images += batch;
        Ok(())
    }

    /// The means so far; NaN over no images.
    pub fn score(&self) -> Result<Score> {
        let Some([losses, hits]) = &self.sums else { return Ok(Score { loss: f64::NAN, accuracy: f64::NAN }) };
        let mean = |sum: &Tensor| Ok::<f64, candle_core::Error>(sum.to_scalar::<f64>()? / self.images as f64);
        Ok(Score { loss: mean(losses)?, accuracy: mean(hits)? })
    }
}
