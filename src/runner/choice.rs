//! Which configurations of a search are run again.
//!
//! A configuration is chosen by what its task is judged by, accuracy or loss, on the validation set after the last epoch, where tables take
//! that of the test set from; or, where the search says so, first by how few steps it needs to the target on the validation set. Of equals the
//! one with the lower loss is chosen, then the one drawn first. The test set has no part in it.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::path::Path;

use super::run::result_file;
use crate::experiment::{By, Experiment, Search, Trial};
use crate::record::{self, Validation};

/// A configuration that was chosen.
#[derive(Debug)]
pub struct Best<'a> {
    /// The tuning trial that had it.
    pub trial: &'a Trial,
    /// On the validation set.
    pub validation: Validation,
    /// How many it was chosen from, and how many of these diverged.
    pub tried: usize,
    pub diverged: usize,
}

/// What a finished search comes to.
#[derive(Debug)]
pub struct Choice<'a> {
    pub best: Vec<Best<'a>>,
    /// The first trial of each arm and point at which all diverged: there is nothing to run again.
    pub lost: Vec<&'a Trial>,
    /// The best, over fresh seeds.
    pub reruns: Experiment,
}

/// Nothing can be chosen yet: these tuning trials have no result.
#[derive(Debug)]
pub struct Waiting<'a> {
    pub left: Vec<&'a Trial>,
    pub of: usize,
}

impl Display for Waiting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, of) = (self.left.len(), self.of);
        let arms: BTreeSet<&str> = self.left.iter().map(|trial| trial.arm.as_str()).collect();
        let arms: Vec<&str> = arms.into_iter().collect();
        write!(f, "{left} of {of} tuning trials have no result yet (of {}): the reruns wait for them", arms.join(", "))
    }
}

impl Experiment {
    /// The best configurations by the results in `folder`, if all of them are there; `None` without a search.
    pub fn choose(&self, folder: &Path) -> Option<Result<Choice<'_>, Waiting<'_>>> {
        self.search.as_ref().map(|search| self.choose_by(search, folder))
    }

    fn choose_by(&self, search: &Search, folder: &Path) -> Result<Choice<'_>, Waiting<'_>> {
        let target = self.target.filter(|_| search.config.by == By::Target);
        let score = |trial| record::validation(&result_file(folder, trial), target);
        let scores: Vec<_> = self.trials.iter().map(score).collect();
        let left: Vec<&Trial> =
            self.trials.iter().zip(&scores).filter_map(|(trial, score)| score.is_err().then_some(trial)).collect();
        if !left.is_empty() {
            return Err(Waiting { left, of: self.trials.len() });
        }
        let (mut best, mut lost) = (Vec::new(), Vec::new());
        for cell in search.cells(&self.trials) {
            let finished: Vec<(usize, Validation)> =
                cell.iter().filter_map(|&place| Some((place, (*scores[place].as_ref().ok()?)?))).collect();
            let (tried, diverged) = (cell.len(), cell.len() - finished.len());
            // The first of equals.
            match finished.into_iter().rev().max_by(|(_, a), (_, b)| order(*a, *b)) {
                Some((place, validation)) => {
                    best.push(Best { trial: &self.trials[place], validation, tried, diverged });
                }
                None => lost.push(&self.trials[cell[0]]),
            }
        }
        let reruns = self.reruns(search, best.iter().map(|best| best.trial));
        Ok(Choice { best, lost, reruns })
    }
}

/// The better one last.
fn order(one: Validation, other: Validation) -> std::cmp::Ordering {
    let steps = |validation: Validation| validation.steps.unwrap_or(f64::INFINITY);
    let soonest = steps(other).total_cmp(&steps(one));
    soonest.then_with(|| one.goal.order(one.value, other.value)).then_with(|| other.loss.total_cmp(&one.loss))
}
