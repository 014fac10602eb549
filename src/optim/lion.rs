//! Lion (Chen et al. 2023): the sign of an average that leans towards the newest gradient.

use candle_core::Tensor;

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// The update is `sign(β₁m + (1−β₁)u)` with `sign(0) = 0`, and then `m ← β₂m + (1−β₂)u`, from `m = 0`.
pub struct Lion {
    betas: [f64; 2],
    /// Empty before the first step.
    momentum: Vec<Tensor>,
}

impl Lion {
    pub const fn new(betas: [f64; 2]) -> Self {
        Self { betas, momentum: Vec::new() }
    }
}

impl Transform for Lion {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        let [beta1, beta2] = self.betas;
        if self.momentum.is_empty() {
            self.momentum = updates.0.iter().map(Tensor::zeros_like).collect::<candle_core::Result<_>>()?;
        }
        for (momentum, update) in self.momentum.iter_mut().zip(&mut updates.0) {
            let leaning = linalg::combine(beta1, momentum, 1.0 - beta1, update)?;
            *momentum = linalg::combine(beta2, momentum, 1.0 - beta2, update)?;
            *update = leaning.sign()?;
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("momentum", &self.momentum);
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        self.momentum = state.take_all("momentum", params.params.len())?;
        Ok(())
    }
}
