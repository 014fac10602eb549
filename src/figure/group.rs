//! Which trials belong to one line: those alike in everything but the seed.
//!
//! Arms come in the order of the experiment's file, or of their start where only results are at hand; within an arm, points of the sweep
//! come in the order of their values.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use polars::prelude::*;
use serde_json::{Map, Value};

use super::{Data, ink, texts};
use crate::record::Results;

/// The line of every trial: `trial, line, label`, and `at`, the value of the swept key `axis`, which then makes no lines of
/// its own.
pub fn lines(data: &Data, axis: Option<&str>) -> PolarsResult<DataFrame> {
    let mut trials = data.trials.clone();
    let at: HashMap<String, f64> =
        trials.iter_mut().filter_map(|trial| Some((trial.id.clone(), trial.swept.remove(axis?)?.as_f64()?))).collect();
    trials.sort_by(Trial::order);
    let mut line = 0u32;
    let mut last: Option<&Trial> = None;
    let (mut ids, mut lines, mut labels, mut values) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for trial in &trials {
        if last.is_some_and(|last| last.order(trial).is_ne()) {
            line += 1;
        }
        last = Some(trial);
        ids.push(trial.id.as_str());
        lines.push(line);
        labels.push(trial.label());
        values.push(at.get(&trial.id).copied());
    }
    df!("trial" => ids, "line" => lines, "label" => labels, "at" => values)
}

/// The swept key to be an axis of numbers: of those with numbers only, the one with most values.
pub fn axis(data: &Data) -> PolarsResult<Option<String>> {
    let mut values = values(&data.trials);
    values.retain(|_, values| values.iter().all(Value::is_number));
    let longest = values.into_iter().max_by(|a, b| a.1.len().cmp(&b.1.len()).then_with(|| b.0.cmp(&a.0)));
    Ok(longest.map(|(key, _)| key))
}

/// The two swept keys with most values, whatever their kind, the longer first, and where every trial stands: `trial, arm, x, y,
/// x_rank, y_rank`, ranks in the order of the values. `None` if fewer than two keys were swept.
pub fn plane(data: &Data) -> PolarsResult<Option<(String, String, DataFrame)>> {
    let trials = data.trials.clone();
    let mut all: Vec<(String, Vec<Value>)> = values(&trials).into_iter().collect();
    all.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    all.truncate(2);
    for (_, values) in &mut all {
        values.sort_by(compare);
    }
    let [(x, xs), (y, ys)] = all.as_slice() else { return Ok(None) };
    let (mut ids, mut arms, mut labels, mut ranks) = (Vec::new(), Vec::new(), [vec![], vec![]], [vec![], vec![]]);
    for trial in &trials {
        let (Some(at_x), Some(at_y)) = (trial.swept.get(x), trial.swept.get(y)) else { continue };
        ids.push(trial.id.as_str());
        arms.push(trial.arm.as_str());
        for (axis, (at, values)) in [(at_x, xs), (at_y, ys)].into_iter().enumerate() {
            labels[axis].push(text(at));
            ranks[axis].push(values.iter().position(|value| value == at).unwrap_or_default() as u32);
        }
    }
    let ([x_labels, y_labels], [x_ranks, y_ranks]) = (labels, ranks);
    let frame = df!(
        "trial" => ids, "arm" => arms, "x" => x_labels, "y" => y_labels, "x_rank" => x_ranks, "y_rank" => y_ranks
    )?;
    Ok(Some((x.clone(), y.clone(), frame)))
}

