//! KFAC (Martens & Grosse 2015): each layer's gradient between the inverses of its two factors, `V = A⁻¹ ∇ G⁻¹`.
//!
//! Here `∇` is `d_in × d_out`, weight over bias, so the input factor `A` stands on the left. What distinguishes the members of
//! the family (scaling, damping, inverter, rescaling) is configuration.

use std::sync::Arc;

use candle_core::Tensor;

use super::factor::{self, Factor, Refresh, Side};
use super::invert::{self, Inverse, Inverter, Problem};
use super::layer::Layer;
use super::moment::{self, Collector};
use super::rescale::Rescaler;
use super::{Damping, Fisher, KfacConfig, Notes, Result, Sharing, Sides, Step, Transform, probe};
use crate::clock::{Clock, Phase};
use crate::param::{Block, Params, Tap, Updates};
use crate::state::State;

/// The KFAC stage.
pub struct Kfac {
    config: KfacConfig,
    inverter: Box<dyn Inverter>,
    collector: Arc<Collector>,
    tap: Arc<Tap>,
    layers: Vec<Layer>,
    rescaler: Rescaler,
    notes: Notes,
}

impl Kfac {
    /// A stage for the layers of a net.
    #[must_use]
    pub fn new(config: &KfacConfig, blocks: &[Block]) -> Self {
        let collector = Arc::new(Collector::new(blocks, config.moments));
        let tap = match config.moments.sharing {
            Sharing::Expand => Tap::new(collector.clone()),
            Sharing::Reduce => Tap::pooled(collector.clone()),
        };
        let tap = if config.sides == Sides::Inputs { tap.of_inputs() } else { tap };
        Self {
            inverter: invert::inverter(config.inverter),
            tap: Arc::new(tap),
            collector,
            layers: blocks.iter().map(Layer::new).collect(),
            rescaler: Rescaler::new(config.rescale),
            config: config.clone(),
            notes: None,
        }
    }

    /// One factor of the layer named `block`, with that layer.
    #[must_use]
    pub fn factor(&self, block: &str, side: Side) -> Option<(&Block, &Factor)> {
        let layer = self.layers.iter().find(|layer| layer.block.name == block)?;
        Some((&layer.block, &layer.factors[side as usize]))
    }

    /// Takes the captures of this step into the averages.
    fn gather(&mut self) -> Result {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let Some((capture, folded)) = self.collector.take(i) else { continue };
            if folded.is_some() {
                layer.factors[Side::Inputs as usize].average = folded;
            }
            let moments = moment::scaled(&capture, self.config.moments)?;
            for (factor, new) in layer.factors.iter_mut().zip(moments) {
                if let Some(new) = new {
                    factor.average = Some(moment::average(factor.average.take(), &new, self.config.moments)?);
                }
            }
        }
        Ok(())
    }

    /// New inverses, and by layer what was refreshed.
    fn refresh(&mut self, number: usize, clock: &Clock) -> Result<Vec<[Option<Refresh>; 2]>> {
        let (keeps_rows, damping) = (self.config.moments.keeps_rows(), self.config.damping);
        let invert = |problem: &Problem<'_>| self.inverter.invert(problem);
        let refresh = |layer: &mut Layer| {
            layer.corrected = None;
            let [a, g] = &mut layer.factors;
            let a = a.refresh(keeps_rows, damping, number, clock, invert)?;
            Ok([a, g.refresh(keeps_rows, damping, number, clock, invert)?])
        };
        self.layers.iter_mut().map(refresh).collect()
    }

    /// Says what was measured of refreshed inverses, outside of the clock.
    fn note(&mut self, refreshed: Vec<[Option<Refresh>; 2]>, clock: &Clock) -> Result {
        let Some(notes) = &mut self.notes else { return Ok(()) };
        let _pause = clock.pause();
        let keeps_rows = self.config.moments.keeps_rows();
        let is_joint = matches!(self.config.damping, Damping::Joint { .. });
        let factors = self.layers.iter_mut().flat_map(|layer| &mut layer.factors);
        for (factor, refresh) in factors.zip(refreshed.into_iter().flatten()) {
            let Some(Refresh { average, damping, branch }) = refresh else { continue };
            let statistics = factor::curvature(&average, keeps_rows).dense()?;
            let inverse = factor.inverse.as_ref().filter(|_| !is_joint).map(Inverse::dense).transpose()?;
            notes.extend(probe::factor(factor, &statistics, damping, branch, inverse)?);
        }
        Ok(())
    }

    /// Each layer's gradient and what it is made into, before that is brought back into bounds.
    fn directions(&mut self, updates: &Updates, samples: usize) -> Result<Vec<(Tensor, Tensor)>> {
        let config = &self.config;
        let direction = |layer: &mut Layer| {
            let gradient = updates.matrix(&layer.block)?;
            let direction = layer.precondition(&gradient, config, samples)?;
            Ok((gradient, direction))
        };
        self.layers.iter_mut().map(direction).collect()
    }
}

