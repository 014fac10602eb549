//! What a script sees of a sweep: one JSON object a line on standard output.

use super::output::Transcript;
use nkfac_bench::experiment::Trial;
use nkfac_bench::runner::{Event, Reporter};
use nkfac_bench::train::{Note, Observer, Progress, Score};
use serde_json::{Value, json};

pub struct Lines<'a> {
    transcript: &'a mut Transcript,
    trial: String,
}

impl<'a> Lines<'a> {
    pub const fn new(transcript: &'a mut Transcript) -> Self {
        Self { transcript, trial: String::new() }
    }
}

fn ended(event: &str, trial: &Trial, more: Value) -> Value {
    let mut line = json!({ "event": event, "trial": trial.id, "arm": trial.arm, "seed": trial.config.seed });
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    line
}

impl Observer for Lines<'_> {
    fn step(&mut self, _progress: &Progress) {}

    fn epoch(&mut self, epoch: usize, train: Score, test: Score) {
        let score = |score: Score| json!({ "loss": score.loss, "accuracy": score.accuracy });
        let (train, test) = (score(train), score(test));
        self.transcript
            .line(json!({ "event": "epoch", "trial": self.trial, "epoch": epoch + 1, "train": train, "test": test }));
    }

    fn note(&mut self, note: &Note<'_>) {
        let trial = &self.trial;
        self.transcript.line(match note {
            Note::Resumed { step, elsewhere } => {
                json!({ "event": "resumed", "trial": trial, "step": step, "elsewhere": elsewhere })
            }
            Note::Unreadable { path, message } => {
                json!({ "event": "unreadable", "trial": trial, "path": path.display().to_string(), "error": message })
            }
            Note::NotSaved { folder, message } => {
                json!({ "event": "not-saved", "trial": trial, "folder": folder.display().to_string(), "error": message })
            }
            Note::Weights { message } => json!({ "event": "weights", "trial": trial, "message": message }),
        });
    }
}

impl Reporter for Lines<'_> {
    fn event(&mut self, event: &Event<'_>) {
        let line = match event {
            Event::Started { trial, number } => {
                self.trial.clone_from(&trial.id);
                ended("started", trial, json!({ "number": number }))
            }
            Event::Broken { trial, broken } => {
                ended("broken", trial, json!({ "path": broken.path.display().to_string(), "reason": broken.reason }))
            }
            Event::Skipped { trial, elsewhere } => ended("skipped", trial, json!({ "elsewhere": elsewhere })),
            Event::Taken { trial, holder } => ended("taken", trial, json!({ "holder": holder })),
            Event::Stopped { trial, step, saved } => ended("stopped", trial, json!({ "step": step, "saved": saved })),
            Event::Ended { trial, outcome } => {
                ended("ended", trial, json!({ "status": outcome.status.name(), "reason": outcome.reason }))
            }
            Event::Failed { trial, error, again } => {
                ended("failed", trial, json!({ "error": error.to_string(), "again": again }))
            }
        };
        self.transcript.line(line);
    }
}
