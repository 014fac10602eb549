//! Several trials at once, each in a process of its own: one that is killed for its memory takes nobody with it, and its peak of memory is
//! its own.

use std::collections::VecDeque;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::claim::{Attempt, Claim};
use super::run::{ATTEMPTS, Event, Reporter, Summary, is_done, make_folder, result_file};
use super::{Error, Settings};
use crate::experiment::{Experiment, Trial};
use crate::record;

/// The exit code of a process that was asked to stop before all was done.
pub const STOPPED: u8 = 3;

/// The exit code of a trial's process that could not write to the results' folder, and has said so.
pub const NO_STORAGE: u8 = 5;

/// The exit code of a process that did its part, while reruns wait for tuning trials of others.
pub const WAITING: u8 = 4;

/// Between two looks at the children.
const LOOK: Duration = Duration::from_millis(30);

/// Runs every trial whose result file does not exist yet, `jobs` at a time, by the commands that `command` gives.
///
/// A child stops when its standard input ends, so none outlives this process for long, however it dies.
///
/// # Errors
/// The results' folder cannot be made, or no process can be started. Where a child could not write to it no other is begun.
pub fn run_jobs(
    experiment: &Experiment,
    settings: &Settings,
    jobs: usize,
    command: &dyn Fn(&Trial) -> Command,
    reporter: &mut dyn Reporter,
) -> Result<Summary, Error> {
    make_folder(&settings.folder)?;
    let mut summary = Summary::default();
    let mut waiting: VecDeque<&Trial> = experiment.trials.iter().collect();
    let mut running: Vec<(&Trial, Child)> = Vec::new();
    loop {
        if settings.stop.load(Ordering::Relaxed) {
            summary.stopped |= !waiting.is_empty();
            waiting.clear();
            for (_, child) in &mut running {
                child.stdin = None;
            }
        }
        while running.len() < jobs
            && let Some(trial) = waiting.pop_front()
        {
            if !is_done(trial, settings, &mut summary, reporter) {
                let child = command(trial).stdin(Stdio::piped()).spawn();
                running.push((trial, child.map_err(|source| Error::Child { source })?));
            }
        }
        if running.is_empty() {
            return Ok(summary);
        }
        for (trial, mut child) in std::mem::take(&mut running) {
            match child.try_wait().map_err(|source| Error::Child { source })? {
                None => running.push((trial, child)),
                Some(status) if status.code() == Some(i32::from(NO_STORAGE)) => {
                    // Those that wait would only come to say the same.
                    summary.failed += 1;
                    waiting.clear();
                }
                Some(status) if status.code().is_some() => count(trial, status, settings, &mut summary),
                Some(status) => {
                    if killed(trial, status, settings, &mut summary, reporter)? {
                        waiting.push_back(trial);
                    }
                }
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// Counts a trial whose process has ended by itself; it has said all there is to say.
fn count(trial: &Trial, status: ExitStatus, settings: &Settings, summary: &mut Summary) {
    match (status.code(), record::brief(&result_file(&settings.folder, trial))) {
        (Some(0), Ok(brief)) => summary.ended(brief.status),
        (Some(0), Err(_)) => summary.taken += 1,
        (Some(code), _) if code == i32::from(STOPPED) => summary.stopped = true,
        _ => summary.failed += 1,
    }
}

/// Counts a trial whose process was killed against it; whether it is to be tried again.
fn killed(
    trial: &Trial,
    status: ExitStatus,
    settings: &Settings,
    summary: &mut Summary,
    reporter: &mut dyn Reporter,
) -> Result<bool, Error> {
    let error = Error::Killed { status: status.to_string() };
    let attempts = match Claim::take(&settings.folder, trial).map_err(Error::storage(&settings.folder))? {
        Attempt::Ours(claim) => {
            let attempts = claim.fail(&error.to_string()).map_err(Error::storage(&settings.folder))?;
            claim.release();
            attempts
        }
        // Somebody else has taken it up already.
        Attempt::Taken(_) => ATTEMPTS,
    };
    let again = attempts < ATTEMPTS && !settings.stop.load(Ordering::Relaxed);
    summary.failed += usize::from(!again);
    reporter.event(&Event::Failed { trial, error: &error, again });
    Ok(again)
}