impl Transform for Kfac {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        if step.index.is_multiple_of(self.config.factor_every) {
            let _moments = step.clock.phase(Phase::Moments);
            self.gather()?;
        }
        let mut refreshed = Vec::new();
        if step.index.is_multiple_of(self.config.inverse_every) {
            refreshed = self.refresh(step.index / self.config.inverse_every, step.clock)?;
        }
        let preconditioning = step.clock.phase(Phase::Preconditioning);
        let changes = self.directions(updates, step.samples)?;
        for ((layer, change), refreshed) in self.layers.iter_mut().zip(&changes).zip(&mut refreshed) {
            layer.doubt(change, &self.config, refreshed)?;
        }
        let changes = self.rescaler.apply(changes, step)?;
        for (layer, (_, direction)) in self.layers.iter().zip(&changes) {
            updates.set_matrix(&layer.block, direction)?;
        }
        drop(preconditioning);
        self.note(refreshed, step.clock)?;
        if let Some(notes) = self.notes.as_mut().filter(|_| step.index.is_multiple_of(self.config.factor_every)) {
            let _pause = step.clock.pause();
            notes.extend(probe::step(&changes, step.lr)?);
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_part("graft", self.rescaler.state());
        for layer in &self.layers {
            for factor in &layer.factors {
                state.put_part(&factor.name, factor.state());
            }
            if let Some(corrected) = &layer.corrected {
                state.put(format!("{}/corrected", layer.block.name), corrected);
            }
        }
        state
    }

    fn load(&mut self, state: &mut State, _: &Params) -> candle_core::Result<()> {
        self.rescaler.load(state.take_part("graft"), self.layers.len())?;
        for layer in &mut self.layers {
            layer.factors.iter_mut().try_for_each(|factor| factor.load(state))?;
            layer.corrected = state.take(&format!("{}/corrected", layer.block.name));
        }
        Ok(())
    }

    fn listens(&self, index: usize) -> Option<(Arc<Tap>, Fisher)> {
        if !index.is_multiple_of(self.config.factor_every) {
            return None;
        }
        for (i, layer) in self.layers.iter().enumerate() {
            self.collector.lend(i, layer.factors[Side::Inputs as usize].average.clone());
        }
        // Inputs are the same whatever the labels are.
        let fisher = if self.config.sides == Sides::Inputs { Fisher::Empirical } else { self.config.fisher };
        Some((self.tap.clone(), fisher))
    }

    fn kfac(&self) -> Option<&Kfac> {
        Some(self)
    }

    fn factors(&self) -> Vec<&Factor> {
        self.layers.iter().flat_map(|layer| layer.factors.iter().take(sides(&self.config))).collect()
    }

    fn notes(&mut self) -> Option<&mut Notes> {
        Some(&mut self.notes)
    }
}

/// How many of a layer's factors are kept.
fn sides(config: &KfacConfig) -> usize {
    if config.sides == Sides::Inputs { 1 } else { 2 }
}
