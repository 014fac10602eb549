//! What is read off the rows of one trial.

use std::collections::BTreeMap;

use polars::prelude::*;

use crate::record::{Goal, Metric, Scope};
use crate::stats;

/// What a trial is summed up by; of the first two, which are of its goal, tables write `final_accuracy` or `final_loss`. The residual is that of an
/// inverse of random matrices after its last round.
pub const MEASURES: [&str; 8] = [
    "final",
    "best",
    "epoch_seconds",
    "train_seconds",
    "inverse_seconds",
    "peak_rss_bytes",
    "added_step_seconds",
    "residual",
];

/// What an optimizer adds to the forward and backward pass.
pub const ADDED: [Metric; 5] = [
    Metric::PhaseMoments,
    Metric::PhaseDamping,
    Metric::PhaseInversion,
    Metric::PhasePreconditioning,
    Metric::PhaseUpdate,
];

/// What one trial is summed up from.
#[derive(Debug, Default, Clone)]
pub struct Sums {
    /// What it is judged by; `None` if nothing was evaluated.
    pub goal: Option<Goal>,
    /// Seconds and the goal's value on the test set by epoch.
    pub test: BTreeMap<u32, [f64; 2]>,
    validation: BTreeMap<u32, f64>,
    /// Seconds of every epoch.
    pub epochs: Vec<f64>,
    /// Seconds of forward and backward passes.
    pub passes: f64,
    inverse_seconds: f64,
    /// Seconds of each of [`ADDED`].
    added: [f64; ADDED.len()],
    steps: u64,
    peak: Option<f64>,
    residual: Option<f64>,
    pub parameters: Option<f64>,
    pub images: Option<f64>,
    /// What the experiment wants to be reached on the test set.
    pub target: Option<f64>,
    /// The last of each metric that goes with the goal, on the test set.
    beside: BTreeMap<&'static str, f64>,
    /// [`MEASURES`], as far as they were logged; figures ask for them again and again.
    pub measures: [Option<f64>; MEASURES.len()],
}

impl Sums {
    /// Sums up the rows of a trial.
    pub fn new(rows: &DataFrame) -> PolarsResult<Self> {
        let tested = rows.column("scope")?.str()?.iter().zip(rows.column("metric")?.str()?.iter());
        let tested = tested.filter(|(scope, _)| *scope == Some(Scope::Test.name())).filter_map(|(_, metric)| metric);
        let mut sums = Self { goal: Goal::among(tested), ..Self::default() };
        let names = rows.column("scope")?.str()?.iter().zip(rows.column("metric")?.str()?.iter());
        let numbers = rows.column("seconds")?.f64()?.iter().zip(rows.column("value")?.f64()?.iter());
        let places = rows.column("epoch")?.u32()?.iter().zip(rows.column("step")?.u64()?.iter());
        for ((scope, metric), ((epoch, step), numbers)) in names.zip(places.zip(numbers)) {
            let (Some(scope), Some(metric), Some(epoch)) = (scope, metric, epoch) else { continue };
            if scope == Scope::Train.name() {
                sums.steps = sums.steps.max(step.unwrap_or_default());
            }
            if let (Some(seconds), Some(value)) = numbers {
                sums.add(scope, metric, epoch, [seconds, value]);
            }
        }
        sums.measures = sums.measured();
        Ok(sums)
    }

    fn add(&mut self, scope: &str, metric: &str, epoch: u32, [seconds, value]: [f64; 2]) {
        let is = |known: Metric| metric == known.name();
        let (is_test, is_validation) = (scope == Scope::Test.name(), scope == Scope::Validation.name());
        if let Some(beside) = self.goal.iter().flat_map(|goal| goal.beside).find(|of| is_test && is(of.metric)) {
            self.beside.insert(beside.metric.name(), value);
        }
        if self.goal.is_some_and(|goal| is(goal.metric)) && (is_test || is_validation) {
            if is_test {
                self.test.insert(epoch, [seconds, value]);
            } else {
                self.validation.insert(epoch, value);
            }
        } else if is(Metric::EpochSeconds) {
            self.epochs.push(value);
        } else if is(Metric::PhaseForward) || is(Metric::PhaseBackward) {
            self.passes += value;
        } else if let Some(place) = ADDED.into_iter().position(is) {
            self.added[place] += value;
            if is(Metric::PhaseDamping) || is(Metric::PhaseInversion) {
                self.inverse_seconds += value;
            }
        } else if is(Metric::PeakRssBytes) {
            self.peak = Some(value);
        } else if is(Metric::Residual) {
            self.residual = Some(value);
        } else if is(Metric::Parameters) {
            self.parameters = Some(value);
        } else if is(Metric::TrainImages) {
            self.images = Some(value);
        } else if is(Metric::Target) {
            self.target = Some(value);
        }
    }

    /// What [`Sums::measures`] keeps.
    fn measured(&self) -> [Option<f64>; MEASURES.len()] {
        let timed = |value: f64| (!self.epochs.is_empty()).then_some(value);
        [
            self.test.last_key_value().map(|(_, &[_, value])| value),
            self.best(),
            timed(stats::mean(&self.epochs)),
            timed(self.epochs.iter().sum()),
            timed(self.inverse_seconds),
            self.peak,
            self.per_step(self.added.iter().sum()),
            self.residual.filter(|_| self.goal.is_none()),
        ]
    }

    /// Seconds of a step's forward and backward pass.
    pub fn pass(&self) -> Option<f64> {
        self.per_step(self.passes).filter(|seconds| *seconds > 0.0)
    }

    /// Seconds that each of [`ADDED`] takes of a step.
    pub fn added(&self) -> Option<[f64; ADDED.len()]> {
        (self.steps > 0).then(|| self.added.map(|seconds| seconds / self.steps as f64))
    }

    fn per_step(&self, seconds: f64) -> Option<f64> {
        (self.steps > 0 && !self.epochs.is_empty()).then(|| seconds / self.steps as f64)
    }

    /// A metric that goes with the goal, on the test set after the last epoch.
    pub fn beside(&self, metric: Metric) -> Option<f64> {
        self.beside.get(metric.name()).copied()
    }

    /// The goal's value on the validation set after the last epoch.
    pub fn last_validation(&self) -> Option<f64> {
        self.validation.last_key_value().map(|(_, &value)| value)
    }

    /// Epochs until the goal on the validation set is at the target.
    pub fn epochs_to_target(&self) -> Option<f64> {
        let (epochs, values): (Vec<u32>, Vec<f64>) = self.validation.iter().unzip();
        let (first, share) = self.goal?.crossing(&values, self.target?)?;
        let before = first.checked_sub(1).map_or(0, |before| epochs[before]);
        Some(f64::from(before) + share * f64::from(epochs[first] - before))
    }

    /// Whether the best epoch is chosen on a validation set.
    pub fn is_validated(&self) -> bool {
        !self.validation.is_empty()
    }

    /// The value on the test set of the epoch that is best on the validation set; without one of the epoch that is best on the test set
    /// itself, which flatters.
    fn best(&self) -> Option<f64> {
        let goal = self.goal?;
        // The first of equals.
        let better = |a: &(u32, f64), b: &(u32, f64)| goal.order(a.1, b.1);
        let first = if self.validation.is_empty() {
            self.test.iter().rev().map(|(&epoch, &[_, value])| (epoch, value)).max_by(better)
        } else {
            self.validation.iter().rev().map(|(&epoch, &value)| (epoch, value)).max_by(better)
        };
        first.and_then(|(epoch, _)| self.test.get(&epoch)).map(|&[_, value]| value)
    }
}
