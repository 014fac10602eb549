//! Adam (Kingma & Ba 2015) and two that differ from it by a line, in PyTorch's order of operations: RAdam (Liu et al. 2020), adaptive only
//! once the variance of the adaptive rate is bounded, and AdaBelief (Zhuang et al. 2020), which measures a gradient against its own
//! average (as adabelief-pytorch 0.2.1 does, without rectification).

use candle_core::Tensor;

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// `m ← β₁m + (1−β₁)u`, `v ← β₂v + (1−β₂)u²`; the result is `m/(1−β₁ᵗ) / (√v/√(1−β₂ᵗ) + ε)`. Kept is `√v`, which has room wherever u has.
pub struct Adam {
    betas: [f64; 2],
    eps: f64,
    kind: Kind,
    /// m and `√v` of each update; empty before the first step.
    moments: Vec<[Tensor; 2]>,
}

enum Kind {
    Plain,
    /// `m̂·r·√(1−β₂ᵗ)/(√v + ε)` with `r² = ((ρ−4)(ρ−2)ρ∞)/((ρ∞−4)(ρ∞−2)ρ)`, or `m̂` while `ρ ≤ 5`.
    Rectified,
    /// `v ← β₂v + (1−β₂)(u − m)² + ε`; the ε stays in `v`.
    Belief,
}

impl Adam {
    pub const fn new(betas: [f64; 2], eps: f64) -> Self {
        Self { betas, eps, kind: Kind::Plain, moments: Vec::new() }
    }

    /// RAdam.
    pub const fn rectified(betas: [f64; 2], eps: f64) -> Self {
        Self { betas, eps, kind: Kind::Rectified, moments: Vec::new() }
    }

    /// AdaBelief.
    pub const fn belief(betas: [f64; 2], eps: f64) -> Self {
        Self { betas, eps, kind: Kind::Belief, moments: Vec::new() }
    }

    /// Takes up the moments of `count` updates.
    pub fn load_count(&mut self, state: &mut State, count: usize) -> candle_core::Result<()> {
        let (first, root) = (state.take_all("first", count)?, state.take_all("root", count)?);
        if first.len() != root.len() {
            candle_core::bail!("there are {} first and {} second moments", first.len(), root.len())
        }
        self.moments = first.into_iter().zip(root).map(|(first, root)| [first, root]).collect();
        Ok(())
    }

    /// What m and `√v` are divided by in update number `count`, from 1; the latter is `None` where the rate is not adaptive yet.
    fn corrections(&self, count: i32) -> (f64, Option<f64>) {
        let [mean, square] = self.betas.map(|beta| 1.0 - beta.powi(count));
        match self.kind {
            Kind::Plain | Kind::Belief => (mean, Some(square.sqrt())),
            Kind::Rectified => match self.rectification(count) {
                Some(rectification) => (mean / rectification, Some(1.0)),
                None => (mean, None),
            },
        }
    }

    /// RAdam's `r·√(1−β₂ᵗ)`, if the rate is to be adaptive in update number `count`.
    fn rectification(&self, count: i32) -> Option<f64> {
        let power = self.betas[1].powi(count);
        let limit = 2.0 / (1.0 - self.betas[1]) - 1.0;
        let length = limit - 2.0 * f64::from(count) * power / (1.0 - power);
        let ratio = (length - 4.0) * (length - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * length);
        (length > 5.0).then(|| (ratio * (1.0 - power)).sqrt())
    }
}

impl Transform for Adam {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        if self.moments.is_empty() {
            for update in &updates.0 {
                self.moments.push([update.zeros_like()?, update.zeros_like()?]);
            }
        }
        let (mean, root) = self.corrections(step.index as i32 + 1);
        let numbers = linalg::Adam {
            betas: self.betas,
            corrections: [mean, root.unwrap_or(1.0)],
            eps: self.eps,
            belief: matches!(self.kind, Kind::Belief),
        };
        for (update, moments) in updates.0.iter_mut().zip(&mut self.moments) {
            let [m, r, change] = linalg::adam([&moments[0], &moments[1], &*update], &numbers)?;
            *update = if root.is_some() { change } else { linalg::scale(1.0 / mean, &m)? };
            *moments = [m, r];
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("first", self.moments.iter().map(|[first, _]| first));
        state.put_all("root", self.moments.iter().map(|[_, root]| root));
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        self.load_count(state, params.params.len())
    }
}
