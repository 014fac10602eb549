//! Weight decay: `u + λ·θ`, on every parameter, norms and biases too, unless its group says otherwise.

use std::sync::Arc;

use super::group::Scales;
use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// Adds a multiple of the parameters. Before momentum this is coupled decay (L2), after Adam it is decoupled.
pub struct WeightDecay {
    factor: f64,
    scales: Arc<Scales>,
    /// The first step that decays.
    from: usize,
    kind: Kind,
}

enum Kind {
    Plain,
    /// Divided by `1 − β₁ᵗ`.
    BiasCorrected(f64),
    /// Of the parameters as the step leaves them.
    After,
}

impl WeightDecay {
    pub fn new(factor: f64, scales: &Arc<Scales>) -> Self {
        Self { factor, scales: scales.clone(), from: 0, kind: Kind::Plain }
    }

    /// None before step `from`.
    pub fn from_step(factor: f64, from: usize, scales: &Arc<Scales>) -> Self {
        Self { from, ..Self::new(factor, scales) }
    }

    /// Divided by `1 − βᵗ`, as AdaNKFAC does.
    pub fn bias_corrected(factor: f64, beta: f64, scales: &Arc<Scales>) -> Self {
        Self { kind: Kind::BiasCorrected(beta), ..Self::new(factor, scales) }
    }

    /// `θ ← (1 − lr·λ)(θ − lr·u)` from the second step on, as SOAP does.
    pub fn after_the_step(factor: f64, scales: &Arc<Scales>) -> Self {
        Self { from: 1, kind: Kind::After, ..Self::new(factor, scales) }
    }
}

impl Transform for WeightDecay {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        if self.factor == 0.0 || step.index < self.from {
            return Ok(());
        }
        let _update = step.clock.phase(Phase::Update);
        for (id, (update, param)) in updates.0.iter_mut().zip(&step.params.params).enumerate() {
            let factor = self.factor * self.scales.decay[id];
            let (keep, add) = match self.kind {
                Kind::Plain => (1.0, factor),
                Kind::BiasCorrected(beta) => (1.0, factor / (1.0 - beta.powi(step.index as i32 + 1))),
                Kind::After => (1.0 - step.lr * self.scales.lr[id] * factor, factor),
            };
            if add != 0.0 {
                *update = linalg::combine(keep, update, add, &param.var.as_detached_tensor())?;
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
