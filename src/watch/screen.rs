//! What there is to say of a sweep, as plain numbers and words.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::reader::Found;
use crate::figure;
use crate::record::Goal;
use crate::runner::{Left, Pace, Standing, left, running};

/// A sweep at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Screen {
    /// How many trials stand how, where there are some.
    pub counts: Vec<(usize, Standing)>,
    /// Seconds of the wall since the first trial was taken up; to the end of the last one if none is running.
    pub elapsed: Option<f64>,
    /// Seconds until all is done; 0 then.
    pub left: Option<Left>,
    /// What is going on first, then what has ended, what waits last.
    pub rows: Vec<Row>,
    /// The means, in the order of the figures.
    pub lines: Vec<Line>,
    /// The longest trial's epochs.
    pub epochs: usize,
    /// What trials are judged by, in the order of the lines; at least one.
    pub goals: Vec<Goal>,
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
    /// On the test set after that epoch, of what the trial is judged by.
    pub test: Option<(Goal, f64)>,
    /// Of training.
    pub seconds: Option<f64>,
    /// Where it runs, or why it does not.
    pub note: String,
}

/// Trials that are alike in everything but the seed. Those that diverged are in no mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub label: String,
    /// Its arm's place, which is its colour.
    pub arm: usize,
    /// The place of its swept values among those of the same keys, which is its dash.
    pub point: usize,
    /// What its trials are judged by; `None` before the first evaluation.
    pub goal: Option<Goal>,
    /// `(epoch, mean on the test set)` over the seeds that have come so far.
    pub test: Vec<(f64, f64)>,
    /// `(epoch, mean training loss)`.
    pub loss: Vec<(f64, f64)>,
}

impl Screen {
    /// What was found, at `now` seconds since 1970, of these `arms` in the order of their file; of none where there is only a folder.
    #[must_use]
    pub fn new(found: &[Found], arms: &[String], now: f64) -> Self {
        let count = |standing| found.iter().filter(|trial| trial.entry.standing == standing).count();
        let counts = Standing::ALL.map(|standing| (count(standing), standing));
        let paces: Vec<Pace<'_>> = found.iter().map(Found::pace).collect();
        let told = told(found);
        let labels: Vec<String> = found.iter().zip(&told).map(|(trial, told)| label(trial, told)).collect();
        let order = order(found, &labels, &told, arms);
        let place: HashMap<&str, usize> = order.iter().enumerate().map(|(place, of)| (of.label, place)).collect();
        let mut trials: Vec<Vec<&Found>> = vec![Vec::new(); order.len()];
        let mut rows = Vec::with_capacity(found.len());
        for (trial, label) in found.iter().zip(&labels) {
            let line = place[label.as_str()];
            trials[line].push(trial);
            rows.push(row(trial, line));
        }
        rows.sort_by_key(|row: &Row| (rank(row.standing), row.line, row.seed));
        let lines: Vec<Line> = order.iter().zip(&trials).map(|(place, trials)| line(place, trials)).collect();
        Self {
            counts: counts.into_iter().filter(|(count, _)| *count > 0).collect(),
            elapsed: elapsed(found, now),
            left: left(&paces, running(&paces)),
            rows,
            epochs: found.iter().filter_map(|trial| trial.epochs).max().unwrap_or(0),
            goals: goals(&lines),
            lines,
        }
    }
}

/// What the lines are judged by that have been evaluated; accuracy until there is one.
fn goals(lines: &[Line]) -> Vec<Goal> {
    let mut goals: Vec<Goal> = Vec::new();
    for goal in lines.iter().filter_map(|line| line.goal) {
        if !goals.contains(&goal) {
            goals.push(goal);
        }
    }
    if goals.is_empty() { vec![Goal::ACCURACY] } else { goals }
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
        test: last.map(|last| (Goal::of(last.metric), last.test)),
        seconds: if has_ended { trial.entry.seconds } else { spent },
        note: trial.entry.note.clone(),
    }
}

/// The swept keys and values that tell a trial from others: those of keys, but the seed, that take several values.
fn told(found: &[Found]) -> Vec<Vec<(&str, &Value)>> {
    let mut values: HashMap<&str, Vec<&Value>> = HashMap::new();
    for (key, value) in found.iter().flat_map(|trial| &trial.entry.swept) {
        let known = values.entry(key).or_default();
        if !known.contains(&value) {
            known.push(value);
        }
    }
    let tells = |key: &str| key != "seed" && values.get(key).is_some_and(|values| values.len() > 1);
    let mut told = Vec::with_capacity(found.len());
    for trial in found {
        let swept = trial.entry.swept.iter().filter(|(key, _)| tells(key));
        told.push(swept.map(|(key, value)| (key.as_str(), value)).collect());
    }
    told
}

