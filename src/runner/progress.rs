//! The progress of a running trial, for `watch`: a small file beside its lock, written at most once a second and while the clock
//! stands.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::claim::{self, PROGRESS};
use crate::record::Milestone;
use crate::train::{self, Note, Observer, Score};

/// Between two times that it is written.
const EVERY: Duration = Duration::from_secs(1);

/// How far a trial is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs that were asked for.
    pub epochs: usize,
    /// Steps taken, over all epochs.
    pub step: usize,
    /// Steps an epoch.
    pub steps: usize,
    /// Training seconds that it may take.
    #[serde(default)]
    pub max_seconds: Option<f64>,
    /// Training seconds so far.
    pub seconds: f64,
    /// Wall-clock seconds so far, over all processes that ran it: loading, evaluation and checkpoints included.
    #[serde(default)]
    pub wall: f64,
    /// In the order of epochs.
    pub milestones: Vec<Milestone>,
}

impl Progress {
    /// The share of its steps that is taken, or of its seconds, from 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        let steps = self.step as f64 / (self.epochs * self.steps).max(1) as f64;
        self.max_seconds.map_or(steps, |most| steps.max(self.seconds / most)).min(1.0)
    }
}

/// How far the unfinished trial is, if it has said so.
#[must_use]
pub fn progress(results: &Path, trial: &str) -> Option<Progress> {
    read(&claim::folder(results, trial))
}

/// The same of the trial whose folder this is.
pub(super) fn read(folder: &Path) -> Option<Progress> {
    serde_json::from_slice(&fs::read(folder.join(PROGRESS)).ok()?).ok()
}

/// Writes down how far a trial is, and tells its observer.
pub(super) struct Scribe<'a> {
    folder: PathBuf,
    progress: Progress,
    begun: Instant,
    /// Wall-clock seconds in earlier processes.
    before: f64,
    written: Option<Instant>,
    observer: &'a mut dyn Observer,
}

impl<'a> Scribe<'a> {
    /// Of a trial of so many epochs, and at most so many seconds, that this process has begun, and that may go on from where another
    /// left it.
    pub fn new(
        folder: &Path,
        epochs: usize,
        max_seconds: Option<f64>,
        begun: Instant,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let progress = Progress { epochs, max_seconds, ..read(folder).unwrap_or_default() };
        Self { folder: folder.to_owned(), before: progress.wall, progress, begun, written: None, observer }
    }

    /// Wall-clock seconds so far, over all processes.
    pub fn wall(&self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }

    /// Writes down what has come since the last time, of a trial that stops here.
    pub fn stop(&mut self) {
        self.written = None;
        self.write();
    }

    /// A disk that is full ends no trial, so nothing is said if it cannot be written.
    fn write(&mut self) {
        if self.written.is_none_or(|written| written.elapsed() >= EVERY) {
            self.written = Some(Instant::now());
            self.progress.wall = self.wall();
            let _ = write(&self.folder, &self.progress);
        }
    }
}

/// A reader sees the old file or the new one. After a loss of power there may be neither, which does no harm.
fn write(folder: &Path, progress: &Progress) -> io::Result<()> {
    let part = folder.join(PROGRESS).with_extension("part");
    fs::write(&part, serde_json::to_vec(progress)?)?;
    fs::rename(&part, folder.join(PROGRESS))
}

impl Observer for Scribe<'_> {
    fn step(&mut self, at: &train::Progress) {
        let progress = &mut self.progress;
        (progress.step, progress.steps, progress.seconds) = (at.epoch * at.steps + at.step, at.steps, at.seconds);
        // A process that was killed may have gone beyond its last checkpoint.
        progress.milestones.retain(|milestone| milestone.epoch as usize <= at.epoch);
        self.write();
        self.observer.step(at);
    }

    fn epoch(&mut self, epoch: usize, train: Score, test: Score) {
        let progress = &mut self.progress;
        progress.step = (epoch + 1) * progress.steps;
        let (number, metric) = (epoch as u32 + 1, test.goal.metric);
        let milestone = Milestone { epoch: number, train_loss: train.loss, test: test.value, metric };
        progress.milestones.push(milestone);
        self.write();
        self.observer.epoch(epoch, train, test);
    }

    fn note(&mut self, note: &Note<'_>) {
        self.observer.note(note);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Progress, Scribe, read};
    use crate::record::Goal;
    use crate::train::{self, Observer, Score};

    struct Nobody;

    impl Observer for Nobody {
        fn step(&mut self, _: &train::Progress) {}
        fn epoch(&mut self, _: usize, _: Score, _: Score) {}
    }

    /// What a process writes that trains epochs from `first` on, and is written whatever the time.
    fn train(folder: &std::path::Path, first: usize, epochs: usize) -> Progress {
        let mut nobody = Nobody;
        let mut scribe = Scribe::new(folder, 4, None, Instant::now(), &mut nobody);
        for epoch in first..epochs {
            for step in [1, 11] {
                scribe.written = None;
                scribe.step(&train::Progress {
                    epoch,
                    step,
                    steps: 20,
                    loss: 1.0,
                    seconds: (epoch * 20 + step) as f64,
                });
            }
            scribe.written = None;
            let score =
                Score { loss: 1.0 / (epoch + 1) as f64, value: 0.25 * (epoch + 1) as f64, goal: Goal::ACCURACY };
            scribe.epoch(epoch, score, score);
        }
        read(folder).unwrap()
    }

    #[test]
    fn a_trial_that_goes_on_tells_of_every_epoch_once() {
        let folder = tempfile::tempdir().unwrap();
        let epochs = |progress: &Progress| progress.milestones.iter().map(|at| at.epoch).collect::<Vec<_>>();
        let killed = train(folder.path(), 0, 3);
        assert_eq!((epochs(&killed), killed.step, killed.share()), (vec![1, 2, 3], 60, 0.75));
        let resumed = train(folder.path(), 1, 2);
        assert_eq!((epochs(&resumed), resumed.step, resumed.share()), (vec![1, 2], 40, 0.5));
        assert_eq!(resumed.milestones[1].test, 0.5);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_comes_within_a_second_is_not_written_before_the_trial_stops() {
        let folder = tempfile::tempdir().unwrap();
        let mut nobody = Nobody;
        let mut scribe = Scribe::new(folder.path(), 4, None, Instant::now(), &mut nobody);
        let at = |step| train::Progress { epoch: 0, step, steps: 20, loss: 1.0, seconds: 1.0 };
        scribe.step(&at(1));
        scribe.written = Some(std::time::Instant::now() + super::EVERY);
        scribe.step(&at(11));
        assert_eq!(read(folder.path()).unwrap().step, 1);
        scribe.stop();
        assert_eq!(read(folder.path()).unwrap().step, 11);
    }
}
