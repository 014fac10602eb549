//! Where a trial's numbers come from.

use serde::{Deserialize, Serialize};

/// What holds for all of a trial; a column each.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    pub experiment: String,
    /// The trial's id, the same wherever and under whatever name its configuration runs.
    pub trial: String,
    pub arm: String,
    pub dataset: String,
    pub model: String,
    pub optimizer: String,
    /// Empty where nothing is inverted.
    pub inverter: String,
    pub seed: u64,
    pub status: Status,
    /// The keys that the experiment sweeps and their values here, as a JSON object:
    /// `{"optimizer.precondition.inverse_every":200}`.
    pub swept: String,
    /// The whole resolved configuration as JSON.
    pub config: String,
    pub dtype: String,
    /// Images a step.
    pub batch: u32,
    /// Epochs that were asked for.
    pub epochs: u32,
    pub host: String,
    /// The processor, and the vectors of it that the engine computed with.
    pub cpu: String,
    pub device: String,
    pub threads: u32,
    /// Of this program.
    pub version: String,
    pub commit: String,
    /// Seconds since 1970, UTC.
    pub started: f64,
    /// The machine's one-minute load average at the start, where the system tells.
    pub load: Option<f64>,
}

/// How a trial ended. Divergence is a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Finished,
    Diverged,
}

impl Status {
    /// The name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Diverged => "diverged",
        }
    }

    /// The status that has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Finished, Self::Diverged].into_iter().find(|status| status.name() == name)
    }
}
