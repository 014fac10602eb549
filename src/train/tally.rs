//! Sums of loss and of what a task is judged by, over batches, kept on the device until somebody asks.

use candle_core::{DType, Device, Result, Tensor};

use super::task::{Score, Task};
use crate::state::State;

/// What was seen so far.
#[derive(Debug)]
pub struct Tally {
    task: Task,
    /// Of losses, and of what the task is judged by.
    sums: Option<[Tensor; 2]>,
    terms: usize,
}

impl Tally {
    /// Nothing seen.
    #[must_use]
    pub const fn new(task: Task) -> Self {
        Self { task, sums: None, terms: 0 }
    }

    /// Adds a batch with its mean `loss`.
    pub fn add(&mut self, loss: &Tensor, outputs: &Tensor, targets: &Tensor) -> Result<()> {
        let terms = self.task.terms(targets);
        let measure = self.task.measure(outputs, targets)?;
        let loss = (loss.detach().to_dtype(DType::F64)? * terms as f64)?;
        let measure = measure.unwrap_or_else(|| loss.clone());
        self.sums = Some(match self.sums.take() {
            Some([losses, measures]) => [(losses + loss)?, (measures + measure)?],
            None => [loss, measure],
        });
        self.terms += terms;
        Ok(())
    }

    /// For checkpoints.
    pub fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("sums", self.sums.iter().flatten());
        state.put_number("images", self.terms as f64);
        state
    }

    /// What [`Tally::state`] gave away, on `device`.
    pub fn load(task: Task, mut state: State, device: &Device) -> Result<Self> {
        state.to_device(device)?;
        let sums = state.take_all("sums", 2)?.try_into().ok();
        let tally = Self { task, sums, terms: state.take_count("images")? };
        state.finish()?;
        Ok(tally)
    }

    /// The means so far; NaN over nothing.
    pub fn score(&self) -> Result<Score> {
        let goal = self.task.goal();
        let Some([losses, measures]) = &self.sums else { return Ok(Score { loss: f64::NAN, value: f64::NAN, goal }) };
        let mean = |sum: &Tensor| Ok::<f64, candle_core::Error>(sum.to_scalar::<f64>()? / self.terms as f64);
        Ok(Score { loss: mean(losses)?, value: mean(measures)?, goal })
    }
}
