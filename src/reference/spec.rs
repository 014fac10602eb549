//! The settings of a recorded run, and how they are spelt here.

use serde::Deserialize;
use serde_json::json;

use super::{Error, trace::Trace};
use crate::catalog;
use crate::nn::zoo::{self, ModelConfig, Shape};
use crate::optim::{
    Damping, Decay, Eigenvalues, Fisher, InverterConfig, KfacConfig, MomentsConfig, OptimizerConfig, Precondition,
    Rescale, Rows, Scale, ShampooConfig, Start, Update,
};

/// What a trace says of itself.
#[derive(Debug, Deserialize)]
pub struct Spec {
    pub model: Model,
    /// Absent from traces of one pass of a full-size model.
    pub optimizer: Option<Optimizer>,
    #[serde(default)]
    pub steps: usize,
    /// How many numbers the reference trains, if recorded.
    pub parameters: Option<usize>,
}

/// A net, in the reference's words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    name: String,
    width: Option<usize>,
    classes: usize,
    /// Channels, height, width.
    input: [usize; 3],
    hidden: Option<Vec<usize>>,
    patch: Option<usize>,
}

/// An optimizer, in the references' words.
#[derive(Debug, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Optimizer {
    Sgd {
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        #[serde(default)]
        nesterov: bool,
    },
    Adamw {
        lr: f64,
        betas: [f64; 2],
        eps: f64,
        weight_decay: f64,
    },
    Radam {
        lr: f64,
        betas: [f64; 2],
        eps: f64,
        weight_decay: f64,
    },
    Adabelief {
        lr: f64,
        betas: [f64; 2],
        eps: f64,
        weight_decay: f64,
    },
    Nkfac {
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        stat_decay: f64,
        damping: f64,
        factor_every: usize,
        inverse_every: usize,
        newton_steps: usize,
    },
    Adankfac {
        lr: f64,
        betas: [f64; 2],
        eps: f64,
        weight_decay: f64,
        stat_decay: f64,
        damping: f64,
        factor_every: usize,
        inverse_every: usize,
        newton_steps: usize,
    },
    Kfac {
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        stat_decay: f64,
        damping: f64,
        kl_clip: f64,
        factor_every: usize,
        inverse_every: usize,
    },
    Ekfac {
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        stat_decay: f64,
        eigenvalue_decay: f64,
        damping: f64,
        kl_clip: f64,
        factor_every: usize,
        inverse_every: usize,
    },
    Skfac {
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        damping: f64,
        kl_clip: f64,
        factor_every: usize,
        inverse_every: usize,
    },
    #[serde(rename = "skfac-star")]
    SkfacStar {
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        damping: f64,
        factor_every: usize,
        inverse_every: usize,
    },
    Shampoo {
        lr: f64,
        momentum: f64,
        weight_decay: f64,
        stat_decay: f64,
        damping: f64,
        factor_every: usize,
        root_every: usize,
    },
    Muon {
        lr: f64,
        momentum: f64,
        nesterov: bool,
        rounds: usize,
        adam_ratio: f64,
        betas: [f64; 2],
        eps: f64,
        weight_decay: f64,
    },
}

/// The trace's settings; `None` if it has none, as the primitives.
pub fn read(trace: &Trace) -> Result<Option<Spec>, Error> {
    let Some(text) = &trace.spec else { return Ok(None) };
    let spec = serde_json::from_str(text).map_err(|error| trace.error(format!("`spec`: {error}")))?;
    Ok(Some(spec))
}

impl Model {
    /// The same net in our words.
    pub fn config(&self, trace: &Trace) -> Result<(ModelConfig, Shape), Error> {
        let name = self.name.as_str();
        if !zoo::CATALOG.iter().any(|entry| entry.name == name) {
            let hint = catalog::nearest(name, zoo::CATALOG.iter().map(|entry| entry.name));
            let hint = hint.map(|hint| format!(" (nearest: `{hint}`)")).unwrap_or_default();
            return Err(trace.error(format!("unknown model `{name}`{hint}")));
        }
        let mut fields = serde_json::Map::new();
        fields.extend(self.width.map(|width| ("width".to_owned(), json!(width))));
        fields.extend(self.patch.map(|patch| ("patch".to_owned(), json!(patch))));
        fields.extend(self.hidden.as_ref().map(|hidden| ("hidden".to_owned(), json!(hidden))));
        let config: ModelConfig = serde_json::from_value(json!({ name: fields }))
            .map_err(|error| trace.error(format!("model `{name}`: {error}")))?;
        self.check_size(trace)?;
        let [channels, height, width] = self.input;
        let shape = Shape { channels, height, width, classes: self.classes };
        config.check(shape).map_err(|message| trace.error(format!("model `{name}`: {message}")))?;
        Ok((config, shape))
    }

