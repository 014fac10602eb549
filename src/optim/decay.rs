//! Weight decay: `u + λ·θ`, on every parameter, norms and biases too.

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// Adds a multiple of the parameters. Before momentum this is coupled decay (L2), after Adam it is decoupled.
pub struct WeightDecay {
    factor: f64,
    from: usize,
    /// β₁, if the decay is divided by `1 − β₁ᵗ`.
    beta: Option<f64>,
}

impl WeightDecay {
    pub const fn new(factor: f64) -> Self {
        Self { factor, from: 0, beta: None }
    }

    /// None before step `from`.
    pub const fn from_step(factor: f64, from: usize) -> Self {
        Self { factor, from, beta: None }
    }

    /// Divided by `1 − βᵗ`, as AdaNKFAC does.
    pub const fn bias_corrected(factor: f64, beta: f64) -> Self {
        Self { factor, from: 0, beta: Some(beta) }
    }
}

impl Transform for WeightDecay {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        if self.factor == 0.0 || step.index < self.from {
            return Ok(());
        }
        let _update = step.clock.phase(Phase::Update);
        let correction = self.beta.map_or(1.0, |beta| 1.0 - beta.powi(step.index as i32 + 1));
        for (update, param) in updates.0.iter_mut().zip(&step.params.params) {
            *update = linalg::combine(1.0, update, self.factor / correction, &param.var.as_detached_tensor())?;
        }
        Ok(())
    }

    fn state(&self) -> State {
        State::new()
    }

    fn load(&mut self, _: &mut State, _: &Params) -> candle_core::Result<()> {
        Ok(())
    }
}
