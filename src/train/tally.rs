//! Sums of loss and hits over batches, kept on the device until somebody asks.

use candle_core::{D, DType, Device, Result, Tensor};

use crate::state::State;

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

    /// For checkpoints.
    pub fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("sums", self.sums.iter().flatten());
        state.put_number("images", self.images as f64);
        state
    }

    /// What [`Tally::state`] gave away, on `device`.
    pub fn load(mut state: State, device: &Device) -> Result<Self> {
        state.to_device(device)?;
        let sums = state.take_all("sums", 2)?.try_into().ok();
        let tally = Self { sums, images: state.take_count("images")? };
        state.finish()?;
        Ok(tally)
    }

    /// The means so far; NaN over no images.
    pub fn score(&self) -> Result<Score> {
        let Some([losses, hits]) = &self.sums else { return Ok(Score { loss: f64::NAN, accuracy: f64::NAN }) };
        let mean = |sum: &Tensor| Ok::<f64, candle_core::Error>(sum.to_scalar::<f64>()? / self.images as f64);
        Ok(Score { loss: mean(losses)?, accuracy: mean(hits)? })
    }
}
