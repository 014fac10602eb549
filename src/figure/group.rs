//! Which trials belong to one line: those alike in everything but the seed.
//!
//! Arms come in the order in which they started, which is that of the experiment's file; within an arm, points of the sweep come in
//! the order of their values.

use std::cmp::Ordering;
use std::collections::HashMap;

use polars::prelude::*;
use serde_json::{Map, Value};

use super::{ink, numbers, texts};

/// The line of every trial: `trial, line, label`, and `at`, the value of the swept key `axis`, which then makes no lines of its own.
pub fn lines(rows: &DataFrame, axis: Option<&str>) -> PolarsResult<DataFrame> {
    let mut trials = trials(rows)?;
    let at: HashMap<String, f64> = trials
        .iter_mut()
        .filter_map(|trial| Some((trial.id.clone(), trial.swept.remove(axis?)?.as_f64()?)))
        .collect();
    trials.sort_by(Trial::order);
    let mut line = 0;
    let mut last: Option<&Trial> = None;
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for trial in &trials {
        if last.is_some_and(|last| last.order(trial).is_ne()) {
            line += 1;
        }
        last = Some(trial);
        columns.0.push(trial.id.as_str());
        columns.1.push(line);
        columns.2.push(trial.label());
        columns.3.push(at.get(&trial.id).copied());
    }
    df!("trial" => columns.0, "line" => Column::new("line".into(), columns.1).cast(&DataType::UInt32)?, "label" => columns.2, "at" => columns.3)
}

/// The swept key to be an axis of numbers: of those with numbers only, the one with most values.
pub fn axis(rows: &DataFrame) -> PolarsResult<Option<String>> {
    let mut values: HashMap<String, Vec<Value>> = HashMap::new();
    for trial in trials(rows)? {
        for (key, value) in trial.swept {
            let values = values.entry(key).or_default();
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    values.retain(|_, values| values.len() > 1 && values.iter().all(Value::is_number));
    let longest = values.into_iter().max_by(|a, b| a.1.len().cmp(&b.1.len()).then_with(|| b.0.cmp(&a.0)));
    Ok(longest.map(|(key, _)| key))
}

/// A key without the tables that go without saying.
pub fn short(key: &str) -> &str {
    let inner = key.strip_prefix("optimizer.").unwrap_or(key);
    ["precondition.", "update."].iter().find_map(|table| inner.strip_prefix(table)).unwrap_or(inner)
}

struct Trial {
    id: String,
    arm: String,
    /// When the first trial of the arm started.
    arm_started: f64,
    /// Without the seed.
    swept: Map<String, Value>,
}

impl Trial {
    /// Trials of one line are equal.
    fn order(&self, other: &Self) -> Ordering {
        let arms = self.arm_started.total_cmp(&other.arm_started).then_with(|| self.arm.cmp(&other.arm));
        self.swept.iter().zip(&other.swept).fold(arms, |order, ((key, value), (other_key, other_value))| {
            order.then_with(|| key.cmp(other_key)).then_with(|| match (value.as_f64(), other_value.as_f64()) {
                (Some(value), Some(other)) => value.total_cmp(&other),
                _ => text(value).cmp(&text(other_value)),
            })
        }).then_with(|| self.swept.len().cmp(&other.swept.len()))
    }

    fn label(&self) -> String {
        let swept = self.swept.iter().map(|(key, value)| format!(", {} = {}", short(key), text(value)));
        swept.fold(self.arm.clone(), |label, key| label + &key)
    }
}

/// A swept value as a reader would write it: of a table, its kind.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(value) => value.as_f64().map_or_else(|| value.to_string(), ink::number),
        Value::Object(table) => table.get("kind").or_else(|| table.get("preset")).map_or_else(|| value.to_string(), text),
        _ => value.to_string(),
    }
}

fn trials(rows: &DataFrame) -> PolarsResult<Vec<Trial>> {
    let trials = rows
        .clone()
        .lazy()
        .group_by_stable([col("trial")])
        .agg([col("arm").first(), col("started").first(), col("swept").first()])
        .collect()?;
    let (ids, arms, all_swept) = (texts(&trials, "trial")?, texts(&trials, "arm")?, texts(&trials, "swept")?);
    let started = numbers(&trials, "started")?;
    let mut arm_started: HashMap<&str, f64> = HashMap::new();
    for (arm, &started) in arms.iter().zip(&started) {
        let first = arm_started.entry(arm).or_insert(started);
        *first = first.min(started);
    }
    ids.iter()
        .zip(&arms)
        .zip(&all_swept)
        .map(|((id, arm), swept)| {
            let mut swept: Map<String, Value> = serde_json::from_str(swept)
                .map_err(|error| polars_err!(ComputeError: "column `swept` of trial `{id}`: {error}"))?;
            swept.remove("seed");
            let arm_started = arm_started.get(arm.as_str()).copied().unwrap_or_default();
            Ok(Trial { id: id.clone(), arm: arm.clone(), arm_started, swept })
        })
        .collect()
}
