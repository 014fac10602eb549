//! Running trials: what is finished is skipped, what fails does not stop the rest.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use candle_core::Device;

use super::{Error, Experiment, Trial, machine};
use crate::data::{self, Broken, DataConfig, Dataset};
use crate::nn::weights;
use crate::optim::Precondition;
use crate::record::{self, Metric, Origin, Row, Scope, Status};
use crate::train::{self, Observer, Outcome};

/// Where and on what trials are run.
#[derive(Debug)]
pub struct Settings {
    /// The folder of this experiment's results.
    pub folder: PathBuf,
    pub device: Device,
    /// `cpu`, `cuda:0`.
    pub device_name: String,
    pub threads: usize,
    /// Whether to write each trial's final parameters beside its result.
    pub save_weights: bool,
}

/// What happens in a sweep.
#[derive(Debug)]
pub enum Event<'a> {
    /// The trial is about to start; `number` counts from 1.
    Started {
        trial: &'a Trial,
        number: usize,
    },
    /// Its result file is there already.
    Skipped {
        trial: &'a Trial,
    },
    /// An image file of the trial's data was left out, because it cannot be decoded.
    Broken {
        trial: &'a Trial,
        broken: &'a Broken,
    },
    Ended {
        trial: &'a Trial,
        outcome: &'a Outcome,
    },
    /// It could not be run or recorded.
    Failed {
        trial: &'a Trial,
        error: &'a Error,
    },
}

/// Who is told what happens in a sweep and in its trials.
pub trait Reporter: Observer {
    fn event(&mut self, event: &Event<'_>);
}

/// How many trials ended in which way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub finished: usize,
    pub diverged: usize,
    pub skipped: usize,
    pub failed: usize,
}

/// Runs every trial whose result file does not exist yet, one file a trial.
///
/// # Errors
/// Only if the results folder cannot be made: a trial that fails is reported and counted, and the others are run.
pub fn run(experiment: &Experiment, settings: &Settings, reporter: &mut dyn Reporter) -> Result<Summary, Error> {
    std::fs::create_dir_all(&settings.folder)
        .map_err(|source| Error::Folder { path: settings.folder.clone(), source })?;
    let mut data = DataCache { folder: data::folder(experiment.data_dir.as_deref()), last: None };
    let mut summary = Summary::default();
    for (i, trial) in experiment.trials.iter().enumerate() {
        let path = result_file(&settings.folder, trial);
        if path.exists() {
            summary.skipped += 1;
            reporter.event(&Event::Skipped { trial });
            continue;
        }
        reporter.event(&Event::Started { trial, number: i + 1 });
        let attempt = AssertUnwindSafe(|| run_trial(experiment, trial, settings, &mut data, &path, reporter));
        match catch_unwind(attempt).unwrap_or_else(|panic| Err(panicked(panic.as_ref()))) {
            Ok(outcome) => {
                match outcome.status {
                    Status::Finished => summary.finished += 1,
                    Status::Diverged => summary.diverged += 1,
                }
                reporter.event(&Event::Ended { trial, outcome: &outcome });
            }
            Err(error) => {
                summary.failed += 1;
                reporter.event(&Event::Failed { trial, error: &error });
            }
        }
    }
    Ok(summary)
}

/// A defect of one trial must not take the others with it.
fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::Panicked { message: text.unwrap_or("without a word").to_owned() }
}

/// Where a trial's result goes.
fn result_file(folder: &Path, trial: &Trial) -> PathBuf {
    folder.join(format!("{}.parquet", trial.id))
}

fn run_trial(
    experiment: &Experiment,
    trial: &Trial,
    settings: &Settings,
    data: &mut DataCache,
    path: &Path,
    reporter: &mut dyn Reporter,
) -> Result<Outcome, Error> {
    let (started, load) = (machine::now(), machine::load());
    let dataset = data.get(&trial.config.data)?;
    let mut outcome = train::train(&trial.config, &dataset, &settings.device, reporter)?;
    for broken in &dataset.broken() {
        reporter.event(&Event::Broken { trial, broken });
    }
    if settings.save_weights && outcome.status == Status::Finished {
        weights::save(&outcome.params, &path.with_extension("safetensors"))?;
    }
    if let Some((target, last)) = experiment.target.zip(outcome.rows.last().cloned()) {
        outcome.rows.push(Row { scope: Scope::Test, metric: Metric::Target, value: target, ..last });
    }
    let origin = origin(experiment, trial, settings, outcome.status, started, load);
    record::write(path, &origin, &outcome.rows)?;
    Ok(outcome)
}

fn origin(
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
        dataset: config.data.kind.name().to_owned(),
        model: config.model.name().to_owned(),
        optimizer: trial.optimizer.clone(),
        inverter: inverter.to_owned(),
        seed: config.seed,
        status,
        swept: serde_json::Value::Object(swept).to_string(),
        config: trial.json.to_string(),
        dtype: config.dtype.name().to_owned(),
        batch: config.batch as u32,
        epochs: config.epochs as u32,
        host: machine::host(),
        cpu: machine::cpu(),
        device: settings.device_name.clone(),
        threads: settings.threads as u32,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("NKFAC_BENCH_COMMIT").to_owned(),
        started,
        load,
    }
}

/// Keeps the data of the last trial: neighbours mostly share them.
struct DataCache {
    folder: PathBuf,
    last: Option<(DataConfig, Rc<Dataset>)>,
}

impl DataCache {
    fn get(&mut self, config: &DataConfig) -> Result<Rc<Dataset>, Error> {
        match &self.last {
            Some((known, data)) if known == config => Ok(data.clone()),
            _ => {
                let data = Rc::new(Dataset::load(config, &self.folder)?);
                self.last = Some((config.clone(), data.clone()));
                Ok(data)
            }
        }
    }
}
