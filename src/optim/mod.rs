//! Optimizers as lists of stages, each of which rewrites the update: `kfac → weight decay → momentum`.
//!
//! An optimizer sees parameters, gradients and captured moments; it knows nothing of nets, data or the loop around it.

mod adam;
mod ademamix;
mod average;
mod basis;
mod cautious;
mod clip;
mod config;
mod damping;
mod decay;
mod factor;
mod group;
pub mod invert;
mod kfac;
mod kl_shampoo;
mod layer;
mod lion;
mod moment;
mod momentum;
mod muon;
mod nadam;
mod pooled;
mod preset;
mod probe;
mod psgd;
mod rescale;
mod root;
mod schedule_free;
mod shampoo;
mod soap;
mod stages;

use std::sync::Arc;

use candle_core::Tensor;

pub use config::{
    AverageConfig, Damping, Decay, Eigenvalues, Fisher, Group, InverterConfig, KfacConfig, Kind, Matrices,
    MomentsConfig, OptimizerConfig, Precision, Precondition, Rescale, Scale, Scaling, ShampooConfig, Sharing, Sides,
    Start, Update,
};
pub use damping::{max_eigenvalue, power_start};
pub use factor::{Factor, Side};
pub use group::empty_group;
pub use kfac::Kfac;
pub use preset::{PRESETS, Preset};
use probe::Notes;
pub use probe::{Note, Quantity};

use group::Scales;

use crate::clock::{Clock, Phase};
use crate::linalg;
use crate::param::{Params, Tap, Updates};
use crate::state::State;

/// Why a step could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The trial has diverged: a factor holds NaN or is not positive definite in spite of its damping.
    #[error("factor `{factor}` cannot be inverted")]
    NotInvertible { factor: String },
    #[error("{}", crate::cause::message(.0))]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// One of a tensor's factors by axis is broken.
    fn of_axis(name: &str, axis: usize) -> Self {
        Self::NotInvertible { factor: format!("{name}/{axis}") }
    }
}

/// What a stage gives back.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// What a stage may know of the step it is part of.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Counted from 0.
    pub index: usize,
    pub lr: f64,
    /// Images that the gradient is a mean over.
    pub samples: usize,
    pub params: &'a Params,
    pub clock: &'a Clock,
}

/// A stage of an optimizer.
pub trait Transform: Send {
    /// Sees the gradients, before any stage has rewritten them.
    fn begin(&mut self, gradients: &Updates) {
        let _ = gradients;
    }

    /// Rewrites the updates.
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result;

    /// Sees the parameters, behind the step.
    fn end(&mut self, step: &Step<'_>) -> Result {
        let _ = step;
        Ok(())
    }

    /// All that it remembers from step to step, for checkpoints.
    fn state(&self) -> State;

    /// Takes up what [`Transform::state`] gave away, on the parameters' device; the next step is then the one it would have been.
    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()>;

    /// The point at which the net is to be evaluated and saved, one tensor a parameter, if it is not the one that is trained.
    fn evaluated(&self, params: &Params) -> candle_core::Result<Option<Vec<Tensor>>> {
        let _ = params;
        Ok(None)
    }

    /// Where the layers are to send their moments on step `index`, and whose gradients it wants; `None` on most steps.
    fn listens(&self, index: usize) -> Option<(Arc<Tap>, Fisher)> {
        let _ = index;
        None
    }

    /// KFAC's factors by layer.
    fn kfac(&self) -> Option<&Kfac> {
        None
    }

    /// The account of every factor that the stage keeps.
    fn factors(&self) -> Vec<&Factor> {
        Vec::new()
    }

    /// Where the stage puts what it measures of itself, outside of the clock, if it knows how to.
    fn notes(&mut self) -> Option<&mut Notes> {
        None
    }
}

/// Stages in their order; the last one's result times the learning rate is subtracted from the parameters.
pub struct Optimizer {
    stages: Vec<Box<dyn Transform>>,
    scales: Arc<Scales>,
    /// Of all stages together.
    notes: Notes,
}