/// `newton, damping.factor = 0.1`: the arm, and what tells the trial from others.
fn label(trial: &Found, told: &[(&str, &Value)]) -> String {
    let swept = told.iter().map(|(key, value)| format!(", {} = {}", figure::short(key), text(value)));
    swept.fold(trial.entry.arm.clone(), |label, key| label + &key)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A line's label with its looks.
struct Place<'a> {
    label: &'a str,
    arm: usize,
    point: usize,
}

/// The labels in the order of the figures: the file's arms in the file's order, others as they started; within an arm, points of the sweep by
/// their values.
fn order<'a>(found: &[Found], labels: &'a [String], told: &[Vec<(&str, &Value)>], arms: &[String]) -> Vec<Place<'a>> {
    let mut started: HashMap<&str, f64> = HashMap::new();
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut order: Vec<&'a str> = Vec::new();
    for (i, (trial, label)) in found.iter().zip(labels).enumerate() {
        let time = trial.entry.started.unwrap_or(f64::INFINITY);
        let earliest = started.entry(&trial.entry.arm).or_insert(time);
        *earliest = earliest.min(time);
        first.entry(label).or_insert_with(|| {
            order.push(label);
            i
        });
    }
    let mut others: Vec<&str> = started.keys().copied().filter(|arm| !arms.iter().any(|known| known == arm)).collect();
    others.sort_by(|one, other| started[one].total_cmp(&started[other]).then_with(|| one.cmp(other)));
    let ranks: HashMap<&str, usize> =
        arms.iter().map(String::as_str).chain(others).enumerate().map(|(rank, arm)| (arm, rank)).collect();
    let rank = |label: &str| ranks[found[first[label]].entry.arm.as_str()];
    let swept = |label: &str| told[first[label]].as_slice();
    order.sort_by(|one, other| rank(one).cmp(&rank(other)).then_with(|| by_values(swept(one), swept(other))));
    let points = points(order.iter().map(|label| swept(label)));
    let place = |(label, point)| Place { label, arm: rank(label), point };
    order.into_iter().zip(points).map(place).collect()
}

fn by_values(one: &[(&str, &Value)], other: &[(&str, &Value)]) -> Ordering {
    let values = one.iter().zip(other).map(|((_, one), (_, other))| figure::compare_values(one, other));
    values.fold(Ordering::Equal, Ordering::then)
}

/// Keys and their values.
type Swept<'a> = &'a [(&'a str, &'a Value)];

/// Where swept values stand among those of the same keys: the same values are the same point in every arm.
fn points<'a>(swept: impl Iterator<Item = Swept<'a>>) -> Vec<usize> {
    let all: Vec<_> = swept.collect();
    let keys = |of: &[(&'a str, &Value)]| of.iter().map(|(key, _)| *key).collect::<Vec<_>>();
    let mut points: BTreeMap<Vec<&str>, Vec<Swept<'_>>> = BTreeMap::new();
    for of in &all {
        points.entry(keys(of)).or_default().push(of);
    }
    for alike in points.values_mut() {
        alike.sort_by(|one, other| by_values(one, other));
        alike.dedup();
    }
    let point = |of: &&[_]| points[&keys(of)].binary_search_by(|other| by_values(other, of)).unwrap_or_default();
    all.iter().map(point).collect()
}

fn line(place: &Place<'_>, trials: &[&Found]) -> Line {
    // Sums on the test set and of the training loss, and how many.
    let mut sums: BTreeMap<u32, (f64, f64, f64)> = BTreeMap::new();
    let is_told = |standing| matches!(standing, Standing::Finished | Standing::Running | Standing::Stopped);
    let told = || trials.iter().filter(|trial| is_told(trial.entry.standing)).flat_map(|trial| trial.milestones.iter());
    for milestone in told() {
        let (test, loss, count) = sums.entry(milestone.epoch).or_default();
        *test += milestone.test;
        *loss += milestone.train_loss;
        *count += 1.0;
    }
    let mean =
        |of: fn((f64, f64, f64)) -> f64| sums.iter().map(|(&epoch, &sums)| (f64::from(epoch), of(sums))).collect();
    Line {
        label: place.label.to_owned(),
        arm: place.arm,
        point: place.point,
        goal: told().next().map(|milestone| Goal::of(milestone.metric)),
        test: mean(|(test, _, count)| test / count),
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
