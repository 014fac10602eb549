//! Shampoo (Gupta et al. 2018): each layer's gradient between the inverse p-th roots of its own second moments.
//!
//! Here `∇` is `d_in × d_out`, weight over bias, so `V = L^{-1/p} ∇ R^{-1/p}` with `L ← L + ∇∇ᵀ` over the inputs and `R ← R + ∇ᵀ∇` over
//! the outputs. Deviation: a convolution is the matrix `k²·C_in × C_out`, with its bias as one more row, where the paper takes four factors
//! of a four-way tensor.

use super::factor::Factor;
use super::invert::Problem;
use super::rescale::Rescaler;
use super::{Notes, Result, ShampooConfig, Step, Transform, probe, root};
use crate::clock::{Clock, Phase};
use crate::linalg;
use crate::param::{Block, Params, Updates};
use crate::state::State;

/// The Shampoo stage.
pub struct Shampoo {
    config: ShampooConfig,
    layers: Vec<Layer>,
    rescaler: Rescaler,
    notes: Notes,
}

struct Layer {
    block: Block,
    /// L over the inputs and R over the outputs; their `inverse` is the root.
    factors: [Factor; 2],
}

impl Shampoo {
    pub fn new(config: &ShampooConfig, blocks: &[Block]) -> Self {
        let layer = |block: &Block| Layer { block: block.clone(), factors: Factor::of(block) };
        let rescaler = Rescaler::new(config.rescale);
        Self { config: config.clone(), layers: blocks.iter().map(layer).collect(), rescaler, notes: None }
    }

    fn gather(&mut self, updates: &Updates) -> Result {
        let decay = self.config.decay;
        let fresh = if decay < 1.0 { 1.0 - decay } else { 1.0 };
        for layer in &mut self.layers {
            let gradient = updates.matrix(&layer.block)?;
            let transposed = gradient.t()?.contiguous()?;
            let moments = [linalg::product(&gradient, &transposed)?, linalg::product(&transposed, &gradient)?];
            for (factor, new) in layer.factors.iter_mut().zip(moments) {
                factor.average = Some(match &factor.average {
                    Some(average) => linalg::combine(decay, average, fresh, &new)?,
                    None => (new * fresh)?,
                });
            }
        }
        Ok(())
    }

    fn refresh(&mut self, number: usize, clock: &Clock) -> Result {
        for factor in self.layers.iter_mut().flat_map(|layer| &mut layer.factors) {
            let root = |problem: &Problem<'_>| root::inverse_root(&problem.damped()?, self.config.root);
            let Some(refresh) = factor.refresh(false, self.config.damping, number, clock, root)? else {
                continue;
            };
            let (Some(notes), Some(root)) = (&mut self.notes, &factor.inverse) else { continue };
            let _pause = clock.pause();
            let root = root.dense()?;
            let inverse = (1..self.config.root).try_fold(root.clone(), |power, _| linalg::product(&power, &root))?;
            notes.extend(probe::factor(factor, &refresh.average, refresh.damping, refresh.branch, Some(inverse))?);
        }
        Ok(())
    }
}

impl Transform for Shampoo {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        if step.index.is_multiple_of(self.config.factor_every) {
            let _moments = step.clock.phase(Phase::Moments);
            self.gather(updates)?;
        }
        if step.index.is_multiple_of(self.config.root_every) {
            self.refresh(step.index / self.config.root_every, step.clock)?;
        }
        let _preconditioning = step.clock.phase(Phase::Preconditioning);
        let mut changes = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let gradient = updates.matrix(&layer.block)?;
            let [Some(left), Some(right)] = layer.factors.each_ref().map(|factor| factor.inverse.as_ref()) else {
                return Ok(());
            };
            let direction = right.apply(&left.apply(&gradient)?.t()?)?.t()?;
            changes.push((gradient, direction));
        }
        let changes = self.rescaler.apply(changes, step)?;
        if let Some(notes) = self.notes.as_mut().filter(|_| step.index.is_multiple_of(self.config.factor_every)) {
            let _pause = step.clock.pause();
            notes.extend(probe::step(&changes, step.lr)?);
        }
        for (layer, (_, direction)) in self.layers.iter().zip(changes) {
            updates.set_matrix(&layer.block, &direction)?;
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        for factor in self.factors() {
            state.put_part(&factor.name, factor.state());
        }
        state.put_part("graft", self.rescaler.state());
        state
    }

    fn load(&mut self, state: &mut State, _: &Params) -> candle_core::Result<()> {
        self.rescaler.load(state.take_part("graft"), self.layers.len())?;
        self.layers.iter_mut().flat_map(|layer| &mut layer.factors).try_for_each(|factor| factor.load(state))
    }

    fn factors(&self) -> Vec<&Factor> {
        self.layers.iter().flat_map(|layer| &layer.factors).collect()
    }

    fn notes(&mut self) -> Option<&mut Notes> {
        Some(&mut self.notes)
    }
}
