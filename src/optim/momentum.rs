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
    velocity: Option<Vec<Tensor>>,
}

impl Momentum {
    pub const fn new(factor: f64, nesterov: bool) -> Self {
        Self { factor, nesterov, velocity: None }
    }
}

impl Transform for Momentum {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        if self.factor == 0.0 {
            return Ok(());
        }
        let _update = step.clock.phase(Phase::Update);
        let velocity = match self.velocity.take() {
            Some(old) => {
                let pairs = old.iter().zip(&updates.0);
                pairs
                    .map(|(old, update)| linalg::combine(self.factor, old, 1.0, update))
                    .collect::<candle_core::Result<Vec<_>>>()?
            }
            None => updates.0.clone(),
        };
        if self.nesterov {
            for (update, velocity) in updates.0.iter_mut().zip(&velocity) {
                *update = linalg::combine(1.0, update, self.factor, velocity)?;
            }
        } else {
            updates.0.clone_from(&velocity);
        }
        self.velocity = Some(velocity);
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("velocity", self.velocity.iter().flatten());
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        let velocity = state.take_all("velocity", params.params.len())?;
        self.velocity = (!velocity.is_empty()).then_some(velocity);
        Ok(())
    }
}
