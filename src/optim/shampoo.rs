//! Shampoo (Gupta et al. 2018): each layer's gradient between the inverse fourth roots of its own second moments.
//!
//! Here `∇` is `d_in × d_out`, weight over bias, so `V = L^{-1/4} ∇ R^{-1/4}` with `L ← L + ∇∇ᵀ` over the inputs and `R ← R + ∇ᵀ∇` over
//! the outputs. Deviation: a convolution is the matrix `k²·C_in × C_out`, with its bias as one more row, where the paper takes four factors
//! of a four-way tensor.

use candle_core::Tensor;

use super::factor::Factor;
use super::invert::{Curvature, Inverse};
use super::{Error, Note, Result, ShampooConfig, Step, Transform, damping, probe, rescale, root};
use crate::clock::{Clock, Phase};
use crate::linalg;
use crate::param::{Block, Params, Updates};
use crate::state::State;

/// The Shampoo stage.
pub struct Shampoo {
    config: ShampooConfig,
    layers: Vec<Layer>,
    /// What was measured since it was last asked for; absent unless probed.
    notes: Option<Vec<Note>>,
}

struct Layer {
    block: Block,
    /// L over the inputs and R over the outputs; their `inverse` is the root.
    factors: [Factor; 2],
}

impl Shampoo {
    pub fn new(config: &ShampooConfig, blocks: &[Block]) -> Self {
        let layer = |block: &Block| Layer { block: block.clone(), factors: Factor::of(block) };
        Self { config: config.clone(), layers: blocks.iter().map(layer).collect(), notes: None }
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

    fn refresh(&mut self, clock: &Clock) -> Result {
        for factor in self.layers.iter_mut().flat_map(|layer| &mut layer.factors) {
            let Some(average) = factor.average.clone() else { continue };
            let before = clock.total();
            let start = || damping::power_start(factor.rows.iter().copied(), &average);
            let damping = {
                let _damping = clock.phase(Phase::Damping);
                damping::resolve(self.config.damping, Curvature::Matrix(&average), start)?
            };
            let inversion = clock.phase(Phase::Inversion);
            let identity = Tensor::eye(factor.order, average.dtype(), average.device())?;
            let damped = linalg::combine(1.0, &average, damping, &identity)?;
            let Some((root, branch)) = root::inverse_fourth_root(&damped)? else {
                return Err(Error::NotInvertible { factor: factor.name.clone() });
            };
            drop(inversion);
            factor.take(Inverse::Dense(root.clone()), branch, clock.total() - before);
            if let Some(notes) = &mut self.notes {
                let _pause = clock.pause();
                let square = linalg::product(&root, &root)?;
                let inverse = linalg::product(&square, &square)?;
                notes.extend(probe::factor(factor, &average, damping, branch, Some(&inverse))?);
            }
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
            self.refresh(step.clock)?;
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
        let changes = rescale::apply(changes, self.config.rescale, step.lr)?;
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
        state
    }

    fn load(&mut self, state: &mut State, _: &Params) -> candle_core::Result<()> {
        self.layers.iter_mut().flat_map(|layer| &mut layer.factors).try_for_each(|factor| factor.load(state))
    }

    fn factors(&self) -> Vec<&Factor> {
        self.layers.iter().flat_map(|layer| &layer.factors).collect()
    }

    fn probe(&mut self) {
        self.notes.get_or_insert_default();
    }

    fn notes(&mut self) -> Vec<Note> {
        self.notes.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
