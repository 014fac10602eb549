//! Runs inverters on random matrices.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{Device, Result as CandleResult, Tensor};

use super::{Error, Summary, machine};
use crate::experiment::inverse::{Comparison, Config, Trial};
use crate::optim::invert::{Curvature, Inverse, Problem, inverter, residual};
use crate::optim::{InverterConfig, max_eigenvalue, power_start};
use crate::random::Random;
use crate::record::{self, Metric, Origin, Row, Scope, Status};

/// Where trials run, and where their results go.
#[derive(Debug)]
pub struct Place<'a> {
    pub folder: PathBuf,
    pub device: &'a Device,
    pub device_name: &'a str,
    pub threads: usize,
    /// Once this is true the running trial is dropped, and no other is begun.
    pub stop: Arc<AtomicBool>,
}

/// Runs every trial whose result is not there yet, and tells of each that ended with its id, its arm and the last residual.
///
/// # Errors
/// The results cannot be written, or the device fails.
pub fn run(comparison: &Comparison, place: &Place<'_>, ended: &mut dyn FnMut(&Trial, f64)) -> Result<Summary, Error> {
    std::fs::create_dir_all(&place.folder).map_err(|source| Error::Folder { path: place.folder.clone(), source })?;
    let mut summary = Summary::default();
    for trial in &comparison.trials {
        let path = place.folder.join(format!("{}.parquet", trial.id));
        if path.exists() {
            summary.skipped += 1;
            continue;
        }
        let (started, load) = (machine::now(), machine::load());
        let rows = measure(&trial.config, place).map_err(crate::train::Error::from)?;
        if place.stop.load(Ordering::Relaxed) {
            summary.stopped = true;
            break;
        }
        let last = rows.iter().rfind(|row| row.metric == Metric::Residual).map_or(f64::NAN, |row| row.value);
        let status = if last.is_finite() { Status::Finished } else { Status::Diverged };
        record::write(&path, &origin(comparison, trial, place, status, started, load), &rows)?;
        match status {
            Status::Finished => summary.finished += 1,
            Status::Diverged => summary.diverged += 1,
        }
        ended(trial, last);
    }
    Ok(summary)
}

/// Residual, branch and seconds for each number of rounds, until it is asked to stop; round 0 is the start.
fn measure(config: &Config, Place { device, stop, .. }: &Place<'_>) -> CandleResult<Vec<Row>> {
    let matrix = |name| random_matrix(config, &mut Random::new(config.seed, name), device);
    let old = matrix("inverse/old")?;
    let new = ((&old * (1.0 - config.perturbation))? + (matrix("inverse/new")? * config.perturbation)?)?;
    let damping = |matrix: &Tensor| -> CandleResult<f64> {
        Ok(config.damping * max_eigenvalue(matrix, &power_start(0..config.order, matrix)?)?)
    };
    let start = Problem { factor: Curvature::Matrix(&old), damping: damping(&old)?, previous: None, refresh: 0 };
    let Some(start) = inverter(InverterConfig::Cholesky {}).invert(&start)? else {
        candle_core::bail!("a random matrix has no inverse")
    };
    let problem = Problem {
        factor: Curvature::Matrix(&new),
        damping: damping(&new)?,
        previous: Some(&start.inverse),
        refresh: 1,
    };
    let damped = problem.damped()?;
    let far = |inverse: &Inverse| residual(&damped, &inverse.dense()?);
    let mut rows = vec![row(0, 0.0, Metric::Residual, far(&start.inverse)?)];
    for round in (1..=config.rounds).take_while(|_| !stop.load(Ordering::Relaxed)) {
        let clock = Instant::now();
        let refreshed = inverter(with_rounds(config.inverter, round)).invert(&problem)?;
        // Results are on the host only once they have been asked for.
        device.synchronize()?;
        let seconds = clock.elapsed().as_secs_f64();
        let value = refreshed.as_ref().map_or(Ok(f64::NAN), |refreshed| far(&refreshed.inverse))?;
        rows.push(row(round, seconds, Metric::Residual, value));
        rows.push(row(round, seconds, Metric::RefreshSeconds, seconds));
        if let Some(refreshed) = refreshed {
            rows.push(row(round, seconds, Metric::Branch, refreshed.branch as usize as f64));
        }
    }
    Ok(rows)
}

fn row(round: usize, seconds: f64, metric: Metric, value: f64) -> Row {
    Row { epoch: round as u32, step: round as u64, seconds, scope: Scope::Probe, metric, value }
}

/// `XᵀX/‖XᵀX‖_F` of twice as many normal rows as columns.
fn random_matrix(config: &Config, random: &mut Random, device: &Device) -> CandleResult<Tensor> {
    let values: Vec<f64> = (0..2 * config.order * config.order).map(|_| random.normal()).collect();
    let rows = Tensor::from_vec(values, (2 * config.order, config.order), device)?;
    let product = Curvature::Rows(&rows).dense()?;
    product.broadcast_div(&product.sqr()?.sum_all()?.sqrt()?)?.to_dtype(config.dtype.candle())
}

/// The inverter with so many rounds and no exact refresh; as it is if it has no rounds.
const fn with_rounds(config: InverterConfig, steps: usize) -> InverterConfig {
    match config {
        InverterConfig::Newton { precision, .. } => {
            InverterConfig::Newton { steps, exact_until: 0, exact_every: usize::MAX, precision }
        }
        InverterConfig::NewtonPure { precision, .. } => InverterConfig::NewtonPure { steps, precision },
        InverterConfig::NewtonOptimal { precision, .. } => InverterConfig::NewtonOptimal { steps, precision },
        InverterConfig::NewtonScaled { .. } => InverterConfig::NewtonScaled { steps },
        InverterConfig::Hyperpower { order, .. } => InverterConfig::Hyperpower { steps, order },
        other => other,
    }
}

fn origin(
    comparison: &Comparison,
    trial: &Trial,
    place: &Place<'_>,
    status: Status,
    started: f64,
    load: Option<f64>,
) -> Origin {
    Origin {
        experiment: comparison.name.clone(),
        trial: trial.id.clone(),
        arm: trial.arm.clone(),
        dataset: "random".to_owned(),
        model: format!("matrix{}", trial.config.order),
        optimizer: String::new(),
        inverter: trial.config.inverter.name().to_owned(),
        seed: trial.config.seed,
        status,
        swept: serde_json::Value::Object(trial.swept.clone()).to_string(),
        config: trial.json.to_string(),
        dtype: trial.config.dtype.name().to_owned(),
        batch: 0,
        epochs: trial.config.rounds as u32,
        host: machine::host(),
        cpu: machine::cpu(),
        device: place.device_name.to_owned(),
        threads: place.threads as u32,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("NKFAC_BENCH_COMMIT").to_owned(),
        started,
        load,
    }
}
