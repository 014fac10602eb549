//! Optimizers as lists of stages, each of which rewrites the update: `kfac → weight decay → momentum`.
//!
//! An optimizer sees parameters, gradients and captured moments; it knows nothing of nets, data or the loop around it.

mod adabelief;
mod adam;
mod clip;
mod config;
mod damping;
mod decay;
mod factor;
pub mod invert;
mod kfac;
mod moment;
mod momentum;
mod muon;
mod pooled;
mod preset;
mod probe;
mod radam;
mod rescale;
mod root;
mod shampoo;

use std::sync::Arc;

pub use config::{
    Damping, Decay, Eigenvalues, Fisher, InverterConfig, KfacConfig, MomentsConfig, OptimizerConfig, Precondition,
    Rescale, Rows, Scale, ShampooConfig, Start, Update,
};
pub use damping::{max_eigenvalue, power_start};
pub use factor::{Factor, Side};
pub use kfac::Kfac;
pub use preset::{PRESETS, Preset};
pub use probe::{Note, Quantity};

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
    /// Rewrites the updates.
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result;

    /// All that it remembers from step to step, for checkpoints.
    fn state(&self) -> State;

    /// Takes up what [`Transform::state`] gave away, on the parameters' device; the next step is then the one it would have been.
    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()>;

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

    /// From now on the stage measures itself, outside of the clock.
    fn probe(&mut self) {}

    /// What it has measured since it was last asked.
    fn notes(&mut self) -> Vec<Note> {
        Vec::new()
    }
}

/// Stages in their order; the last one's result times the learning rate is subtracted from the parameters.
pub struct Optimizer {
    stages: Vec<Box<dyn Transform>>,
}

impl Optimizer {
    /// The stages that `config` names, for a net of `params`.
    #[must_use]
    pub fn new(config: &OptimizerConfig, params: &Params) -> Self {
        let mut stages: Vec<Box<dyn Transform>> = Vec::new();
        if let Some(limit) = config.clip_norm {
            stages.push(Box::new(clip::Clip { limit }));
        }
        match &config.precondition {
            Some(Precondition::Kfac(config)) => stages.push(Box::new(Kfac::new(config, &params.blocks))),
            Some(Precondition::Shampoo(config)) => {
                stages.push(Box::new(shampoo::Shampoo::new(config, &params.blocks)));
            }
            None => {}
        }
        match config.update {
            Update::Sgd { momentum, nesterov, weight_decay, decay_from } => {
                stages.push(Box::new(decay::WeightDecay::from_step(weight_decay, decay_from)));
                stages.push(Box::new(momentum::Momentum::new(momentum, nesterov)));
            }
            Update::Adam { betas, eps, weight_decay, decay } => {
                stages.push(Box::new(adam::Adam::new(betas, eps)));
                stages.push(Box::new(match decay {
                    Decay::Decoupled => decay::WeightDecay::new(weight_decay),
                    Decay::BiasCorrected => decay::WeightDecay::bias_corrected(weight_decay, betas[0]),
                }));
            }
            Update::Radam { betas, eps, weight_decay } => {
                stages.push(Box::new(radam::Radam::new(betas, eps)));
                stages.push(Box::new(decay::WeightDecay::new(weight_decay)));
            }
            Update::Adabelief { betas, eps, weight_decay } => {
                stages.push(Box::new(adabelief::Adabelief::new(betas, eps)));
                stages.push(Box::new(decay::WeightDecay::new(weight_decay)));
            }
            Update::Muon { momentum, nesterov, rounds, adam_ratio, betas, eps, weight_decay } => {
                let adam = adam::Adam::new(betas, eps);
                stages.push(Box::new(muon::Muon::new(momentum, nesterov, rounds, adam, adam_ratio)));
                stages.push(Box::new(decay::WeightDecay::new(weight_decay)));
            }
        }
        Self { stages }
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
        self.stages.iter_mut().for_each(|stage| stage.probe());
    }

    /// What the stages have measured since they were last asked.
    pub fn notes(&mut self) -> Vec<Note> {
        self.stages.iter_mut().flat_map(|stage| stage.notes()).collect()
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

    /// `θ ← θ − lr·(stageₙ ∘ … ∘ stage₁)(∇)`.
    pub fn step(&mut self, mut gradients: Updates, step: &Step<'_>) -> Result {
        for stage in &mut self.stages {
            stage.apply(&mut gradients, step)?;
        }
        let _update = step.clock.phase(Phase::Update);
        for (param, update) in step.params.params.iter().zip(&gradients.0) {
            linalg::subtract_in_place(&param.var, step.lr, update)?;
        }
        Ok(())
    }
}
