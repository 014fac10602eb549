//! What there is to say of a sweep, as plain numbers and words.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::left::left;
use super::reader::Found;
use crate::figure;
use crate::runner::Standing;

/// A sweep at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Screen {
    /// How many trials stand how, where there are some.
    pub counts: Vec<(usize, Standing)>,
    /// Seconds of the wall since the first trial was taken up; to the end of the last one if none is running.
    pub elapsed: Option<f64>,
    /// Training seconds until all is done; 0 then.
    pub left: Option<f64>,
    /// What is going on first, then what has ended, what waits last.
    pub rows: Vec<Row>,
    /// The means, in the order of the figures.
    pub lines: Vec<Line>,
    /// The longest trial's epochs.
    pub epochs: usize,
}

/// A trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its place in [`Screen::lines`].
    pub line: usize,
    pub seed: Option<u64>,
    pub standing: Standing,
    /// The last one that has ended, and how many were asked for.
    pub epoch: u32,
    pub epochs: Option<usize>,
    /// On the test images after that epoch, a fraction.
    pub accuracy: Option<f64>,
    /// Of training.
    pub seconds: Option<f64>,
    /// Where it runs, or why it does not.
    pub note: String,
}

/// Trials that are alike in everything but the seed. Those that diverged are in no mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub label: String,
    /// `(epoch, mean test accuracy)` over the seeds that have come so far.
    pub accuracy: Vec<(f64, f64)>,
    /// `(epoch, mean training loss)`.
    pub loss: Vec<(f64, f64)>,
}

impl Screen {
    /// What was found, at `now` seconds since 1970.
    #[must_use]
    pub fn new(found: &[Found], now: f64) -> Self {
        let count = |standing| found.iter().filter(|trial| trial.entry.standing == standing).count();
        let counts = Standing::ALL.map(|standing| (count(standing), standing));
        let labels = labels(found);
        let order = order(found, &labels);
        let place: HashMap<&str, usize> = order.iter().enumerate().map(|(place, label)| (*label, place)).collect();
        let mut trials: Vec<Vec<&Found>> = vec![Vec::new(); order.len()];
        let mut rows = Vec::with_capacity(found.len());
        for (trial, label) in found.iter().zip(&labels) {
            let line = place[label.as_str()];
            trials[line].push(trial);
            rows.push(row(trial, line));
        }
        rows.sort_by_key(|row: &Row| (rank(row.standing), row.line, row.seed));
        Self {
            counts: counts.into_iter().filter(|(count, _)| *count > 0).collect(),
            elapsed: elapsed(found, now),
            left: left(found),
            rows,
            lines: order.iter().zip(&trials).map(|(label, trials)| line(label, trials)).collect(),
            epochs: found.iter().filter_map(|trial| trial.epochs).max().unwrap_or(0),
        }
    }
}

/// What a person who looks wants to see first.
const fn rank(standing: Standing) -> usize {
    match standing {
        Standing::Running => 0,
        Standing::Stopped | Standing::Failed | Standing::Broken => 1,
        Standing::Finished | Standing::Diverged => 2,
        Standing::Waiting => 3,
    }
}

fn row(trial: &Found, line: usize) -> Row {
    let last = trial.milestones.last();
    let spent = trial.progress.as_ref().map(|progress| progress.seconds);
    let has_ended = matches!(trial.entry.standing, Standing::Finished | Standing::Diverged);
    Row {
        line,
        seed: trial.entry.seed,
        standing: trial.entry.standing,
        epoch: last.map_or(0, |last| last.epoch),
        epochs: trial.epochs,
        accuracy: last.map(|last| last.test_accuracy),
        seconds: if has_ended { trial.entry.seconds } else { spent },
        note: trial.entry.note.clone(),
    }
}

/// `newton, damping.factor = 0.1`: the arm, and those swept keys but the seed that take several values.
fn labels(found: &[Found]) -> Vec<String> {
    let mut values: HashMap<&str, Vec<&Value>> = HashMap::new();
    for (key, value) in found.iter().flat_map(|trial| &trial.entry.swept) {
        let known = values.entry(key).or_default();
        if !known.contains(&value) {
            known.push(value);
        }
    }
    let tells = |key: &str| key != "seed" && values.get(key).is_some_and(|values| values.len() > 1);
    let label = |trial: &Found| {
        let swept = trial.entry.swept.iter().filter(|(key, _)| tells(key));
        let swept = swept.map(|(key, value)| format!(", {} = {}", figure::short(key), text(value)));
        swept.fold(trial.entry.arm.clone(), |label, key| label + &key)
    };
    found.iter().map(label).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The labels in the order of the figures, and so in their colours: arms as they started, then their points as they did. What has not
/// started comes last, in the order of the plan.
fn order<'a>(found: &[Found], labels: &'a [String]) -> Vec<&'a str> {
    let mut arms: HashMap<&str, f64> = HashMap::new();
    let mut points: HashMap<&str, (f64, &str)> = HashMap::new();
    let mut order: Vec<&'a str> = Vec::new();
    for (trial, label) in found.iter().zip(labels) {
        let started = trial.entry.started.unwrap_or(f64::INFINITY);
        let arm = arms.entry(&trial.entry.arm).or_insert(started);
        *arm = arm.min(started);
        let (point, _) = points.entry(label).or_insert_with(|| {
            order.push(label);
            (started, &trial.entry.arm)
        });
        *point = point.min(started);
    }
    let key = |label: &str| points.get(label).map_or((0.0, 0.0), |(point, arm)| (arms[arm], *point));
    order.sort_by(|one, other| {
        let ((arm, point), (other_arm, other_point)) = (key(one), key(other));
        arm.total_cmp(&other_arm).then(point.total_cmp(&other_point))
    });
    order
}

fn line(label: &str, trials: &[&Found]) -> Line {
    // Sums of accuracy and loss, and how many.
    let mut sums: BTreeMap<u32, (f64, f64, f64)> = BTreeMap::new();
    let is_told = |standing| matches!(standing, Standing::Finished | Standing::Running | Standing::Stopped);
    let told = trials.iter().filter(|trial| is_told(trial.entry.standing));
    for milestone in told.flat_map(|trial| trial.milestones.iter()) {
        let (accuracy, loss, count) = sums.entry(milestone.epoch).or_default();
        *accuracy += milestone.test_accuracy;
        *loss += milestone.train_loss;
        *count += 1.0;
    }
    let mean =
        |of: fn((f64, f64, f64)) -> f64| sums.iter().map(|(&epoch, &sums)| (f64::from(epoch), of(sums))).collect();
    Line {
        label: label.to_owned(),
        accuracy: mean(|(accuracy, _, count)| accuracy / count),
        loss: mean(|(_, loss, count)| loss / count),
    }
}

fn elapsed(found: &[Found], now: f64) -> Option<f64> {
    let started = found.iter().filter_map(|trial| trial.entry.started);
    let ended = found.iter().filter_map(|trial| Some(trial.entry.started? + trial.entry.seconds?));
    let runs = found.iter().any(|trial| trial.entry.standing == Standing::Running);
    let first = started.fold(f64::INFINITY, f64::min);
    let last = if runs { now } else { ended.fold(f64::NEG_INFINITY, f64::max) };
    (first.is_finite() && last.is_finite()).then(|| (last - first).max(0.0))
}
