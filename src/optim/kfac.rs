//! KFAC (Martens & Grosse 2015): each layer's gradient between the inverses of its two factors, `V = A⁻¹ ∇ G⁻¹`.
//!
//! Here `∇` is `d_in × d_out`, weight over bias, so the input factor `A` stands on the left. What distinguishes the members of
//! the family (scaling, damping, inverter, rescaling) is configuration.

use std::sync::Arc;

use candle_core::Tensor;

use super::invert::{self, Branch, Curvature, Inverse, Inverter, Problem};
use super::moment::{self, Collector};
use super::{
    Damping, Eigenvalues, Error, Fisher, KfacConfig, Note, Rescale, Result, Rows, Step, Transform, damping, probe,
};
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
    /// The moving average, or the last batch's rows where the recipe keeps rows; absent before the first statistics.
    pub average: Option<Tensor>,
    /// Absent before the first refresh.
    pub inverse: Option<Inverse>,
    /// Refreshes so far by the way they went, in the order of [`Branch::ALL`].
    pub refreshes: [usize; Branch::ALL.len()],
    /// Seconds of damping and inversion so far.
    pub seconds: f64,
    /// Those of the last refresh.
    pub(super) last_seconds: f64,
    /// The statistics of the last refresh, n×n; kept for probes only.
    pub(super) last_statistics: Option<Tensor>,
    /// For each of our rows its place in PyTorch's order, which the power iteration's start follows.
    pub(super) rows: Vec<usize>,
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
        for layer in &mut self.layers {
            layer.corrected = None;
            for factor in &mut layer.factors {
                factor.refresh(self.inverter.as_ref(), &self.config, number, clock, self.notes.as_mut())?;
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
        let changes = apply_rescale(changes, self.config.rescale, step.lr)?;
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

impl Factor {
    fn new(name: String, rows: Vec<usize>) -> Self {
        Self {
            name,
            order: rows.len(),
            average: None,
            inverse: None,
            refreshes: [0; Branch::ALL.len()],
            seconds: 0.0,
            last_seconds: 0.0,
            last_statistics: None,
            rows,
        }
    }

    /// The two factors of a layer: over its inputs, and over its outputs.
    pub(super) fn of(block: &Block) -> [Self; 2] {
        let inputs = Self::new(format!("{}/a", block.name), block.torch_rows());
        [inputs, Self::new(format!("{}/g", block.name), (0..block.outputs).collect())]
    }

    fn refresh(
        &mut self,
        inverter: &dyn Inverter,
        config: &KfacConfig,
        number: usize,
        clock: &Clock,
        notes: Option<&mut Vec<Note>>,
    ) -> Result {
        let Some(average) = self.average.clone() else { return Ok(()) };
        let before = clock.total();
        let factor = if config.moments.keeps_rows() { Curvature::Rows(&average) } else { Curvature::Matrix(&average) };
        let damping = {
            let _damping = clock.phase(Phase::Damping);
            damping::resolve(config.damping, factor, || damping::power_start(self.rows.iter().copied(), &average))?
        };
        let inversion = clock.phase(Phase::Inversion);
        let problem = Problem { factor, damping, previous: self.inverse.as_ref(), refresh: number };
        let Some(refreshed) = inverter.invert(&problem)? else {
            return Err(Error::NotInvertible { factor: self.name.clone() });
        };
        drop(inversion);
        self.take(refreshed.inverse.contiguous()?, refreshed.branch, clock.total() - before);
        if let (Some(notes), Some(inverse)) = (notes, &self.inverse) {
            let _pause = clock.pause();
            let is_joint = matches!(config.damping, Damping::Joint { .. });
            let inverse = if is_joint { None } else { Some(inverse.dense()?) };
            notes.extend(probe::factor(self, &factor.dense()?, damping, refreshed.branch, inverse.as_ref())?);
        }
        Ok(())
    }

    /// Takes a new inverse, and counts what it cost.
    pub(super) fn take(&mut self, inverse: Inverse, branch: Branch, seconds: f64) {
        self.inverse = Some(inverse);
        self.refreshes[branch as usize] += 1;
        self.seconds += seconds;
        self.last_seconds = seconds;
    }
}

/// Brings the directions, `(∇, V)` by layer, back into bounds.
pub(super) fn apply_rescale(
    mut changes: Vec<(Tensor, Tensor)>,
    rescale: Rescale,
    lr: f64,
) -> Result<Vec<(Tensor, Tensor)>> {
    match rescale {
        Rescale::None => {}
        Rescale::GradientNorm => {
            for (gradient, direction) in &mut changes {
                *direction = to_norm_of(direction, gradient)?;
            }
        }
        Rescale::KlClip { limit } => {
            let scale = kl_clip(&changes, limit, lr)?;
            for (_, direction) in &mut changes {
                *direction = linalg::scale(scale, direction)?;
            }
        }
    }
    Ok(changes)
}

/// Names of [`Factor::refreshes`] in checkpoints.
const REFRESHES: [&str; Branch::ALL.len()] = ["exact", "newton", "newton-damped", "fallback", "approximate"];

/// Checkpoints, under the factor's name.
impl Factor {
    pub(super) fn state(&self) -> State {
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
        if let Some(statistics) = &self.last_statistics {
            state.put("last-statistics", statistics);
        }
        state
    }

    pub(super) fn load(&mut self, state: &mut State) -> candle_core::Result<()> {
        let mut state = state.take_part(&self.name);
        self.average = state.take("average");
        self.last_statistics = state.take("last-statistics");
        self.inverse = Inverse::load(state.take_part("inverse"))?;
        for (name, count) in REFRESHES.into_iter().zip(&mut self.refreshes) {
            *count = state.take_count(name)?;
        }
        self.seconds = state.take_number("seconds")?;
        state.finish()
    }
}

/// `V·‖∇‖_F / (‖V‖_F + 1e-12)`.
fn to_norm_of(direction: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    Ok(linalg::scale(linalg::norm(gradient)? / (linalg::norm(direction)? + 1e-12), direction)?)
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
