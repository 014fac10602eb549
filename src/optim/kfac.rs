//! KFAC (Martens & Grosse 2015): each layer's gradient between the inverses of its two factors, `V = A⁻¹ ∇ G⁻¹`.
//!
//! Here `∇` is `d_in × d_out`, weight over bias, so the input factor `A` stands on the left. What distinguishes the members of
//! the family (scaling, damping, inverter, rescaling) is configuration.

use std::sync::Arc;

use candle_core::Tensor;

use super::invert::{self, Branch, Inverse, Inverter, Problem};
use super::moment::{self, Collector};
use super::{Damping, Error, Fisher, KfacConfig, Rescale, Result, Step, Transform, damping};
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
}

struct Layer {
    block: Block,
    /// The input factor A and the output factor G.
    factors: [Factor; 2],
}

/// Which of a layer's two factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A, of the inputs.
    Inputs = 0,
    /// G, of the output gradients.
    OutputGrads = 1,
}

/// One factor with its inverse, and an account of what keeping it cost.
#[derive(Debug)]
pub struct Factor {
    /// `layer1.0.conv1/a`, `layer1.0.conv1/g`.
    pub name: String,
    pub order: usize,
    /// The moving average; absent before the first statistics.
    pub average: Option<Tensor>,
    /// Absent before the first refresh.
    pub inverse: Option<Inverse>,
    /// Refreshes so far that were exact, pure Newton, and damped Newton.
    pub refreshes: [usize; 3],
    /// Seconds of damping and inversion so far.
    pub seconds: f64,
    /// For each of our rows its place in PyTorch's order, which the power iteration's start follows.
    rows: Vec<usize>,
}

impl Kfac {
    /// A stage for the layers of a net.
    #[must_use]
    pub fn new(config: &KfacConfig, blocks: &[Block]) -> Self {
        let collector = Arc::new(Collector::new(blocks.len()));
        Self {
            inverter: invert::inverter(config.inverter),
            tap: Arc::new(Tap::new(collector.clone())),
            collector,
            layers: blocks.iter().map(Layer::new).collect(),
            config: config.clone(),
        }
    }

    /// Every factor, layer by layer, A before G.
    pub fn factors(&self) -> impl Iterator<Item = &Factor> {
        self.layers.iter().flat_map(|layer| &layer.factors)
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
            let Some(capture) = self.collector.take(i) else { continue };
            let moments = moment::scaled(&capture, self.config.moments.scale)?;
            for (factor, new) in layer.factors.iter_mut().zip(moments) {
                if let Some(new) = new {
                    factor.average = Some(moment::average(factor.average.as_ref(), &new, self.config.moments)?);
                }
            }
        }
        Ok(())
    }

    fn refresh(&mut self, number: usize, clock: &Clock) -> Result {
        for factor in self.layers.iter_mut().flat_map(|layer| &mut layer.factors) {
            factor.refresh(self.inverter.as_ref(), self.config.damping, number, clock)?;
        }
        Ok(())
    }

    fn precondition(&self, updates: &mut Updates, lr: f64) -> Result {
        let mut changes = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let gradient = updates.matrix(&layer.block)?;
            let direction = layer.precondition(&gradient, self.config.damping)?;
            let direction = match self.config.rescale {
                Rescale::GradientNorm => to_norm_of(&direction, &gradient)?,
                Rescale::None | Rescale::KlClip { .. } => direction,
            };
            changes.push((gradient, direction));
        }
        let scale = match self.config.rescale {
            Rescale::KlClip { limit } => kl_clip(&changes, limit, lr)?,
            Rescale::None | Rescale::GradientNorm => 1.0,
        };
        for (layer, (_, direction)) in self.layers.iter().zip(changes) {
            updates.set_matrix(&layer.block, &(direction * scale)?)?;
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
        self.precondition(updates, step.lr)
    }

    fn state(&self) -> State {
        let mut state = State::new();
        for factor in self.factors() {
            state.put_part(&factor.name, factor.state());
        }
        state
    }

    fn load(&mut self, state: &mut State, _: &Params) -> candle_core::Result<()> {
        for factor in self.layers.iter_mut().flat_map(|layer| &mut layer.factors) {
            let mut part = state.take_part(&factor.name);
            factor.load(&mut part)?;
            part.finish()?;
        }
        Ok(())
    }

    fn listens(&self, index: usize) -> Option<(Arc<Tap>, Fisher)> {
        index.is_multiple_of(self.config.factor_every).then(|| (self.tap.clone(), self.config.fisher))
    }

    fn kfac(&self) -> Option<&Kfac> {
        Some(self)
    }
}

