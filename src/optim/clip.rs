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
        let mut square = 0.0;
        for update in &updates.0 {
            square += linalg::norm(update)?.powi(2);
        }
        let scale = self.limit / (square.sqrt() + 1e-6);
        if scale < 1.0 {
            for update in &mut updates.0 {
                *update = linalg::scale(scale, update)?;
            }
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
