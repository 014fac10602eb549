//! How long a sweep takes yet, from how long its trials took so far.

use std::collections::HashMap;

use super::reader::Found;
use crate::runner::Standing;

/// Training seconds until no trial is waiting or running, if as many run at once as do now; `None` if no trial has told yet how long one takes.
///
/// A trial that has an epoch behind it takes as long as its steps so far say. Another takes what its arm's trials took for what they had to
/// compute, or what all did if the arm has none to tell.
#[must_use]
pub fn left(found: &[Found]) -> Option<f64> {
    let rates = Rates::new(found);
    let mut each = Vec::new();
    for trial in found {
        if let Standing::Running | Standing::Stopped | Standing::Waiting = trial.entry.standing {
            let spent = trial.progress.as_ref().map_or(0.0, |progress| progress.seconds);
            each.push((rates.whole(trial)? - spent).max(0.0));
        }
    }
    let running = found.iter().filter(|trial| trial.entry.standing == Standing::Running).count();
    let longest = each.iter().copied().fold(0.0, f64::max);
    Some(longest.max(each.iter().sum::<f64>() / running.max(1) as f64))
}

/// Seconds a unit of cost, of an arm and of all.
struct Rates<'a> {
    /// Sums of seconds and of costs.
    arms: HashMap<&'a str, (f64, f64)>,
    all: (f64, f64),
}

impl<'a> Rates<'a> {
    fn new(found: &'a [Found]) -> Self {
        let mut rates = Self { arms: HashMap::new(), all: (0.0, 0.0) };
        for trial in found {
            let Some(seconds) = told(trial) else { continue };
            for sums in [rates.arms.entry(&trial.entry.arm).or_default(), &mut rates.all] {
                sums.0 += seconds;
                sums.1 += trial.cost;
            }
        }
        rates
    }

    /// Training seconds of all of a trial.
    fn whole(&self, trial: &Found) -> Option<f64> {
        let by = |(seconds, cost): (f64, f64)| (cost > 0.0).then(|| trial.cost * seconds / cost);
        told(trial).or_else(|| by(*self.arms.get(trial.entry.arm.as_str())?)).or_else(|| by(self.all))
    }
}

/// The training seconds of all of a trial, if it says so itself.
fn told(trial: &Found) -> Option<f64> {
    match trial.entry.standing {
        Standing::Finished => trial.entry.seconds,
        Standing::Running | Standing::Stopped if !trial.milestones.is_empty() => {
            trial.progress.as_ref().map(|progress| progress.seconds / progress.share())
        }
        _ => None,
    }
}
