//! AdaBelief (Zhuang et al. 2020): Adam that measures a gradient against its own average (as adabelief-pytorch 0.2.1 does, without
//! rectification).

use candle_core::Tensor;

use super::adam::{load_moments, moments, moments_state};
use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::param::{Params, Updates};
use crate::state::State;

/// `m ← β₁m + (1−β₁)u`, `s ← β₂s + (1−β₂)(u − m)² + ε`; the result is `m/(1−β₁ᵗ) / (√s/√(1−β₂ᵗ) + ε)`. The ε stays in `s`.
pub struct Adabelief {
    betas: [f64; 2],
    eps: f64,
    moments: Vec<[Tensor; 2]>,
}

impl Adabelief {
    pub const fn new(betas: [f64; 2], eps: f64) -> Self {
        Self { betas, eps, moments: Vec::new() }
    }
}

impl Transform for Adabelief {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        let [beta1, beta2] = self.betas;
        let count = step.index as i32 + 1;
        let (correction1, correction2) = (1.0 - beta1.powi(count), (1.0 - beta2.powi(count)).sqrt());
        let all_moments = moments(&mut self.moments, &updates.0)?;
        for (update, [first, second]) in updates.0.iter_mut().zip(all_moments) {
            *first = ((&*first * beta1)? + (&*update * (1.0 - beta1))?)?;
            let surprise = (&*update - &*first)?.sqr()?;
            *second = (((&*second * beta2)? + (surprise * (1.0 - beta2))?)? + self.eps)?;
            let scale = ((second.sqrt()? / correction2)? + self.eps)?;
            *update = ((&*first / scale)? / correction1)?;
        }
        Ok(())
    }

    fn state(&self) -> State {
        moments_state(&self.moments)
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        self.moments = load_moments(state, params.params.len())?;
        Ok(())
    }
}
