//! What a trial is made of, as an experiment file says it.

use std::path::PathBuf;

use candle_core::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::data::DataConfig;
use crate::kernel::Engine;
use crate::nn::zoo::ModelConfig;
use crate::optim::OptimizerConfig;

/// Everything that decides a trial's numbers, besides the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Epochs to train for; 0.5 is half of one. Either this or `steps`.
    #[serde(default, with = "super::length", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>", range(min = 0))]
    pub epochs: Option<f64>,
    /// Steps to train for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Training seconds after which a trial ends even if epochs or steps are left. How far it comes then depends on the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<f64>,
    /// Steps between evaluations; an epoch, unless it is said. Wherever results count epochs, they then count these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_every: Option<usize>,
    /// Epochs between evaluations, such as 0.1: the same number of images whatever the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_epochs: Option<f64>,
    /// Images, or windows of a text, a step.
    pub batch: usize,
    /// Parts of equal size in which a batch goes through the net, one after the other, with its gradients and moments summed: for
    /// batches that do not fit into memory. Only batch norms see the parts.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Whether the preconditioner measures residuals, drift and more at each of its refreshes, outside of the clock.
    #[serde(default)]
    pub probe: bool,
    #[serde(default = "first_seed")]
    pub seed: u64,
    #[serde(default)]
    pub dtype: Dtype,
    #[serde(default)]
    pub label_smoothing: f64,
    /// What is minimised: `cross-entropy` of classes and tokens; of numbers `squared`, or `bernoulli`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Start from these weights (safetensors or a checkpoint, PyTorch's names) instead of random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// Written only where it is not the default, so that it changes no name of a trial.
    #[serde(default, skip_serializing_if = "Engine::is_auto")]
    pub engine: Engine,
    pub data: DataConfig,
    pub model: ModelConfig,
    pub schedule: Schedule,
    pub optimizer: OptimizerConfig,
}

impl Config {
    /// Steps an epoch: what is left over of a batch is dropped.
    #[must_use]
    pub fn steps_per_epoch(&self) -> usize {
        (self.data.train_len() / self.batch.max(1)).max(1)
    }

    /// Steps in all.
    #[must_use]
    pub fn total_steps(&self) -> usize {
        self.steps.or_else(|| self.epochs.map(|epochs| self.steps_of(epochs))).unwrap_or_default().max(1)
    }

    fn steps_of(&self, epochs: f64) -> usize {
        (epochs * self.steps_per_epoch() as f64).round() as usize
    }

    /// Steps between evaluations.
    #[must_use]
    pub fn evaluation_steps(&self) -> usize {
        self.evaluate_every.unwrap_or_else(|| self.steps_of(self.evaluate_epochs.unwrap_or(1.0))).max(1)
    }

    /// Stretches of training with an evaluation behind each: epochs, unless `evaluate_every` or `evaluate_epochs` says otherwise.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.total_steps().div_ceil(self.evaluation_steps())
    }
}

const fn first_seed() -> u64 {
    1
}

const fn one() -> usize {
    1
}

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    CrossEntropy,
    Squared,
    Bernoulli,
}

impl Loss {
    /// Whether it is one for the data; says why not, and what to do.
    pub fn check(self, data: &DataConfig) -> Result<(), (String, &'static str)> {
        let (numbers, [least, largest]) = (data.numbers().is_some(), data.range());
        match self {
            Self::CrossEntropy if numbers => Err((
                "is `cross-entropy`, but numbers are to be given".to_owned(),
                "`squared` and `bernoulli` are losses of numbers",
            )),
            Self::Squared | Self::Bernoulli if !numbers => Err((
                format!("is `{}`, but classes are told", if self == Self::Squared { "squared" } else { "bernoulli" }),
                "`cross-entropy` is the loss of classes; target = \"input\" in `data` has the input given back instead",
            )),
            Self::Bernoulli if !(least >= 0.0 && largest <= 1.0) => Err((
                format!("is `bernoulli`, for numbers from 0 to 1, and here they are from {least} to {largest}"),
                "`squared` takes any numbers; images in bytes are scaled to [0, 1]",
            )),
            Self::CrossEntropy | Self::Squared | Self::Bernoulli => Ok(()),
        }
    }
}

/// What the net computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    #[default]
    F32,
    F64,
}

impl Dtype {
    /// The name in an experiment file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// candle's name for it.
    #[must_use]
    pub const fn candle(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }
}