/// For every trial the solver and the problem that it stands for: `trial, solver, solver_rank, problem`. Data, model, length and
/// seed make the problem; arm and optimizer the solver.
pub fn contests(data: &Data) -> PolarsResult<DataFrame> {
    let mut trials = data.trials.clone();
    trials.sort_by(Trial::order);
    let seeds: HashMap<String, u64> = {
        let (ids, seeds) = (texts(&data.results.trials, "trial")?, data.results.trials.column("seed")?.u64()?.clone());
        ids.into_iter().zip(seeds.iter().map(Option::unwrap_or_default)).collect()
    };
    let is_problem = |key: &str| !key.starts_with("optimizer") && !key.starts_with("schedule");
    let (mut ids, mut solvers, mut problems, mut ranks) = (Vec::new(), Vec::<String>::new(), Vec::new(), Vec::new());
    let mut known: Vec<String> = Vec::new();
    for trial in &mut trials {
        let keys: Vec<String> = trial.swept.keys().filter(|key| is_problem(key)).cloned().collect();
        let problem: Vec<String> =
            keys.iter().filter_map(|key| Some(format!("{key} = {}", trial.swept.remove(key)?))).collect();
        let solver = trial.label();
        let rank = known.iter().position(|name| *name == solver).unwrap_or(known.len());
        if rank == known.len() {
            known.push(solver.clone());
        }
        problems.push(format!("{} seed = {}", problem.join(", "), seeds.get(&trial.id).copied().unwrap_or_default()));
        ids.push(trial.id.clone());
        solvers.push(solver);
        ranks.push(rank as u32);
    }
    df!("trial" => ids, "solver" => solvers, "solver_rank" => ranks, "problem" => problems)
}

/// The keys in which lines differ and those in which they agree: `(label of each line, key → value of each line, key → value)`.
pub struct Differences {
    pub labels: Vec<String>,
    pub differing: Vec<(String, Vec<String>)>,
    pub common: Vec<(String, String)>,
}

/// How the configurations of lines differ. The first trial of a line speaks for all of it.
pub fn differences(data: &Data) -> PolarsResult<Differences> {
    let mut trials = data.trials.clone();
    trials.sort_by(Trial::order);
    trials.dedup_by(|a, b| a.order(b).is_eq());
    let keys: BTreeSet<&String> = trials.iter().flat_map(|trial| trial.config.keys()).collect();
    let (mut differing, mut common) = (Vec::new(), Vec::new());
    for key in keys {
        // A table that is not there is written as null: its keys say the same.
        let configs = trials.iter().map(|trial| trial.config.get(key));
        let values: Vec<Option<&Value>> = configs.map(|value| value.filter(|value| !value.is_null())).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        if values.windows(2).all(|pair| pair[0] == pair[1]) {
            common.push((key.clone(), values[0].map(text).unwrap_or_default()));
        } else {
            differing.push((key.clone(), values.iter().map(|value| value.map(text).unwrap_or_default()).collect()));
        }
    }
    Ok(Differences { labels: trials.iter().map(Trial::label).collect(), differing, common })
}

/// A key without the tables that go without saying.
pub fn short(key: &str) -> &str {
    let inner = key.strip_prefix("optimizer.").unwrap_or(key);
    ["precondition.", "update."].iter().find_map(|table| inner.strip_prefix(table)).unwrap_or(inner)
}

/// What tells a trial from others.
#[derive(Debug, Clone)]
pub struct Trial {
    id: String,
    arm: String,
    /// Where the arm is among all arms.
    rank: usize,
    /// Without the seed.
    swept: Map<String, Value>,
    /// The resolved configuration by dotted key, without the seed.
    config: Arc<BTreeMap<String, Value>>,
}

impl Trial {
    /// Trials of one line are equal.
    fn order(&self, other: &Self) -> Ordering {
        let arms = self.rank.cmp(&other.rank).then_with(|| self.arm.cmp(&other.arm));
        let pairs = self.swept.iter().zip(&other.swept);
        let swept =
            pairs.map(|((key, value), (other_key, other))| key.cmp(other_key).then_with(|| compare(value, other)));
        let lengths = self.swept.len().cmp(&other.swept.len());
        swept.chain([lengths]).fold(arms, Ordering::then)
    }

    fn label(&self) -> String {
        let swept = self.swept.iter().map(|(key, value)| format!(", {} = {}", short(key), text(value)));
        swept.fold(self.arm.clone(), |label, key| label + &key)
    }
}

/// Numbers by size, anything else by its JSON.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