    /// Memory follows what is in the trace and no number that it claims: images are as large as recorded, and no layer is wider than those
    /// of published nets.
    fn check_size(&self, trace: &Trace) -> Result<(), Error> {
        let images = trace.find("x").or_else(|| trace.find("x/0"));
        if images.is_none_or(|images| images.dims().get(1..) != Some(&self.input)) {
            return Err(trace.error(format!("`spec`: there are no images of {:?}", self.input)));
        }
        let layers = self.hidden.iter().flatten().copied();
        if let Some(size) = layers.chain([self.classes]).chain(self.width).find(|&size| size > WIDEST) {
            return Err(trace.error(format!("`spec`: a layer of {size}, at most {WIDEST} expected")));
        }
        Ok(())
    }
}

/// Outputs of the widest layer that a trace may ask for.
const WIDEST: usize = 1024;

impl Optimizer {
    /// The constant learning rate.
    pub const fn lr(&self) -> f64 {
        match self {
            Self::Sgd { lr, .. }
            | Self::Adamw { lr, .. }
            | Self::Radam { lr, .. }
            | Self::Adabelief { lr, .. }
            | Self::Nkfac { lr, .. }
            | Self::Adankfac { lr, .. }
            | Self::Kfac { lr, .. }
            | Self::Ekfac { lr, .. }
            | Self::Skfac { lr, .. }
            | Self::SkfacStar { lr, .. }
            | Self::Shampoo { lr, .. }
            | Self::Muon { lr, .. } => *lr,
        }
    }

    /// Steps between statistics and between inverses; none without a preconditioner.
    pub fn intervals(&self) -> Vec<usize> {
        match *self {
            Self::Nkfac { factor_every, inverse_every, .. }
            | Self::Adankfac { factor_every, inverse_every, .. }
            | Self::Kfac { factor_every, inverse_every, .. }
            | Self::Ekfac { factor_every, inverse_every, .. }
            | Self::Skfac { factor_every, inverse_every, .. }
            | Self::SkfacStar { factor_every, inverse_every, .. }
            | Self::Shampoo { factor_every, root_every: inverse_every, .. } => vec![factor_every, inverse_every],
            Self::Sgd { .. } | Self::Adamw { .. } | Self::Radam { .. } | Self::Adabelief { .. } | Self::Muon { .. } => {
                Vec::new()
            }
        }
    }

    /// Rounds of the iteration at its heart, if it has one.
    pub const fn rounds(&self) -> usize {
        match *self {
            Self::Nkfac { newton_steps, .. } | Self::Adankfac { newton_steps, .. } => newton_steps,
            Self::Muon { rounds, .. } => rounds,
            _ => 0,
        }
    }

    /// The same optimizer in our words.
    pub fn config(&self) -> OptimizerConfig {
        OptimizerConfig { clip_norm: None, precondition: self.precondition(), update: self.update() }
    }

