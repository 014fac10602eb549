//! `task = "inverse"`: inverters on random matrices, without a net.
//!
//! A factor has drifted since its last refresh: `A₁ = (1 − p)A₀ + pA'`, with A₀ and A' random, positive definite and of norm 1, as a moving
//! average of decay `1 − p` drifts. Every inverter starts from the exact inverse of `A₀ + δ₀I` and is asked for that of `A₁ + δ₁I`,
//! once with each number of rounds. Our reading: the paper says that starts were perturbed by p, not how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::Axis;
use super::{Error, file, sweep};
use crate::config::{self, from_value, to_json};
use crate::optim::InverterConfig;
use crate::train::Dtype;

/// One inverter on one random matrix.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Rows of the matrix.
    pub order: usize,
    /// p.
    pub perturbation: f64,
    /// The largest number of rounds.
    pub rounds: usize,
    /// δ is this share of the largest eigenvalue.
    pub damping: f64,
    pub seed: u64,
    #[serde(default)]
    pub dtype: Dtype,
    /// Its `steps` are 1 to `rounds` in turn.
    pub inverter: InverterConfig,
}

/// A [`Config`] with its place in the experiment.
#[derive(Debug)]
pub struct Trial {
    pub id: String,
    pub arm: String,
    pub swept: serde_json::Map<String, serde_json::Value>,
    pub config: Config,
    pub json: serde_json::Value,
}

impl std::fmt::Display for Trial {
    /// The arm with its place in the sweep.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.arm)?;
        self.swept.iter().try_for_each(|(key, value)| write!(f, ", {key} = {value}"))
    }
}

/// An experiment of inverters.
#[derive(Debug)]
pub struct Comparison {
    pub name: String,
    pub trials: Vec<Trial>,
}

/// The comparison that a file describes.
///
/// # Errors
/// As for [`open`](super::open).
pub(super) fn resolve(file: file::File) -> Result<Comparison, Error> {
    let axes: Vec<&Axis> = file.axes.iter().collect();
    let mut trials = Vec::new();
    for arm in &file.arms {
        for values in sweep::product(&axes)? {
            let value = sweep::overlaid(arm.value.clone(), &axes, &values);
            let config: Config = from_value(&value)?;
            check(&config)
                .map_err(|(key, message)| config::Error::at(value.locate(key), format!("`{key}` must be {message}")))?;
            let json = to_json(&config).map_err(|error| config::Error::at(&value.origin, error.to_string()))?;
            let swept = axes.iter().zip(&values).map(|(axis, value)| (axis.path.clone(), value.to_json())).collect();
            trials.push(Trial { id: sweep::id(&json), arm: arm.name.clone(), swept, config, json });
        }
    }
    Ok(Comparison { name: file.name, trials })
}

fn check(config: &Config) -> Result<(), (&'static str, String)> {
    if !(2..=16384).contains(&config.order) {
        return Err(("order", format!("from 2 to 16384 (got {})", config.order)));
    }
    if !(0.0..=1.0).contains(&config.perturbation) {
        return Err(("perturbation", format!("from 0 to 1 (got {})", config.perturbation)));
    }
    if !(1..=1000).contains(&config.rounds) {
        return Err(("rounds", format!("from 1 to 1000 (got {})", config.rounds)));
    }
    if !(config.damping > 0.0 && config.damping.is_finite()) {
        return Err(("damping", format!("greater than 0 (got {})", config.damping)));
    }
    Ok(())
}