/// Up to here every integer is a float of its own.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// A swept value as a reader would write it; a table as its kind, with its other keys behind.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // An integer beyond the 53 bits of a float would look like its neighbour.
        Value::Number(value) => match value.as_f64() {
            Some(float) if value.is_f64() || float.abs() < MOST_EXACT => ink::exact(float),
            _ => value.to_string(),
        },
        Value::Object(table) => {
            let is_name = |key: &str| key == "kind" || key == "preset";
            let name: String = table.iter().filter(|(key, _)| is_name(key)).map(|(_, value)| text(value)).collect();
            let others = table.iter().filter(|(key, _)| !is_name(key));
            let others: Vec<String> = others.map(|(key, value)| format!("{key} = {}", text(value))).collect();
            if others.is_empty() { name } else { format!("{name} ({})", others.join(", ")) }
        }
        _ => value.to_string(),
    }
}

/// Every trial, with those swept keys that differ between trials.
pub fn trials(results: &Results) -> PolarsResult<Vec<Trial>> {
    let mut trials = all_trials(results)?;
    tell_apart(&mut trials);
    let values = values(&trials);
    for trial in &mut trials {
        trial.swept.retain(|key, _| values.get(key).is_some_and(|values| values.len() > 1));
    }
    Ok(trials)
}

/// Trials of one arm at one point of the sweep may differ in other keys all the same, if the experiment was changed between two runs:
/// those keys count as swept, lest different configurations be averaged as if they were seeds.
fn tell_apart(trials: &mut [Trial]) {
    let name = |trial: &Trial| (trial.arm.clone(), Value::Object(trial.swept.clone()).to_string());
    let mut groups: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (i, trial) in trials.iter().enumerate() {
        groups.entry(name(trial)).or_default().push(i);
    }
    for group in groups.into_values() {
        let keys: BTreeSet<String> = group.iter().flat_map(|&i| trials[i].config.keys().cloned()).collect();
        for key in keys {
            let first = trials[group[0]].config.get(&key).cloned();
            if group.iter().any(|&i| trials[i].config.get(&key) != first.as_ref()) {
                for &i in &group {
                    let value = trials[i].config.get(&key).cloned().unwrap_or(Value::Null);
                    trials[i].swept.insert(key.clone(), value);
                }
            }
        }
    }
}

/// The values of a JSON tree by dotted key.
fn flatten(value: Value, key: String, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                flatten(value, if key.is_empty() { name } else { format!("{key}.{name}") }, into);
            }
        }
        value => {
            into.insert(key, value);
        }
    }
}

/// The different values of each swept key.
fn values(trials: &[Trial]) -> HashMap<String, Vec<Value>> {
    let mut values: HashMap<String, Vec<Value>> = HashMap::new();
    for (key, value) in trials.iter().flat_map(|trial| &trial.swept) {
        let values = values.entry(key.clone()).or_default();
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    values
}

fn all_trials(results: &Results) -> PolarsResult<Vec<Trial>> {
    let trials = &results.trials;
    let (ids, arms, all_swept) = (texts(trials, "trial")?, texts(trials, "arm")?, texts(trials, "swept")?);
    let configs = texts(trials, "config")?;
    let ranks: HashMap<&str, usize> = results.arms.iter().enumerate().map(|(i, arm)| (arm.as_str(), i)).collect();
    ids.iter()
        .zip(&arms)
        .zip(all_swept.iter().zip(&configs))
        .map(|((id, arm), (swept, json))| {
            let mut swept: Map<String, Value> = serde_json::from_str(swept)
                .map_err(|error| polars_err!(ComputeError: "column `swept` of trial `{id}`: {error}"))?;
            let json = serde_json::from_str(json)
                .map_err(|error| polars_err!(ComputeError: "column `config` of trial `{id}`: {error}"))?;
            let mut config = BTreeMap::new();
            flatten(json, String::new(), &mut config);
            swept.remove("seed");
            config.remove("seed");
            let rank = ranks.get(arm.as_str()).copied().unwrap_or(ranks.len());
            Ok(Trial { id: id.clone(), arm: arm.clone(), rank, swept, config: Arc::new(config) })
        })
        .collect()
}