    fn precondition(&self) -> Option<Precondition> {
        match *self {
            Self::Sgd { .. } | Self::Adamw { .. } | Self::Radam { .. } | Self::Adabelief { .. } | Self::Muon { .. } => {
                None
            }
            Self::Nkfac { stat_decay, damping, factor_every, inverse_every, newton_steps, .. }
            | Self::Adankfac { stat_decay, damping, factor_every, inverse_every, newton_steps, .. } => {
                let moments =
                    MomentsConfig { scale: Scale::Frobenius, rows: Rows::All, decay: stat_decay, start: Start::Zero };
                let inverter = InverterConfig::Newton { steps: newton_steps, exact_until: 2, exact_every: 500 };
                Some(star([factor_every, inverse_every], moments, damping, inverter))
            }
            Self::SkfacStar { damping, factor_every, inverse_every, .. } => Some(star(
                [factor_every, inverse_every],
                pooled(Scale::Frobenius),
                damping,
                InverterConfig::Woodbury {},
            )),
            Self::Kfac { stat_decay, damping, kl_clip, factor_every, inverse_every, .. } => {
                Some(joint([factor_every, inverse_every], stat_decay, damping, Eigenvalues::Products, kl_clip))
            }
            Self::Ekfac { stat_decay, eigenvalue_decay, damping, kl_clip, factor_every, inverse_every, .. } => {
                let eigenvalues = Eigenvalues::Corrected { decay: eigenvalue_decay };
                Some(joint([factor_every, inverse_every], stat_decay, damping, eigenvalues, kl_clip))
            }
            Self::Skfac { damping, kl_clip, factor_every, inverse_every, .. } => Some(Precondition::Kfac(KfacConfig {
                factor_every,
                inverse_every,
                fisher: Fisher::Empirical,
                moments: pooled(Scale::SpatialMean),
                damping: Damping::Absolute { value: damping },
                inverter: InverterConfig::Woodbury {},
                eigenvalues: Eigenvalues::Products,
                rescale: Rescale::KlClip { limit: kl_clip },
            })),
            Self::Shampoo { stat_decay, damping, factor_every, root_every, .. } => {
                Some(Precondition::Shampoo(ShampooConfig {
                    factor_every,
                    root_every,
                    decay: stat_decay,
                    damping: Damping::Relative { factor: damping, floor: 1e-12 },
                    rescale: Rescale::GradientNorm,
                }))
            }
        }
    }

    const fn update(&self) -> Update {
        match *self {
            Self::Sgd { momentum, weight_decay, nesterov, .. } => {
                Update::Sgd { momentum, nesterov, weight_decay, decay_from: 0 }
            }
            Self::Adamw { betas, eps, weight_decay, .. } => {
                Update::Adam { betas, eps, weight_decay, decay: Decay::Decoupled }
            }
            Self::Radam { betas, eps, weight_decay, .. } => Update::Radam { betas, eps, weight_decay },
            Self::Adabelief { betas, eps, weight_decay, .. } => Update::Adabelief { betas, eps, weight_decay },
            Self::Adankfac { betas, eps, weight_decay, .. } => {
                Update::Adam { betas, eps, weight_decay, decay: Decay::BiasCorrected }
            }
            Self::Kfac { momentum, weight_decay, factor_every, .. } => {
                Update::Sgd { momentum, nesterov: false, weight_decay, decay_from: 20 * factor_every }
            }
            Self::Nkfac { momentum, weight_decay, .. }
            | Self::Ekfac { momentum, weight_decay, .. }
            | Self::Skfac { momentum, weight_decay, .. }
            | Self::SkfacStar { momentum, weight_decay, .. }
            | Self::Shampoo { momentum, weight_decay, .. } => {
                Update::Sgd { momentum, nesterov: false, weight_decay, decay_from: 0 }
            }
            Self::Muon { momentum, nesterov, rounds, adam_ratio, betas, eps, weight_decay, .. } => {
                Update::Muon { momentum, nesterov, rounds, adam_ratio, betas, eps, weight_decay }
            }
        }
    }
}

/// NKFAC's recipe with any statistics and inverter.
const fn star(
    [factor_every, inverse_every]: [usize; 2],
    moments: MomentsConfig,
    damping: f64,
    inverter: InverterConfig,
) -> Precondition {
    Precondition::Kfac(KfacConfig {
        factor_every,
        inverse_every,
        fisher: Fisher::Empirical,
        moments,
        damping: Damping::Relative { factor: damping, floor: 1e-4 },
        inverter,
        eigenvalues: Eigenvalues::Products,
        rescale: Rescale::GradientNorm,
    })
}

/// KFAC by eigendecomposition, damped jointly.
const fn joint(
    [factor_every, inverse_every]: [usize; 2],
    decay: f64,
    damping: f64,
    eigenvalues: Eigenvalues,
    kl_clip: f64,
) -> Precondition {
    Precondition::Kfac(KfacConfig {
        factor_every,
        inverse_every,
        fisher: Fisher::Empirical,
        moments: MomentsConfig { scale: Scale::SpatialMean, rows: Rows::All, decay, start: Start::Identity },
        damping: Damping::Joint { value: damping },
        inverter: InverterConfig::Eigen { cutoff: 1e-10 },
        eigenvalues,
        rescale: Rescale::KlClip { limit: kl_clip },
    })
}

/// SKFAC's statistics: the rows of one batch, one an image.
const fn pooled(scale: Scale) -> MomentsConfig {
    MomentsConfig { scale, rows: Rows::Pooled, decay: 0.0, start: Start::Zero }
}
