//! The time that a sweep has left, estimated from how long its trials took so far: the one estimate of `run`, `watch` and `plan`.

use std::collections::HashMap;
use std::fmt::{self, Display};

use crate::text::span;

/// What is known of a trial's time. Seconds are wall-clock seconds: loading, evaluation and checkpoints count.
#[derive(Debug, Clone, Copy)]
pub struct Pace<'a> {
    pub arm: &'a str,
    /// How much there is to compute, in a unit that all trials share.
    pub cost: f64,
    pub phase: Phase,
}

/// How far a trial is.
#[derive(Debug, Clone, Copy)]
pub enum Phase {
    /// It ended; its seconds, if it ran to its end.
    Ended(Option<f64>),
    /// It has begun: whether a process runs it now, the share of its steps that is done, the seconds spent on them, and the epochs that have
    /// ended. Less than one epoch is no evidence, since it has no evaluation in it.
    Begun { runs: bool, share: f64, spent: f64, epochs: usize },
    /// It has not begun.
    Waiting,
    /// Another process runs it, or it was given up.
    Gone,
}

/// Seconds until all is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Left {
    pub seconds: f64,
    /// Whether some trial, or an epoch of one, has ended; otherwise this is a guess from a few steps.
    pub firm: bool,
}

impl Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} left", if self.firm { "" } else { "about " }, span(self.seconds))
    }
}

/// The time left if `at_once` trials run at a time; `None` if there is no evidence at all.
#[must_use]
pub fn left(trials: &[Pace<'_>], at_once: usize) -> Option<Left> {
    let firm = trials.iter().any(|trial| told(trial, true).is_some());
    let rates = Rates::new(trials, firm);
    let mut each = Vec::new();
    for trial in trials {
        let spent = match trial.phase {
            Phase::Begun { spent, .. } => spent,
            Phase::Waiting => 0.0,
            Phase::Ended(_) | Phase::Gone => continue,
        };
        each.push((rates.whole(trial)? - spent).max(0.0));
    }
    let longest = each.iter().copied().fold(0.0, f64::max);
    let seconds = longest.max(each.iter().sum::<f64>() / at_once.max(1) as f64);
    Some(Left { seconds, firm: firm || each.is_empty() })
}

/// Seconds per unit of cost, for each arm and for all.
struct Rates<'a> {
    /// Whether only what is evidence counts.
    firm: bool,
    /// Sums of seconds and of costs.
    arms: HashMap<&'a str, (f64, f64)>,
    all: (f64, f64),
}

impl<'a> Rates<'a> {
    fn new(trials: &[Pace<'a>], firm: bool) -> Self {
        let mut rates = Self { firm, arms: HashMap::new(), all: (0.0, 0.0) };
        for trial in trials {
            let Some(seconds) = told(trial, firm) else { continue };
            for sums in [rates.arms.entry(trial.arm).or_default(), &mut rates.all] {
                sums.0 += seconds;
                sums.1 += trial.cost;
            }
        }
        rates
    }

    /// Seconds of all of a trial: as it says itself, or else as its arm's trials took for what they had to compute, or else as all did.
    fn whole(&self, trial: &Pace<'_>) -> Option<f64> {
        let by = |(seconds, cost): (f64, f64)| (cost > 0.0).then(|| trial.cost * seconds / cost);
        told(trial, self.firm).or_else(|| by(*self.arms.get(trial.arm)?)).or_else(|| by(self.all))
    }
}

/// The seconds of all of a trial, if it says so itself.
fn told(trial: &Pace<'_>, firm: bool) -> Option<f64> {
    match trial.phase {
        Phase::Ended(seconds) => seconds,
        Phase::Begun { share, spent, epochs, .. } if share > 0.0 && (epochs > 0 || !firm) => Some(spent / share),
        Phase::Begun { .. } | Phase::Waiting | Phase::Gone => None,
    }
}

/// How many trials processes have now.
#[must_use]
pub fn running(trials: &[Pace<'_>]) -> usize {
    trials.iter().filter(|trial| matches!(trial.phase, Phase::Begun { runs: true, .. })).count()
}

#[cfg(test)]
mod tests {
    use super::{Left, Pace, Phase, left};

    const fn pace(arm: &str, cost: f64, phase: Phase) -> Pace<'_> {
        Pace { arm, cost, phase }
    }

    fn seconds(trials: &[Pace<'_>], at_once: usize) -> f64 {
        left(trials, at_once).unwrap().seconds
    }

    #[test]
    fn a_trial_takes_as_long_as_its_arm_and_its_cost_say() {
        let ended = |arm, cost, seconds| pace(arm, cost, Phase::Ended(Some(seconds)));
        let trials = [ended("a", 1.0, 10.0), ended("b", 1.0, 40.0), pace("b", 2.0, Phase::Waiting)];
        assert_eq!(left(&trials, 1), Some(Left { seconds: 80.0, firm: true }));
        // An arm that has told nothing is as fast as all.
        let unknown = [trials[0], trials[1], pace("c", 2.0, Phase::Waiting)];
        assert_eq!(seconds(&unknown, 1), 50.0);
        assert_eq!(left(&[pace("a", 1.0, Phase::Waiting)], 1), None);
        assert_eq!(left(&[trials[0]], 1), Some(Left { seconds: 0.0, firm: true }));
        // What diverged took no time to go by.
        assert_eq!(left(&[pace("a", 1.0, Phase::Ended(None)), pace("a", 1.0, Phase::Waiting)], 1), None);
    }

    #[test]
    fn a_few_steps_are_a_guess_and_count_no_more_behind_an_epoch() {
        let begun = |share, spent, epochs| pace("a", 1.0, Phase::Begun { runs: true, share, spent, epochs });
        let waiting = pace("a", 1.0, Phase::Waiting);
        assert_eq!(left(&[begun(0.0, 3.0, 0), waiting], 1), None);
        assert_eq!(left(&[begun(0.1, 3.0, 0), waiting], 1), Some(Left { seconds: 57.0, firm: false }));
        assert_eq!(left(&[begun(0.5, 20.0, 1), begun(0.1, 3.0, 0)], 2), Some(Left { seconds: 37.0, firm: true }));
    }

    #[test]
    fn several_at_once_share_the_work_but_no_trial_is_cut() {
        let trials = [pace("a", 1.0, Phase::Ended(Some(10.0))); 2];
        let waiting = pace("a", 1.0, Phase::Waiting);
        let long = pace("a", 5.0, Phase::Waiting);
        assert_eq!(seconds(&[trials[0], waiting, waiting], 2), 10.0);
        assert_eq!(seconds(&[trials[0], waiting, waiting, long], 2), 50.0);
        assert_eq!(seconds(&[trials[0], waiting, pace("a", 9.0, Phase::Gone)], 1), 10.0);
    }
}
