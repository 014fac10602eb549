//! KFAC (Martens & Grosse 2015): each layer's gradient between the inverses of its two factors, `V = A⁻¹ ∇ G⁻¹`.
//!
//! Here `∇` is `d_in × d_out`, weight over bias, so the input factor `A` stands on the left. What distinguishes the members of
//! the family (scaling, damping, inverter, rescaling) is configuration.

use std::sync::Arc;

use candle_core::Tensor;

use super::factor::{self, Factor, Refresh, Side};
use super::invert::{self, Inverse, Inverter};
use super::moment::{self, Collector};
use super::{Damping, Eigenvalues, Fisher, KfacConfig, Note, Result, Rows, Step, Transform, probe, rescale};
use crate::clock::{Clock, Phase};
use crate::linalg;
use crate::param::{Block, Params, Tap, Updates};
use crate::state::State;

/// The KFAC stage.
pub struct Kfac {
    config: KfacConfig,
    inverter: Box<dyn Inverter>,
    collector: Arc<Collector>,
    tap: Arc<Tap>,
    layers: Vec<Layer>,
    /// What was measured since it was last asked for; absent unless probed.
    notes: Option<Vec<Note>>,
}

struct Layer {
    block: Block,
    /// The input factor A and the output factor G.
    factors: [Factor; 2],
    /// The corrected eigenvalues, `d_in × d_out`; absent before the first step after a refresh.
    corrected: Option<Tensor>,
}

impl Kfac {
    /// A stage for the layers of a net.
    #[must_use]
    pub fn new(config: &KfacConfig, blocks: &[Block]) -> Self {
        let collector = Arc::new(Collector::new(blocks, config.moments));
        let tap = match config.moments.rows {
            Rows::All => Tap::new(collector.clone()),
            Rows::Pooled => Tap::pooled(collector.clone()),
        };
        Self {
            inverter: invert::inverter(config.inverter),
            tap: Arc::new(tap),
            collector,
            layers: blocks.iter().map(Layer::new).collect(),
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

    fn refresh(&mut self, number: usize, clock: &Clock) -> Result {
        let is_joint = matches!(self.config.damping, Damping::Joint { .. });
        for layer in &mut self.layers {
            layer.corrected = None;
            for factor in &mut layer.factors {
                let refreshed = factor.refresh(self.inverter.as_ref(), &self.config, number, clock)?;
                let (Some(notes), Some(refresh)) = (&mut self.notes, refreshed) else { continue };
                let _pause = clock.pause();
                let Refresh { average, damping, branch } = refresh;
                let statistics = factor::curvature(&average, &self.config).dense()?;
                let inverse = factor.inverse.as_ref().filter(|_| !is_joint).map(Inverse::dense).transpose()?;
                notes.extend(probe::factor(factor, &statistics, damping, branch, inverse.as_ref())?);
            }
        }
        Ok(())
    }

    fn precondition(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let mut changes = Vec::with_capacity(self.layers.len());
        for layer in &mut self.layers {
            let gradient = updates.matrix(&layer.block)?;
            let direction = layer.precondition(&gradient, &self.config, step.samples)?;
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
}

impl Transform for Kfac {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        if step.index.is_multiple_of(self.config.factor_every) {
            let _moments = step.clock.phase(Phase::Moments);
            self.gather()?;
        }
        if step.index.is_multiple_of(self.config.inverse_every) {
            self.refresh(step.index / self.config.inverse_every, step.clock)?;
        }
        let _preconditioning = step.clock.phase(Phase::Preconditioning);
        self.precondition(updates, step)
    }

    fn state(&self) -> State {
        let mut state = State::new();
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
        Some((self.tap.clone(), self.config.fisher))
    }

    fn kfac(&self) -> Option<&Kfac> {
        Some(self)
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

impl Layer {
    fn new(block: &Block) -> Self {
        Self { block: block.clone(), factors: Factor::of(block), corrected: None }
    }

    /// `A⁻¹ ∇ G⁻¹`; the gradient itself as long as there are no inverses.
    fn precondition(&mut self, gradient: &Tensor, config: &KfacConfig, samples: usize) -> Result<Tensor> {
        let [Some(a), Some(g)] = self.factors.each_ref().map(|factor| factor.inverse.as_ref()) else {
            return Ok(gradient.clone());
        };
        match (a, g, config.damping) {
            (
                Inverse::Eigen { vectors: a, values: a_values, .. },
                Inverse::Eigen { vectors: g, values: g_values, .. },
                Damping::Joint { value },
            ) => {
                let turned = linalg::product(&linalg::product(&a.t()?, gradient)?, g)?;
                let mut eigenvalues = a_values.unsqueeze(1)?.matmul(&g_values.unsqueeze(0)?)?;
                if let Eigenvalues::Corrected { decay } = config.eigenvalues {
                    let last = self.corrected.as_ref().unwrap_or(&eigenvalues);
                    let fresh = samples as f64 * (1.0 - decay);
                    eigenvalues = linalg::combine(decay, last, fresh, &turned.sqr()?)?;
                    self.corrected = Some(eigenvalues.clone());
                }
                Ok(linalg::product(&linalg::product(a, &(turned / (eigenvalues + value)?)?)?, &g.t()?)?)
            }
            _ => Ok(g.apply_right(&a.apply(gradient)?)?),
        }
    }
}
