//! A process for every trial: its peak memory is its own, and if it is killed for its memory the others carry on.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::claim::{Attempt, Claim};
use super::event::{Event, Reporter};
use super::run::{ATTEMPTS, Summary, is_done, make_folder, result_file};
use super::{Error, Settings};
use crate::experiment::{Experiment, Trial};
use crate::record;

/// The exit code of a process that was asked to stop before all was done.
pub const STOPPED: u8 = 3;

/// The exit code of a trial's process that could not write to the results' folder, and has said so.
pub const NO_STORAGE: u8 = 5;

/// The exit code of a process that did its part, while reruns wait for tuning trials of others.
pub const WAITING: u8 = 4;

/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(30);

/// How trials are run by other processes.
pub struct Jobs<'a> {
    /// So many at once.
    pub count: usize,
    /// The command that runs a trial. It stops when its standard input ends, and prints [events](Event::line).
    pub command: &'a dyn Fn(&Trial) -> Command,
    /// What its standard input begins with.
    pub input: &'a str,
}

/// Runs every trial whose result file does not exist yet, each in a process of its own.
///
/// A child stops when its standard input ends, so none outlives this process for long, however it dies.
///
/// # Errors
/// The results' folder cannot be made, or no process can be started. Where a child could not write to it no other is begun.
pub fn run_jobs(
    experiment: &Experiment,
    settings: &Settings,
    jobs: &Jobs<'_>,
    reporter: &mut dyn Reporter,
) -> Result<Summary, Error> {
    make_folder(&settings.folder)?;
    let (sender, heard) = mpsc::channel();
    let waiting = experiment.trials.iter().enumerate().collect();
    let summary = Summary::default();
    Sweep { settings, jobs, reporter, summary, waiting, running: Vec::new(), sender }.run(&heard)
}

/// What a child's output says: an event, or that it has ended.
type Heard = (usize, Option<Event>);

struct Running<'a> {
    place: usize,
    trial: &'a Trial,
    child: Child,
}

struct Sweep<'a> {
    settings: &'a Settings,
    jobs: &'a Jobs<'a>,
    reporter: &'a mut dyn Reporter,
    summary: Summary,
    /// With their places in the plan.
    waiting: VecDeque<(usize, &'a Trial)>,
    running: Vec<Running<'a>>,
    sender: Sender<Heard>,
}

impl Sweep<'_> {
    fn run(mut self, heard: &Receiver<Heard>) -> Result<Summary, Error> {
        loop {
            if self.settings.stop.load(Ordering::Relaxed) {
                self.summary.stopped |= !self.waiting.is_empty();
                self.waiting.clear();
                for running in &mut self.running {
                    running.child.stdin = None;
                }
            }
            while self.running.len() < self.jobs.count
                && let Some((place, trial)) = self.waiting.pop_front()
            {
                if !is_done(trial, self.settings, &mut self.summary, self.reporter) {
                    let child = self.start(place, trial).map_err(|source| Error::Child { source })?;
                    self.running.push(Running { place, trial, child });
                }
            }
            if self.running.is_empty() {
                return Ok(self.summary);
            }
            match heard.recv_timeout(LOOK) {
                Ok((place, Some(event))) => self.tell(place, event),
                Ok((place, None)) => self.ended(place)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    fn start(&self, place: usize, trial: &Trial) -> std::io::Result<Child> {
        let mut child = (self.jobs.command)(trial).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        if let Some(stdin) = &mut child.stdin {
            // A child that is gone already shows below.
            let _ = stdin.write_all(self.jobs.input.as_bytes()).and_then(|()| stdin.flush());
        }
        if let Some(stdout) = child.stdout.take() {
            let sender = self.sender.clone();
            std::thread::Builder::new().name("trial".into()).spawn(move || listen(place, stdout, &sender))?;
        }
        Ok(child)
    }

    fn tell(&mut self, place: usize, event: Event) {
        let Some(running) = self.running.iter().find(|running| running.place == place) else { return };
        // Its own process counts from 1.
        let event = if let Event::Started { .. } = event { Event::Started { number: place + 1 } } else { event };
        self.reporter.event(running.trial, &event);
    }

    /// Counts a trial whose process has ended; it has said all there is to say, unless it was killed.
    fn ended(&mut self, place: usize) -> Result<(), Error> {
        let Some(index) = self.running.iter().position(|running| running.place == place) else { return Ok(()) };
        let Running { trial, mut child, .. } = self.running.swap_remove(index);
        let status = child.wait().map_err(|source| Error::Child { source })?;
        match status.code() {
            Some(code) if code == i32::from(NO_STORAGE) => {
                // Those that wait would only come to say the same.
                self.summary.failed += 1;
                self.waiting.clear();
            }
            Some(code) => self.count(trial, code),
            None if self.killed(trial, status)? => self.waiting.push_back((place, trial)),
            None => {}
        }
        Ok(())
    }

    fn count(&mut self, trial: &Trial, code: i32) {
        match (code, record::brief(&result_file(&self.settings.folder, trial))) {
            (0, Ok(brief)) => self.summary.ended(brief.status),
            (0, Err(_)) => self.summary.taken += 1,
            (code, _) if code == i32::from(STOPPED) => self.summary.stopped = true,
            _ => self.summary.failed += 1,
        }
    }

    /// Counts a trial whose process was killed against it; whether it is to be tried again.
    fn killed(&mut self, trial: &Trial, status: ExitStatus) -> Result<bool, Error> {
        let folder = &self.settings.folder;
        let error = Error::Killed { status: status.to_string() }.to_string();
        let attempts = match Claim::take(folder, trial, None).map_err(Error::storage(folder))? {
            Attempt::Ours(claim) => {
                let attempts = claim.fail(&error).map_err(Error::storage(folder))?;
                claim.release();
                attempts
            }
            // Another process has taken it up already.
            Attempt::Taken(_) => ATTEMPTS,
        };
        let again = attempts < ATTEMPTS && !self.settings.stop.load(Ordering::Relaxed);
        self.summary.failed += usize::from(!again);
        self.reporter.event(trial, &Event::Failed { error, again });
        Ok(again)
    }
}

/// Hands on what a child prints, until its end.
fn listen(place: usize, stdout: ChildStdout, sender: &Sender<Heard>) {
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    for event in lines.filter_map(|line| Event::from_line(&line)) {
        // The receiver is gone if the sweep has failed.
        if sender.send((place, Some(event))).is_err() {
            return;
        }
    }
    let _ = sender.send((place, None));
}
