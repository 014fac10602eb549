//! Gradient clipping by the norm of all gradients together (Pascanu et al. 2013), with PyTorch's `ε`.

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// `∇ ← ∇ · min(1, limit/(‖∇‖ + 1e-6))`.
pub struct Clip {
    pub limit: f64,
}

impl Transform for Clip {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        Ok(linalg::clip(&mut updates.0, self.limit, 1e-6)?)
    }

    fn state(&self) -> State {
        State::new()
    }

    fn load(&mut self, _: &mut State, _: &Params) -> candle_core::Result<()> {
        Ok(())
    }
}
