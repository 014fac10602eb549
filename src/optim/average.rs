//! A moving average of the weights, at which the net is evaluated and saved while it is trained elsewhere (Polyak & Juditsky 1992).

use candle_core::Tensor;

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// `x ← dx + (1−d)θ` behind every step, from the first step's θ, with `d = min(decay, (1 + t)/(10 + t))`, so that a short training forgets
/// where it began. Batch norm's running statistics stay those of θ.
pub struct Average {
    decay: f64,
    /// Empty before the first step.
    average: Vec<Tensor>,
}

impl Average {
    pub const fn new(decay: f64) -> Self {
        Self { decay, average: Vec::new() }
    }
}

impl Transform for Average {
    fn apply(&mut self, _: &mut Updates, _: &Step<'_>) -> Result {
        Ok(())
    }

    fn end(&mut self, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        let params = step.params.params.iter().map(|param| param.var.as_detached_tensor());
        if self.average.is_empty() {
            // Parameters move in their own memory.
            self.average = params.map(|param| param.copy()).collect::<candle_core::Result<_>>()?;
            return Ok(());
        }
        let count = step.index as f64 + 1.0;
        let decay = self.decay.min((1.0 + count) / (10.0 + count));
        for (average, param) in self.average.iter_mut().zip(params) {
            *average = linalg::combine(decay, average, 1.0 - decay, &param)?;
        }
        Ok(())
    }

    fn evaluated(&self, _: &Params) -> candle_core::Result<Option<Vec<Tensor>>> {
        Ok((!self.average.is_empty()).then(|| self.average.clone()))
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("weights", &self.average);
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        self.average = state.take_all("weights", params.params.len())?;
        Ok(())
    }
}
