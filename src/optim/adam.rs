//! Adam (Kingma & Ba 2015): `m̂ / (√v̂ + ε)` with PyTorch's order of bias corrections.

use candle_core::Tensor;

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// `m ← β₁m + (1−β₁)u`, `v ← β₂v + (1−β₂)u²`; the result is `m/(1−β₁ᵗ) / (√v/√(1−β₂ᵗ) + ε)`.
pub struct Adam {
    betas: [f64; 2],
    eps: f64,
    moments: Vec<[Tensor; 2]>,
}

impl Adam {
    pub const fn new(betas: [f64; 2], eps: f64) -> Self {
        Self { betas, eps, moments: Vec::new() }
    }
}

impl Transform for Adam {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        let [beta1, beta2] = self.betas;
        let count = step.index as i32 + 1;
        let (correction1, correction2) = (1.0 - beta1.powi(count), (1.0 - beta2.powi(count)).sqrt());
        let all_moments = moments(&mut self.moments, &updates.0)?;
        for (update, [first, second]) in updates.0.iter_mut().zip(all_moments) {
            let corrections = [correction1, correction2];
            let [m, v, change] = linalg::adam([&*first, &*second, &*update], self.betas, corrections, self.eps)?;
            (*first, *second, *update) = (m, v, change);
        }
        Ok(())
    }

    fn state(&self) -> State {
        moments_state(&self.moments)
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        self.load_count(state, params.params.len())
    }
}

impl Adam {
    /// Takes up the moments of `count` updates.
    pub fn load_count(&mut self, state: &mut State, count: usize) -> candle_core::Result<()> {
        self.moments = load_moments(state, count)?;
        Ok(())
    }
}

/// First and second moments of each update, zero before the first step.
pub fn moments<'a>(moments: &'a mut Vec<[Tensor; 2]>, updates: &[Tensor]) -> Result<&'a mut [[Tensor; 2]]> {
    if moments.is_empty() {
        for update in updates {
            moments.push([update.zeros_like()?, update.zeros_like()?]);
        }
    }
    Ok(moments)
}

/// The moments as a stage's state.
pub fn moments_state(moments: &[[Tensor; 2]]) -> State {
    let mut state = State::new();
    state.put_all("first", moments.iter().map(|[first, _]| first));
    state.put_all("second", moments.iter().map(|[_, second]| second));
    state
}

/// What [`moments_state`] gave away, of `count` updates.
pub fn load_moments(state: &mut State, count: usize) -> candle_core::Result<Vec<[Tensor; 2]>> {
    let (first, second) = (state.take_all("first", count)?, state.take_all("second", count)?);
    if first.len() != second.len() {
        candle_core::bail!("there are {} first and {} second moments", first.len(), second.len())
    }
    Ok(first.into_iter().zip(second).map(|(first, second)| [first, second]).collect())
}
