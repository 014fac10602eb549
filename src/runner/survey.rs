//! What has become of the trials in a folder of results, for `status`, `watch` and `clean`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::claim::{self, UNFINISHED};
use super::run::ATTEMPTS;
use super::{machine, progress};
use crate::experiment::{Experiment, TUNING, Trial};
use crate::record::{self, Brief, Goal, Status};
use crate::text;
use crate::train;

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Finished,
    Diverged,
    /// A process has it.
    Running,
    /// Begun, and left: the same command resumes from its last checkpoint.
    Stopped,
    /// Given up after so many attempts, or for an error that is not the trial's own.
    Failed,
    /// Not begun.
    Waiting,
    /// What lies in its place is broken or foreign.
    Broken,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 7] =
        [Self::Finished, Self::Diverged, Self::Running, Self::Stopped, Self::Failed, Self::Waiting, Self::Broken];

    /// The name in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Diverged => "diverged",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Broken => "broken",
        }
    }
}

/// One trial of a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub trial: String,
    /// Empty if unknown.
    pub arm: String,
    /// The swept keys and their values.
    pub swept: Vec<(String, serde_json::Value)>,
    pub seed: Option<u64>,
    pub standing: Standing,
    /// Seconds since 1970, UTC, when it was taken up; of one that has ended, when it was last begun.
    pub started: Option<f64>,
    /// Training seconds of one that has ended, seconds of the wall since a running one was taken up.
    pub seconds: Option<f64>,
    /// The last value on the test set of what it is judged by.
    pub test: Option<(Goal, f64)>,
    /// Where it runs, what it said, what it can go on from.
    pub note: String,
}

/// All trials of the folder, and those of `experiment` that are not there yet: the experiment's first, in its order.
///
/// # Errors
/// The folder cannot be read.
pub fn survey(folder: &Path, experiment: Option<&Experiment>) -> io::Result<Vec<Entry>> {
    survey_by(folder, experiment, &mut record::brief)
}

/// The same for a caller that looks repeatedly and caches what `brief` said of a file.
///
/// # Errors
/// The folder cannot be read.
pub fn survey_by(
    folder: &Path,
    experiment: Option<&Experiment>,
    brief: &mut dyn FnMut(&Path) -> Result<Brief, String>,
) -> io::Result<Vec<Entry>> {
    let mut found: BTreeMap<String, Entry> = BTreeMap::new();
    for path in children(&folder.join(UNFINISHED))? {
        let entry = unfinished(&path);
        found.insert(entry.trial.clone(), entry);
    }
    for path in children(folder)? {
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let entry = ended(&path, brief(&path));
            found.insert(entry.trial.clone(), entry);
        }
    }
    let planned = experiment.map_or(&[][..], |experiment| &experiment.trials);
    let mut entries: Vec<Entry> = planned
        .iter()
        .map(|trial| {
            let entry = found.remove(&trial.id).unwrap_or_else(|| waiting(trial));
            let seed = Some(trial.config.seed);
            Entry { arm: trial.arm.clone(), swept: trial.swept.clone(), seed, ..entry }
        })
        .collect();
    entries.extend(found.into_values());
    Ok(entries)
}

/// What belongs to trials that have not ended and that no process runs, tuning trials included: their folders, and partial files.
///
/// # Errors
/// The folder cannot be read.
pub fn leftovers(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = leftovers_in(folder)?;
    paths.extend(leftovers_in(&folder.join(TUNING))?);
    Ok(paths)
}

fn leftovers_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        children(&folder.join(UNFINISHED))?.into_iter().filter(|path| !claim::is_held(path)).collect();
    for path in children(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(trial) = name.strip_prefix('.').filter(|_| name.ends_with(".part")) else { continue };
        let trial = trial.split('-').next().unwrap_or_default();
        if !claim::is_held(&claim::folder(folder, trial)) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Removes one of [`leftovers`]; returns whether it is gone, since a process may have taken it up by now.
///
/// # Errors
/// It cannot be removed.
pub fn discard(path: &Path) -> io::Result<bool> {
    if path.is_dir() { claim::discard(path) } else { fs::remove_file(path).map(|()| true) }
}

/// What is in a folder, sorted; nothing if there is no such folder.
fn children(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?.collect::<io::Result<Vec<_>>>()?,
    };
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    text::name(path.file_stem().unwrap_or_default())
}

fn ended(path: &Path, brief: Result<Brief, String>) -> Entry {
    match brief {
        Ok(brief) => {
            let swept: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&brief.swept).unwrap_or_default();
            let standing = match brief.status {
                Status::Finished => Standing::Finished,
                Status::Diverged => Standing::Diverged,
            };
            let disturbed = brief.disturbance.map_or(String::new(), |how| format!("; times disturbed: {how}"));
            let note = format!("on {}, {}, {} threads{disturbed}", brief.host, brief.device, brief.threads);
            Entry {
                trial: stem(path),
                arm: brief.arm,
                swept: swept.into_iter().collect(),
                seed: Some(brief.seed),
                standing,
                started: Some(brief.started),
                seconds: Some(brief.seconds),
                test: brief.test,
                note,
            }
        }
        Err(note) => Entry { trial: stem(path), standing: Standing::Broken, note, ..nothing() },
    }
}

fn unfinished(path: &Path) -> Entry {
    let (holder, failures) = (claim::holder(path), claim::failures(path));
    let steps = children(path).unwrap_or_default();
    let saved = steps.iter().rev().find(|path| path.extension().is_some_and(|found| found == train::EXTENSION));
    let saved = saved.map_or("no checkpoint yet".to_owned(), |path| {
        format!("saved after step {}", stem(path).trim_start_matches('0'))
    });
    let (standing, seconds, note) = if claim::is_held(path) {
        let note = format!("process {} on {}, {saved}", holder.pid, holder.host);
        (Standing::Running, Some((machine::now() - holder.since).max(0.0)), note)
    } else if failures.attempts >= ATTEMPTS || (failures.attempts == 0 && !failures.message.is_empty()) {
        (Standing::Failed, None, failures.message.lines().next().unwrap_or_default().to_owned())
    } else {
        (Standing::Stopped, None, saved)
    };
    let seed = holder.swept.iter().find(|(key, _)| key == "seed").and_then(|(_, seed)| seed.as_u64());
    let started = (holder.since > 0.0).then_some(holder.since);
    let milestones = progress::read(path).map(|progress| progress.milestones).unwrap_or_default();
    let test = milestones.last().map(|last| (Goal::of(last.metric), last.test));
    Entry { trial: stem(path), arm: holder.arm, swept: holder.swept, seed, standing, started, seconds, test, note }
}

fn waiting(trial: &Trial) -> Entry {
    Entry { trial: trial.id.clone(), ..nothing() }
}

fn nothing() -> Entry {
    Entry {
        trial: String::new(),
        arm: String::new(),
        swept: Vec::new(),
        seed: None,
        standing: Standing::Waiting,
        started: None,
        seconds: None,
        test: None,
        note: String::new(),
    }
}

/// `seed = 1, optimizer.precondition.inverse_every = 200`.
#[must_use]
pub fn listed(swept: &[(String, serde_json::Value)]) -> String {
    swept.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}
