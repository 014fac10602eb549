//! Rectified Adam (Liu et al. 2020): adaptive only once the variance of the adaptive rate is bounded, in PyTorch's order of operations.

use candle_core::Tensor;

use super::adam::{load_moments, moments, moments_state};
use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::param::{Params, Updates};
use crate::state::State;

/// `m̂·r·√(1−β₂ᵗ)/(√v + ε)` with `r² = ((ρ−4)(ρ−2)ρ∞)/((ρ∞−4)(ρ∞−2)ρ)`, or `m̂` while `ρ ≤ 5`.
pub struct Radam {
    betas: [f64; 2],
    eps: f64,
    moments: Vec<[Tensor; 2]>,
}

impl Radam {
    pub const fn new(betas: [f64; 2], eps: f64) -> Self {
        Self { betas, eps, moments: Vec::new() }
    }

    /// `r·√(1−β₂ᵗ)`, if the rate is to be adaptive at the update number `count`.
    fn rectification(&self, count: i32) -> Option<f64> {
        let power = self.betas[1].powi(count);
        let limit = 2.0 / (1.0 - self.betas[1]) - 1.0;
        let length = limit - 2.0 * f64::from(count) * power / (1.0 - power);
        let ratio = (length - 4.0) * (length - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * length);
        (length > 5.0).then(|| (ratio * (1.0 - power)).sqrt())
    }
}

impl Transform for Radam {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        let [beta1, beta2] = self.betas;
        let count = step.index as i32 + 1;
        let correction = 1.0 - beta1.powi(count);
        let rectification = self.rectification(count);
        let all_moments = moments(&mut self.moments, &updates.0)?;
        for (update, [first, second]) in updates.0.iter_mut().zip(all_moments) {
            *first = ((&*first * beta1)? + (&*update * (1.0 - beta1))?)?;
            *second = ((&*second * beta2)? + (update.sqr()? * (1.0 - beta2))?)?;
            let mean = (&*first / correction)?;
            *update = match rectification {
                Some(factor) => ((mean * factor)? / (second.sqrt()? + self.eps)?)?,
                None => mean,
            };
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
