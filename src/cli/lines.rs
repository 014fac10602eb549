//! What a script sees of a sweep: one JSON object a line on standard output.

use nkfac_bench::experiment::Trial;
use nkfac_bench::runner::{Event, Reporter};
use nkfac_bench::train::Score;
use serde_json::{Value, json};

use super::output::{Transcript, say};

pub struct Lines<'a>(&'a mut Transcript);

impl<'a> Lines<'a> {
    pub const fn new(transcript: &'a mut Transcript) -> Self {
        Self(transcript)
    }
}

/// The trial, and `more` of it.
fn about(event: &str, trial: &Trial, more: Value) -> Value {
    let mut line = json!({ "event": event, "trial": trial.id, "arm": trial.arm, "seed": trial.config.seed });
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    line
}

impl Reporter for Lines<'_> {
    fn event(&mut self, trial: &Trial, event: &Event) {
        let score = |score: &Score| {
            let mut fields = json!({ "loss": score.loss });
            fields[score.goal.metric.name()] = score.value.into();
            fields
        };
        let (name, more) = match event {
            Event::Step(_) => return,
            Event::Started { number } => ("started", json!({ "number": number })),
            Event::Skipped { elsewhere, .. } => ("skipped", json!({ "elsewhere": elsewhere })),
            Event::Taken(holder) => ("taken", json!({ "holder": holder })),
            Event::Resumed { step, elsewhere } => ("resumed", json!({ "step": step, "elsewhere": elsewhere })),
            Event::Unreadable { path, message } => ("unreadable", json!({ "path": path, "error": message })),
            Event::NotSaved { folder, message } => ("not-saved", json!({ "folder": folder, "error": message })),
            Event::Weights { message } => ("weights", json!({ "message": message })),
            Event::Broken { path, reason } => ("broken", json!({ "path": path, "reason": reason })),
            Event::Epoch { epoch, train, test } => {
                ("epoch", json!({ "epoch": epoch + 1, "train": score(train), "test": score(test) }))
            }
            Event::Disturbed { how } => ("disturbed", json!({ "how": how })),
            Event::Stopped { step, saved } => ("stopped", json!({ "step": step, "saved": saved })),
            Event::Ended { status, reason, seconds } => {
                ("ended", json!({ "status": status.name(), "reason": reason, "seconds": seconds }))
            }
            Event::Failed { error, again } => ("failed", json!({ "error": error, "again": again })),
            Event::NoStorage { error } => return say(format_args!("error: {error}")),
        };
        self.0.line(about(name, trial, more));
    }
}
