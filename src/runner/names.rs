//! What an experiment's file calls its trials, for reading results.

use crate::experiment::{Experiment, inverse};
use crate::record::{Name, Names};

impl Experiment {
    /// Its trials' names.
    #[must_use]
    pub fn names(&self) -> Names {
        let trials = self.trials.iter().map(|trial| {
            let swept: serde_json::Map<_, _> = trial.swept.iter().cloned().collect();
            name(&trial.id, &trial.arm, swept)
        });
        Names { trials: trials.collect(), arms: self.arms.clone() }
    }
}

impl inverse::Comparison {
    /// Its trials' names.
    #[must_use]
    pub fn names(&self) -> Names {
        let trials = self.trials.iter().map(|trial| name(&trial.id, &trial.arm, trial.swept.clone()));
        let mut arms: Vec<String> = self.trials.iter().map(|trial| trial.arm.clone()).collect();
        arms.dedup();
        Names { trials: trials.collect(), arms }
    }
}

fn name(trial: &str, arm: &str, swept: serde_json::Map<String, serde_json::Value>) -> Name {
    Name { trial: trial.to_owned(), arm: arm.to_owned(), swept: serde_json::Value::Object(swept).to_string() }
}
