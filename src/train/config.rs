//! What a trial is made of, as an experiment file says it.

use std::path::PathBuf;

use candle_core::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::data::DataConfig;
use crate::kernel::conv::Engine;
use crate::nn::zoo::ModelConfig;
use crate::optim::OptimizerConfig;

/// Everything that decides a trial's numbers, besides the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub epochs: usize,
    /// Images a step.
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
    /// Start from these weights (safetensors or a checkpoint, PyTorch's names) instead of random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// Written only where it is not the default, so that it changes no name of a trial.
    #[serde(default, skip_serializing_if = "EngineConfig::is_default")]
    pub engine: EngineConfig,
    pub data: DataConfig,
    pub model: ModelConfig,
    pub schedule: Schedule,
    pub optimizer: OptimizerConfig,
}

const fn first_seed() -> u64 {
    1
}

const fn one() -> usize {
    1
}

/// How the CPU computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// How convolutions and linear layers, their gradients and their moments are computed in float32.
    #[serde(default)]
    pub conv: Engine,
}

impl EngineConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
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