impl Optimizer {
    /// The stages that `config` names, for a net of `params`.
    #[must_use]
    pub fn new(config: &OptimizerConfig, params: &Params) -> Self {
        let scales = Arc::new(Scales::new(&config.groups, params));
        Self { stages: stages::stages(config, params, &scales), scales, notes: None }
    }

    /// Where the layers are to send their moments on this step, if a stage listens.
    #[must_use]
    pub fn listens(&self, index: usize) -> Option<(Arc<Tap>, Fisher)> {
        self.stages.iter().find_map(|stage| stage.listens(index))
    }

    /// The preconditioner's account of factors and refreshes.
    #[must_use]
    pub fn factors(&self) -> Vec<&Factor> {
        self.stages.iter().flat_map(|stage| stage.factors()).collect()
    }

    /// Lets every stage measure itself from now on, outside of the clock.
    pub fn probe(&mut self) {
        self.all_notes().for_each(|notes| _ = notes.get_or_insert_default());
    }

    /// What the stages have measured since they were last asked.
    pub fn notes(&mut self) -> Vec<Note> {
        self.all_notes().flatten().flat_map(std::mem::take).collect()
    }

    fn all_notes(&mut self) -> impl Iterator<Item = &mut Notes> {
        self.stages.iter_mut().filter_map(|stage| stage.notes()).chain([&mut self.notes])
    }

    /// The point at which the net is to be evaluated and saved, one tensor a parameter, if it is not the one that is trained.
    ///
    /// # Errors
    /// candle's.
    pub fn evaluated(&self, params: &Params) -> candle_core::Result<Option<Vec<Tensor>>> {
        for stage in self.stages.iter().rev() {
            if let Some(point) = stage.evaluated(params)? {
                return Ok(Some(point));
            }
        }
        Ok(None)
    }

    /// KFAC's factors by layer, if it is a stage.
    #[must_use]
    pub fn kfac(&self) -> Option<&Kfac> {
        self.stages.iter().find_map(|stage| stage.kfac())
    }

    /// All that the stages remember from step to step.
    #[must_use]
    pub fn state(&self) -> State {
        let mut all = State::new();
        for (i, stage) in self.stages.iter().enumerate() {
            all.put_part(&i.to_string(), stage.state());
        }
        all
    }

    /// Takes up what [`Optimizer::state`] gave away.
    ///
    /// # Errors
    /// It is the state of another optimizer or another net.
    pub fn load(&mut self, mut state: State, params: &Params) -> candle_core::Result<()> {
        if let Some(param) = params.params.first() {
            state.to_device(param.var.device())?;
        }
        for (i, stage) in self.stages.iter_mut().enumerate() {
            let mut part = state.take_part(&i.to_string());
            stage.load(&mut part, params)?;
            part.finish()?;
        }
        state.finish()
    }

    /// `θ ← θ − lr·(stageₙ ∘ … ∘ stage₁)(∇)`, with the learning rate of each parameter's group.
    pub fn step(&mut self, mut gradients: Updates, step: &Step<'_>) -> Result {
        self.stages.iter_mut().for_each(|stage| stage.begin(&gradients));
        for stage in &mut self.stages {
            stage.apply(&mut gradients, step)?;
        }
        let update = step.clock.phase(Phase::Update);
        for ((param, update), scale) in step.params.params.iter().zip(&gradients.0).zip(&self.scales.lr) {
            linalg::subtract_in_place(&param.var, step.lr * scale, update)?;
        }
        drop(update);
        self.stages.iter_mut().try_for_each(|stage| stage.end(step))?;
        self.note(step)
    }

    /// Says how far the evaluated point is from the weights, where there is one.
    fn note(&mut self, step: &Step<'_>) -> Result {
        if self.notes.is_none() || !step.index.is_multiple_of(probe::EVERY) {
            return Ok(());
        }
        let _pause = step.clock.pause();
        let Some(point) = self.evaluated(step.params)? else { return Ok(()) };
        let distance = probe::distance(&point, step.params)?;
        self.notes.get_or_insert_default().push(distance);
        Ok(())
    }
}
