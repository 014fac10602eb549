//! Trials as figures know them: the arm, the point of the sweep, and the resolved configuration.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use polars::prelude::*;
use serde_json::{Map, Value};

use super::{Sums, ink, texts};
use crate::record::Results;

/// The problem of every trial, as data set and net, in the order of the trials; where data of one name are judged in several ways, with what it
/// is judged by.
pub fn problems(results: &Results, sums: &[Sums]) -> PolarsResult<Vec<String>> {
    let (datasets, models) = (texts(&results.trials, "dataset")?, texts(&results.trials, "model")?);
    let names: Vec<String> =
        datasets.iter().zip(&models).map(|(dataset, model)| format!("{dataset}, {model}")).collect();
    let mut goals: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, goal) in names.iter().zip(sums).filter_map(|(name, sums)| Some((name, sums.goal?.title))) {
        let known = goals.entry(name).or_default();
        if !known.contains(&goal) {
            known.push(goal);
        }
    }
    let whole = |(name, sums): (&String, &Sums)| match goals.get(name.as_str()).map(Vec::as_slice) {
        Some([first, _, ..]) => format!("{name}, by {}", sums.goal.map_or(*first, |goal| goal.title)),
        _ => name.clone(),
    };
    Ok(names.iter().zip(sums).map(whole).collect())
}

/// A key without the tables that go without saying.
pub fn short(key: &str) -> &str {
    let inner = key.strip_prefix("optimizer.").unwrap_or(key);
    ["precondition.", "update."].iter().find_map(|table| inner.strip_prefix(table)).unwrap_or(inner)
}

/// What tells a trial from others.
#[derive(Debug, Clone)]
pub struct Trial {
    pub id: String,
    pub arm: String,
    /// Where the arm is among all arms.
    pub rank: usize,
    /// Without the seed.
    pub swept: Map<String, Value>,
    /// The resolved configuration by dotted key, without the seed.
    pub config: Arc<BTreeMap<String, Value>>,
}

impl Trial {
    /// Trials of one line are equal.
    pub fn order(&self, other: &Self) -> Ordering {
        let arms = self.rank.cmp(&other.rank).then_with(|| self.arm.cmp(&other.arm));
        arms.then_with(|| swept_order(&self.swept, &other.swept))
    }

    /// Its point of the sweep, as JSON.
    pub fn point(&self) -> String {
        Value::Object(self.swept.clone()).to_string()
    }

    /// The arm, and the swept values.
    pub fn label(&self) -> String {
        let swept = self.swept.iter().map(|(key, value)| format!(", {} = {}", short(key), text(value)));
        swept.fold(self.arm.clone(), |label, key| label + &key)
    }
}

/// By the values of the swept keys.
pub fn swept_order(swept: &Map<String, Value>, other: &Map<String, Value>) -> Ordering {
    let pairs = swept.iter().zip(other);
    let values = pairs.map(|((key, value), (other_key, other))| key.cmp(other_key).then_with(|| compare(value, other)));
    values.chain([swept.len().cmp(&other.len())]).fold(Ordering::Equal, Ordering::then)
}

/// Numbers by size, anything else by its JSON.
#[must_use]
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

/// Up to here every integer is a float of its own.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// A swept value as a reader would write it; a table as its kind, with its other keys behind.
pub fn text(value: &Value) -> String {
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
pub fn values(trials: &[Trial]) -> HashMap<String, Vec<Value>> {
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
