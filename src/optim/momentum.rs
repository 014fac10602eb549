//! Heavy-ball momentum without dampening (Polyak 1964), or Nesterov's: `m ← μm + u`, and `m` or `u + μm` is the step.

use candle_core::Tensor;

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

pub struct Momentum {
    factor: f64,
    nesterov: bool,
    /// Empty before the first step.
    velocity: Vec<Tensor>,
}

impl Momentum {
    pub const fn new(factor: f64, nesterov: bool) -> Self {
        Self { factor, nesterov, velocity: Vec::new() }
    }
}

impl Transform for Momentum {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        if self.factor == 0.0 {
            return Ok(());
        }
        let _update = step.clock.phase(Phase::Update);
        let started = !self.velocity.is_empty();
        if !started {
            self.velocity.clone_from(&updates.0);
        }
        // One parameter after the other, so that no second set of them is ever in memory.
        for (velocity, update) in self.velocity.iter_mut().zip(&mut updates.0) {
            if started {
                *velocity = linalg::combine(self.factor, velocity, 1.0, update)?;
            }
            *update =
                if self.nesterov { linalg::combine(1.0, update, self.factor, velocity)? } else { velocity.clone() };
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("velocity", &self.velocity);
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        self.velocity = state.take_all("velocity", params.params.len())?;
        Ok(())
    }
}
