//! What a search came to, for people and for scripts.

use nkfac_bench::experiment::Trial;
use nkfac_bench::runner::{Best, Choice, Waiting};
use serde_json::{Map, json};

use super::output::{Transcript, say};
use super::plan::differences;

/// One line a configuration that was chosen.
pub fn tell(choice: &Choice<'_>, as_json: bool, transcript: &mut Transcript) {
    for Best { trial, validation, tried, diverged } in &choice.best {
        if as_json {
            let swept: Map<_, _> = trial.swept.iter().cloned().collect();
            let mut fields = json!({
                "event": "chosen", "trial": trial.id, "arm": trial.arm, "swept": swept, "tried": tried, "diverged": diverged
            });
            fields[validation.goal.metric.name()] = validation.value.into();
            if let Some(steps) = validation.steps {
                fields["steps_to_target"] = steps.into();
            }
            transcript.line(fields);
            continue;
        }
        let lost = if *diverged == 0 { String::new() } else { format!(", {diverged} diverged") };
        let (goal, value) = (validation.goal.title, validation.goal.show(validation.value));
        let soon = validation.steps.map_or(String::new(), |steps| format!("{steps:.0} steps to the target, "));
        transcript.line(format_args!("{}  {soon}validation {goal} {value}, the best of {tried}{lost}", name(trial)));
    }
    for trial in &choice.lost {
        say(format_args!("warning: arm `{}`: all configurations diverged, so none is run again", trial.arm));
    }
}

/// That nothing can be chosen yet.
pub fn tell_waiting(waiting: &Waiting<'_>, as_json: bool, transcript: &mut Transcript) {
    if as_json {
        let left: Vec<&str> = waiting.left.iter().map(|trial| trial.id.as_str()).collect();
        transcript.line(json!({ "event": "waiting", "left": left, "of": waiting.of }));
    } else {
        say(format_args!(
            "{waiting}\nhint: run the same command once they are there; `nkfac-bench status` shows who has them"
        ));
    }
}

fn name(trial: &Trial) -> String {
    format!("chosen: {}  {}  {}", trial.id, trial.arm, differences(trial))
}
