//! Running trials: what is finished is skipped, what another process runs is left to it, what fails does not stop the rest.

use std::any::Any;
use std::io;
use std::ops::Add;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::claim::{Attempt, Claim};
use super::event::{Event, Relay, Reporter};
use super::guard::Guard;
use super::origin::origin;
use super::progress::Scribe;
use super::settings::Settings;
use super::{Error, machine};
use crate::data::{self, DataConfig, Dataset};
use crate::experiment::{Experiment, Trial};
use crate::nn::weights;
use crate::record::{self, Brief, Metric, Row, Scope, Status};
use crate::text::Shown;
use crate::train::{self, Ending, Keeper, Outcome};

/// How many trials ended in which way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub finished: usize,
    pub diverged: usize,
    pub skipped: usize,
    pub failed: usize,
    /// Run by other processes.
    pub taken: usize,
    /// It was asked to stop before all was done.
    pub stopped: bool,
}

impl Add for Summary {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            finished: self.finished + other.finished,
            diverged: self.diverged + other.diverged,
            skipped: self.skipped + other.skipped,
            failed: self.failed + other.failed,
            taken: self.taken + other.taken,
            stopped: self.stopped || other.stopped,
        }
    }
}

impl Summary {
    /// Whether there is a result of any trial.
    #[must_use]
    pub const fn has_results(&self) -> bool {
        self.finished + self.diverged + self.skipped > 0
    }

    pub(super) fn ended(&mut self, status: Status) {
        match status {
            Status::Finished => self.finished += 1,
            Status::Diverged => self.diverged += 1,
        }
    }
}

/// How often a trial may take itself or its process down before it is given up.
pub(super) const ATTEMPTS: usize = 3;

/// How long a step and a checkpoint of a process that is about to leave a trial may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs every trial that has no result file yet and that no other process runs, one file per trial.
///
/// # Errors
/// The results' folder cannot be made or written to, so that continuing would be pointless. A trial that fails otherwise is reported and counted,
/// and the others are run.
pub fn run(experiment: &Experiment, settings: &Settings, reporter: &mut dyn Reporter) -> Result<Summary, Error> {
    make_folder(&settings.folder)?;
    let data = DataCache { folder: data::folder(experiment.data_dir.as_deref()), last: None };
    let mut sweep = Sweep { experiment, settings, data, reporter, summary: Summary::default() };
    for (i, trial) in experiment.trials.iter().enumerate() {
        if settings.stop.load(Ordering::Relaxed) {
            sweep.summary.stopped = true;
            break;
        }
        if !is_done(trial, settings, &mut sweep.summary, sweep.reporter) {
            sweep.take(i + 1, trial)?;
        }
    }
    Ok(sweep.summary)
}

pub(super) fn make_folder(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Folder { path: folder.to_owned(), source })
}

/// Whether there is nothing left to do for a trial: its result is there, or a broken or foreign file in its place.
pub(super) fn is_done(trial: &Trial, settings: &Settings, summary: &mut Summary, reporter: &mut dyn Reporter) -> bool {
    let path = result_file(&settings.folder, trial);
    if !path.exists() {
        return false;
    }
    match record::brief(&path) {
        Ok(brief) => {
            summary.skipped += 1;
            let seconds = brief.took();
            reporter.event(trial, &Event::Skipped { elsewhere: elsewhere(&brief, settings), seconds });
        }
        Err(reason) => {
            summary.failed += 1;
            let error = Error::Broken { path, reason }.to_string();
            reporter.event(trial, &Event::Failed { error, again: false });
        }
    }
    true
}

/// Where a trial's result goes.
pub(super) fn result_file(folder: &Path, trial: &Trial) -> PathBuf {
    folder.join(format!("{}.parquet", trial.id))
}

/// `cuda:0, 8 threads`, if that is not what this process computes with.
fn elsewhere(brief: &Brief, settings: &Settings) -> Option<String> {
    let same = brief.device == settings.device_name && brief.threads as usize == settings.threads;
    (!same).then(|| format!("{}, {} threads", brief.device, brief.threads))
}

struct Sweep<'a> {
    experiment: &'a Experiment,
    settings: &'a Settings,
    data: DataCache,
    reporter: &'a mut dyn Reporter,
    summary: Summary,
}

