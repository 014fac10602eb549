//! What happens in a sweep, as it happens.

use serde::{Deserialize, Serialize};

use super::bits;
use super::claim::Holder;
use crate::experiment::Trial;
use crate::record::Status;
use crate::text::Shown;
use crate::train::{Note, Observer, Progress, Score};

/// What happens to a trial. Plain data, so that a trial's process can tell its parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    /// It is about to start; `number` counts from 1.
    Started { number: usize },
    /// It has a result already: made `elsewhere` if on another device or with another number of threads, and its wall-clock seconds if it ran
    /// to its end.
    Skipped { elsewhere: Option<String>, seconds: Option<f64> },
    /// Another process runs it.
    Taken(Holder),
    /// It resumes from a checkpoint after so many steps, which was made `elsewhere` if not on a machine like this.
    Resumed { step: usize, elsewhere: Option<String> },
    /// A checkpoint cannot be read and is discarded.
    Unreadable { path: String, message: String },
    /// A checkpoint could not be written.
    NotSaved { folder: String, message: String },
    /// The weights that it starts from are not taken just as they are.
    Weights { message: String },
    /// An image file of its data was left out, because it cannot be decoded.
    Broken { path: String, reason: String },
    /// Some steps further.
    Step(#[serde(with = "bits::progress")] Progress),
    /// An epoch was trained and evaluated; it counts from 0.
    Epoch {
        epoch: usize,
        #[serde(with = "bits::score")]
        train: Score,
        #[serde(with = "bits::score")]
        test: Score,
    },
    /// Something took its time, or may have.
    Disturbed { how: String },
    /// It ended after so many training seconds; `reason` says why it diverged.
    Ended { status: Status, reason: Option<String>, seconds: f64 },
    /// It was asked to stop after so many steps; `saved` says whether it can go on from there.
    Stopped { step: usize, saved: bool },
    /// It could not be run or recorded; `again` says that it is tried once more.
    Failed { error: String, again: bool },
    /// Its process cannot write to the results' folder, and no other could.
    NoStorage { error: String },
}

impl Event {
    /// As a line of text, for another process.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// What a line says, if it is one of ours.
    pub(super) fn from_line(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

/// Who is told what happens in a sweep.
pub trait Reporter {
    /// Something has happened to a trial. Several trials may run at once.
    fn event(&mut self, trial: &Trial, event: &Event);
}

/// Passes on what a trial's training tells.
pub(super) struct Relay<'a> {
    pub trial: &'a Trial,
    pub reporter: &'a mut dyn Reporter,
}

impl Observer for Relay<'_> {
    fn step(&mut self, progress: &Progress) {
        self.reporter.event(self.trial, &Event::Step(*progress));
    }

    fn epoch(&mut self, epoch: usize, train: Score, test: Score) {
        self.reporter.event(self.trial, &Event::Epoch { epoch, train, test });
    }

    fn note(&mut self, note: &Note<'_>) {
        let event = match *note {
            Note::Resumed { step, elsewhere } => Event::Resumed { step, elsewhere: elsewhere.map(str::to_owned) },
            Note::Unreadable { path, message } => Event::Unreadable { path: path.shown(), message: message.to_owned() },
            Note::NotSaved { folder, message } => {
                Event::NotSaved { folder: folder.shown(), message: message.to_owned() }
            }
            Note::Weights { message } => Event::Weights { message: message.to_owned() },
        };
        self.reporter.event(self.trial, &event);
    }
}

#[cfg(test)]
mod tests {
    use super::Event;
    use crate::record::Goal;
    use crate::record::Status;
    use crate::train::{Progress, Score};

    #[test]
    fn every_bit_comes_through_and_nothing_else_does() {
        let train = Score { loss: 0.1 + 0.2, value: 1.0 / 3.0, goal: Goal::ACCURACY };
        let test = Score { loss: f64::NAN, value: 0.0, goal: Goal::LOSS };
        let events = [
            Event::Epoch { epoch: 2, train, test },
            Event::Step(Progress { epoch: 1, step: 2, steps: 3, loss: 1e-300, seconds: 0.1 }),
            Event::Ended { status: Status::Diverged, reason: Some("loss is NaN\nin epoch 1".into()), seconds: 1.5 },
        ];
        for sent in events {
            let text = sent.line().unwrap();
            assert!(!text.contains('\n'), "{text}");
            assert_eq!(format!("{:?}", Event::from_line(&text).unwrap()), format!("{sent:?}"));
        }
        assert!(Event::from_line("a panic's first words").is_none());
    }
}
