//! Adam (Kingma & Ba 2015): `m̂ / (√v̂ + ε)` with PyTorch's order of bias corrections.

use candle_core::Tensor;

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::param::Updates;

/// `m ← β₁m + (1−β₁)u`, `v ← β₂v + (1−β₂)u²`; the result is `m/(1−β₁ᵗ) / (√v/√(1−β₂ᵗ) + ε)`.
pub struct Adam {
    betas: [f64; 2],
    eps: f64,
    moments: Option<Vec<[Tensor; 2]>>,
}

impl Adam {
    pub const fn new(betas: [f64; 2], eps: f64) -> Self {
        Self { betas, eps, moments: None }
    }
}

impl Transform for Adam {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        let [beta1, beta2] = self.betas;
        let count = step.index as i32 + 1;
        let (correction1, correction2) = (1.0 - beta1.powi(count), (1.0 - beta2.powi(count)).sqrt());
        if self.moments.is_none() {
            let zeros = updates.0.iter().map(|update| Ok([update.zeros_like()?, update.zeros_like()?]));
            self.moments = Some(zeros.collect::<candle_core::Result<_>>()?);
        }
        for (update, [first, second]) in updates.0.iter_mut().zip(self.moments.iter_mut().flatten()) {
            *first = ((&*first * beta1)? + (&*update * (1.0 - beta1))?)?;
            *second = ((&*second * beta2)? + (update.sqr()? * (1.0 - beta2))?)?;
            let scale = ((second.sqrt()? / correction2)? + self.eps)?;
            *update = ((&*first / scale)? / correction1)?;
        }
        Ok(())
    }
}