impl Layer {
    fn new(block: &Block) -> Self {
        let inputs = Factor::new(format!("{}/a", block.name), block.torch_rows());
        let output_grads = Factor::new(format!("{}/g", block.name), (0..block.outputs).collect());
        Self { block: block.clone(), factors: [inputs, output_grads] }
    }

    /// `A⁻¹ ∇ G⁻¹`; the gradient itself as long as there are no inverses.
    fn precondition(&self, gradient: &Tensor, damping: Damping) -> Result<Tensor> {
        let [Some(a), Some(g)] = self.factors.each_ref().map(|factor| factor.inverse.as_ref()) else {
            return Ok(gradient.clone());
        };
        match (a, g, damping) {
            (
                Inverse::Eigen { vectors: a, values: a_values, .. },
                Inverse::Eigen { vectors: g, values: g_values, .. },
                Damping::Joint { value },
            ) => {
                let turned = a.t()?.matmul(gradient)?.matmul(g)?;
                let scale = (a_values.unsqueeze(1)?.matmul(&g_values.unsqueeze(0)?)? + value)?;
                Ok(a.matmul(&(turned / scale)?)?.matmul(&g.t()?)?)
            }
            _ => Ok(g.apply(&a.apply(gradient)?.t()?)?.t()?),
        }
    }
}

impl Factor {
    fn new(name: String, rows: Vec<usize>) -> Self {
        let order = rows.len();
        Self { name, order, average: None, inverse: None, refreshes: [0; 3], seconds: 0.0, rows }
    }

    fn refresh(&mut self, inverter: &dyn Inverter, damping: Damping, number: usize, clock: &Clock) -> Result {
        let Some(average) = &self.average else { return Ok(()) };
        let before = clock.total();
        let damping = {
            let _damping = clock.phase(Phase::Damping);
            damping::resolve(damping, average, || damping::power_start(self.rows.iter().copied(), average))?
        };
        let inversion = clock.phase(Phase::Inversion);
        let problem = Problem { factor: average, damping, previous: self.inverse.as_ref(), refresh: number };
        let Some(refreshed) = inverter.invert(&problem)? else {
            return Err(Error::NotInvertible { factor: self.name.clone() });
        };
        self.inverse = Some(refreshed.inverse.contiguous()?);
        self.refreshes[match refreshed.branch {
            Branch::Exact => 0,
            Branch::Newton => 1,
            Branch::NewtonDamped => 2,
        }] += 1;
        drop(inversion);
        self.seconds += clock.total() - before;
        Ok(())
    }
}

/// Names of [`Factor::refreshes`] in checkpoints.
const REFRESHES: [&str; 3] = ["exact", "newton", "newton-damped"];

impl Factor {
    fn state(&self) -> State {
        let mut state = State::new();
        if let Some(average) = &self.average {
            state.put("average", average);
        }
        if let Some(inverse) = &self.inverse {
            state.put_part("inverse", inverse.state());
        }
        for (name, count) in REFRESHES.into_iter().zip(self.refreshes) {
            state.put_number(name, count as f64);
        }
        state.put_number("seconds", self.seconds);
        state
    }

    fn load(&mut self, state: &mut State) -> candle_core::Result<()> {
        self.average = state.take("average");
        self.inverse = Inverse::load(state.take_part("inverse"))?;
        for (name, count) in REFRESHES.into_iter().zip(&mut self.refreshes) {
            *count = state.take_count(name)?;
        }
        self.seconds = state.take_number("seconds")?;
        Ok(())
    }
}

/// `V·‖∇‖_F / (‖V‖_F + 1e-12)`.
fn to_norm_of(direction: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let norm = |matrix: &Tensor| matrix.sqr()?.sum_all()?.sqrt();
    Ok(direction.broadcast_mul(&(norm(gradient)? / (norm(direction)? + 1e-12)?)?)?)
}

/// `ν = min(1, √(limit / Σ lr²⟨V, ∇⟩))`, and 1 where the sum is not positive.
fn kl_clip(changes: &[(Tensor, Tensor)], limit: f64, lr: f64) -> Result<f64> {
    let mut sum = 0.0;
    for (gradient, direction) in changes {
        let product: f64 = (gradient * direction)?.sum_all()?.to_dtype(candle_core::DType::F64)?.to_scalar()?;
        sum += lr * lr * product;
    }
    Ok(if sum > 0.0 { (limit / sum).sqrt().min(1.0) } else { 1.0 })
}
