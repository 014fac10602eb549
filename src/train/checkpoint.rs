//! Checkpoints: all that a trial is, saved between two steps, so that it goes on later to the same bits.
//!
//! The order of images and every random number depend on the seed and on the epoch or step alone, so a position is enough to find them
//! again: the batches of a started epoch are made anew and passed over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::recorder::Recorder;
use super::tally::Tally;
use super::{Note, Observer, Trial};
use crate::cause;
use crate::clock::Clock;
use crate::param::Param;
use crate::state::{self, State};

/// How often a trial is saved: what comes first counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// After every so many epochs; never because of epochs if absent.
    #[serde(default)]
    pub epochs: Option<usize>,
    /// Minutes of the wall between two.
    #[serde(default = "five_minutes")]
    pub minutes: f64,
}

const fn five_minutes() -> f64 {
    5.0
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { epochs: None, minutes: five_minutes() }
    }
}

/// Where a trial's checkpoints are kept, when they are made, and who may ask it to stop.
#[derive(Debug)]
pub struct Keeper {
    folder: PathBuf,
    trial: String,
    /// What the bits depend on besides the configuration: device, threads, version.
    machine: String,
    every: CheckpointConfig,
    stop: Arc<AtomicBool>,
    last: Instant,
}

/// The ending of a checkpoint's name, behind the number of its step.
pub const EXTENSION: &str = "checkpoint";

/// Of the state's names and meaning; a checkpoint of another version is not gone on from.
const VERSION: usize = 2;

/// Checkpoints kept of a trial: the one before the last is there should the last be damaged.
const KEPT: usize = 2;

/// Between two steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Whole epochs before it, or stretches between evaluations.
    pub epoch: usize,
    /// Steps of the started epoch before it.
    pub step: usize,
}

impl Keeper {
    /// Keeps the checkpoints of `trial` in `folder`, which must exist. The trial is saved and stopped once `stop` is true.
    #[must_use]
    pub fn new(folder: &Path, trial: &str, machine: &str, every: CheckpointConfig, stop: Arc<AtomicBool>) -> Self {
        let (folder, trial, machine) = (folder.to_owned(), trial.to_owned(), machine.to_owned());
        Self { folder, trial, machine, every, stop, last: Instant::now() }
    }

    /// Whether the trial is to be saved and left.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether time asks for a checkpoint.
    pub(super) fn is_due(&self) -> bool {
        self.last.elapsed() >= Duration::try_from_secs_f64(60.0 * self.every.minutes).unwrap_or(Duration::MAX)
    }

    /// Whether the end of an epoch, counted from 0, asks for one.
    pub(super) fn is_due_after(&self, epoch: usize) -> bool {
        self.is_due() || self.every.epochs.is_some_and(|every| (epoch + 1).is_multiple_of(every))
    }

    /// Saves the trial; a disk that is full or broken does not end it.
    pub(super) fn save(&mut self, trial: &Trial<'_>, at: Position, observer: &mut dyn Observer) -> bool {
        self.last = Instant::now();
        let saved = trial.state(at).map_err(|error| cause::message(&error)).and_then(|mut state| {
            state.put_number("version", VERSION as f64);
            state.put_text("trial", &self.trial);
            state.put_text("machine", &self.machine);
            let path = self.folder.join(format!("{:012}.{EXTENSION}", trial.steps));
            state::write(&path, &state).map_err(|error| error.to_string())
        });
        match &saved {
            Ok(()) => self.thin_out(),
            Err(message) => observer.note(&Note::NotSaved { folder: &self.folder, message }),
        }
        saved.is_ok()
    }

    /// Takes up the newest checkpoint that can be read, in a trial made by `fresh`.
    pub(super) fn resume<'a, E>(
        &self,
        fresh: impl Fn() -> Result<Trial<'a>, E>,
        observer: &mut dyn Observer,
    ) -> Result<(Trial<'a>, Position), E> {
        for path in files(&self.folder).into_iter().rev() {
            let mut trial = fresh()?;
            match self.load(&path, &mut trial) {
                Ok((position, machine)) => {
                    let elsewhere = (machine != self.machine).then_some(machine.as_str());
                    observer.note(&Note::Resumed { step: trial.steps, elsewhere });
                    return Ok((trial, position));
                }
                Err(message) => {
                    observer.note(&Note::Unreadable { path: &path, message: &message });
                    // Whoever stays would stand in the way of what is saved from now on.
                    let _ = fs::remove_file(&path);
                }
            }
        }
        Ok((fresh()?, Position::default()))
    }

    /// The checkpoint's position, and the machine that it was made on.
    fn load(&self, path: &Path, trial: &mut Trial<'_>) -> Result<(Position, String), String> {
        let mut state = state::read(path).map_err(|error| error.to_string())?;
        let mut load = || {
            let version = state.take_count("version")?;
            if version != VERSION {
                candle_core::bail!("it is of version {version} (must be {VERSION})")
            }
            let (name, machine) = (state.take_text("trial")?, state.take_text("machine")?);
            if name != self.trial {
                candle_core::bail!("it is of the trial `{name}`")
            }
            Ok((trial.load(std::mem::take(&mut state))?, machine))
        };
        load().map_err(|error| cause::message(&error))
    }

    fn thin_out(&self) {
        let files = files(&self.folder);
        for path in files.iter().rev().skip(KEPT) {
            let _ = fs::remove_file(path);
        }
    }
}

/// The checkpoints in `folder`, the oldest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).unwrap_or_default();
    let mut files: Vec<PathBuf> = entries
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .collect();
    files.sort();
    files
}

impl Trial<'_> {
    /// All that decides how it goes on, and all that it has recorded.
    fn state(&self, at: Position) -> candle_core::Result<State> {
        let mut state = State::new();
        state.put_number("epoch", at.epoch as f64);
        state.put_number("step", at.step as f64);
        state.put_number("steps", self.steps as f64);
        state.put_number("lr", self.lr);
        state.put_numbers("clock", &self.clock.seconds())?;
        for param in self.remembered() {
            state.put(format!("net/{}", param.name), &param.var);
        }
        state.put_part("optimizer", self.optimizer.state());
        state.put_part("tally", self.tally.state());
        state.put_part("recorder", self.recorder.state()?);
        Ok(state)
    }

    fn load(&mut self, mut state: State) -> candle_core::Result<Position> {
        let at = Position { epoch: state.take_count("epoch")?, step: state.take_count("step")? };
        self.steps = state.take_count("steps")?;
        if at.epoch > self.config.rounds() || at.step > self.config.evaluation_steps() {
            candle_core::bail!("epoch {}, step {} is behind the end", at.epoch, at.step)
        }
        self.lr = state.take_number("lr")?;
        let Ok(seconds) = state.take_numbers("clock")?.try_into() else {
            candle_core::bail!("the clock has other phases")
        };
        self.clock = Arc::new(Clock::at(self.device, seconds));
        for param in self.remembered() {
            let name = format!("net/{}", param.name);
            let Some(value) = state.take(&name) else { candle_core::bail!("there is no `{name}`") };
            state::restore(&param.var, &name, &value)?;
        }
        self.optimizer.load(state.take_part("optimizer"), &self.net.params)?;
        self.tally = Tally::load(self.task, state.take_part("tally"), self.device)?;
        self.recorder = Recorder::load(state.take_part("recorder"))?;
        state.finish()?;
        Ok(at)
    }

    /// Parameters and running statistics.
    fn remembered(&self) -> impl Iterator<Item = &Param> {
        self.net.params.params.iter().chain(&self.net.params.buffers)
    }
}