impl Sweep<'_> {
    /// Runs a trial unless another process does.
    fn take(&mut self, number: usize, trial: &Trial) -> Result<(), Error> {
        let settings = self.settings;
        let claim = match self.claim(trial).map_err(Error::storage(&settings.folder))? {
            Attempt::Ours(claim) => claim,
            Attempt::Taken(holder) => {
                self.summary.taken += 1;
                self.reporter.event(trial, &Event::Taken(holder));
                return Ok(());
            }
        };
        // Another process may have finished it between the look and the lock.
        if is_done(trial, settings, &mut self.summary, self.reporter) {
            claim.finish();
            return Ok(());
        }
        let failures = claim.failures();
        if settings.retry || failures.attempts == 0 {
            claim.forgive();
        } else if failures.attempts >= ATTEMPTS {
            self.fail(trial, &Error::GivenUp(failures));
            claim.release();
            return Ok(());
        }
        self.attempt(number, trial, claim)
    }

    /// Claims the trial. A holder whose parent is gone is waited for: it saves, and leaves the trial.
    fn claim(&self, trial: &Trial) -> io::Result<Attempt> {
        let Settings { folder, parent, stop, .. } = self.settings;
        let begun = Instant::now();
        loop {
            match Claim::take(folder, trial, *parent)? {
                Attempt::Taken(holder)
                    if holder.is_orphan() && begun.elapsed() < PATIENCE && !stop.load(Ordering::Relaxed) =>
                {
                    std::thread::sleep(PATIENCE / 1000);
                }
                attempt => return Ok(attempt),
            }
        }
    }

    /// Runs a trial, several times if it panics.
    fn attempt(&mut self, number: usize, trial: &Trial, claim: Claim) -> Result<(), Error> {
        loop {
            self.reporter.event(trial, &Event::Started { number });
            let once = AssertUnwindSafe(|| self.run_trial(trial, &claim));
            match catch_unwind(once).unwrap_or_else(|panic| Err(panicked(panic.as_ref()))) {
                Ok(Ending::Ended(outcome)) => {
                    let Outcome { status, reason, rows, .. } = outcome;
                    self.summary.ended(status);
                    let seconds = rows.last().map_or(0.0, |row| row.seconds);
                    self.reporter.event(trial, &Event::Ended { status, reason, seconds });
                    claim.finish();
                    return Ok(());
                }
                Ok(Ending::Stopped { step, saved }) => {
                    self.summary.stopped = true;
                    self.reporter.event(trial, &Event::Stopped { step, saved });
                    claim.release();
                    return Ok(());
                }
                Err(error @ Error::Panicked { .. }) => {
                    let attempts = claim.fail(&error.to_string()).map_err(Error::storage(&self.settings.folder))?;
                    if attempts < ATTEMPTS {
                        self.reporter.event(trial, &Event::Failed { error: error.to_string(), again: true });
                        continue;
                    }
                    self.fail(trial, &error);
                }
                Err(
                    Error::Record(record::Error::Write { path, source })
                    | Error::Weights(weights::Error::Write { path, source }),
                ) => {
                    return Err(Error::storage(&path)(source));
                }
                Err(error) => {
                    claim.refuse(&error.to_string()).map_err(Error::storage(&self.settings.folder))?;
                    self.fail(trial, &error);
                }
            }
            claim.release();
            return Ok(());
        }
    }

    fn fail(&mut self, trial: &Trial, error: &Error) {
        self.summary.failed += 1;
        self.reporter.event(trial, &Event::Failed { error: error.to_string(), again: false });
    }

    fn run_trial(&mut self, trial: &Trial, claim: &Claim) -> Result<Ending, Error> {
        let settings = self.settings;
        if let Some(path) = trial.changed() {
            return Err(Error::Changed { path: path.to_owned() });
        }
        let (started, begun, load, guard) = (machine::now(), Instant::now(), machine::load(), Guard::new());
        let dataset = self.data.get(&trial.config.data)?;
        let machine = format!(
            "{}, {} threads, version {} ({})",
            settings.device_name,
            settings.threads,
            env!("CARGO_PKG_VERSION"),
            env!("NKFAC_BENCH_COMMIT")
        );
        let every = self.experiment.checkpoint;
        let mut keeper = Keeper::new(claim.folder(), &trial.id, &machine, every, settings.stop.clone());
        let mut relay = Relay { trial, reporter: self.reporter };
        let mut scribe =
            Scribe::new(claim.folder(), trial.config.rounds(), trial.config.max_seconds, begun, &mut relay);
        let mut ending = train::train(&trial.config, &dataset, &settings.device, Some(&mut keeper), &mut scribe)?;
        let wall = scribe.wall();
        if matches!(ending, Ending::Stopped { .. }) {
            scribe.stop();
        }
        for broken in dataset.broken() {
            let (path, reason) = (broken.path.shown(), broken.reason);
            self.reporter.event(trial, &Event::Broken { path, reason });
        }
        if let Ending::Ended(outcome) = &mut ending {
            if settings.save_weights && outcome.status == Status::Finished {
                let path = result_file(&settings.folder, trial).with_extension("safetensors");
                weights::save(&outcome.params, &path)?;
            }
            if let Some(last) = outcome.rows.last().cloned() {
                let train = Row { scope: Scope::Train, ..last.clone() };
                if let Some(target) = self.experiment.target {
                    outcome.rows.push(Row { scope: Scope::Test, metric: Metric::Target, value: target, ..last });
                }
                outcome.rows.extend(guard.rows(&train));
                outcome.rows.push(Row { metric: Metric::WallSeconds, value: wall, ..train });
            }
            let origin = origin(self.experiment, trial, settings, outcome.status, started, load);
            let path = result_file(&settings.folder, trial);
            record::write(&path, &origin, &outcome.rows)?;
            if let Ok(record::Brief { disturbance: Some(how), .. }) = record::brief(&path) {
                self.reporter.event(trial, &Event::Disturbed { how });
            }
        }
        Ok(ending)
    }
}

/// A defect of one trial must not take the others with it.
fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::Panicked { message: text.unwrap_or("without a word").to_owned() }
}

impl Error {
    /// For `map_err` wherever results are written.
    pub(super) fn storage(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Storage { path: path.to_owned(), source }
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
