//! Cautious updates (Liang et al. 2024): only where the update goes against the gradient, and there by as much more.

use candle_core::Tensor;

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// `u ← u·φ/max(mean φ, 10⁻³)` with `φ = 1` where `u` and `∇` have one sign, else 0; by parameter, and before decoupled decay.
#[derive(Default)]
pub struct Cautious {
    /// Of the step at hand.
    gradients: Vec<Tensor>,
}

impl Transform for Cautious {
    fn begin(&mut self, gradients: &Updates) {
        self.gradients.clone_from(&gradients.0);
    }

    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        for (update, gradient) in updates.0.iter_mut().zip(self.gradients.drain(..)) {
            // Of signs, for products of small numbers are zero.
            let agrees = (update.sign()? * gradient.sign()?)?.gt(0.0)?.to_dtype(update.dtype())?;
            let share = linalg::norm(&agrees)?.powi(2) / agrees.elem_count() as f64;
            *update = linalg::scale(1.0 / share.max(1e-3), &(&*update * agrees)?)?;
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
