//! Where a trial's numbers come from: its configuration, and the machine as it is.

use super::machine;
use super::settings::Settings;
use crate::experiment::{Experiment, Trial};
use crate::optim::Precondition;
use crate::record::{Origin, Status};

/// The origin of a trial that began at `started` under a `load` and ended with `status`.
pub fn origin(
    experiment: &Experiment,
    trial: &Trial,
    settings: &Settings,
    status: Status,
    started: f64,
    load: Option<f64>,
) -> Origin {
    let config = &trial.config;
    let inverter = match &config.optimizer.precondition {
        Some(Precondition::Kfac(kfac)) => kfac.inverter.name(),
        Some(Precondition::Shampoo(_)) | None => "",
    };
    let swept: serde_json::Map<_, _> = trial.swept.iter().cloned().collect();
    Origin {
        experiment: experiment.name.clone(),
        trial: trial.id.clone(),
        arm: trial.arm.clone(),
        dataset: config.data.name(),
        model: config.model.name().to_owned(),
        optimizer: trial.optimizer.clone(),
        inverter: inverter.to_owned(),
        seed: config.seed,
        status,
        swept: serde_json::Value::Object(swept).to_string(),
        config: trial.json.to_string(),
        dtype: config.dtype.name().to_owned(),
        batch: config.batch as u32,
        epochs: config.rounds() as u32,
        host: machine::host(),
        cpu: format!("{}, {}", machine::cpu(), config.engine.simd.resolved().name()),
        device: settings.device_name.clone(),
        threads: settings.threads as u32,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("NKFAC_BENCH_COMMIT").to_owned(),
        started,
        load,
    }
}
