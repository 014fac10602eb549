//! Arms × axes: from a file, and the contents of those that it names, to trials.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::contents::{Contents, named};
use super::parts::{Arm, Axis};
use super::{Error, Trial, preset, validate, warning};
use crate::config::{self, Node, Value, to_json};
use crate::optim::{OptimizerConfig, Precondition};
use crate::train;

/// Every trial, arms in the order of the file, the last axis innermost. An axis multiplies the arms that have its key. The axes of
/// `space` go together, value by value, and the configurations that they make multiply the rest.
///
/// The arms have the command line's `sets` in them already; each trial takes them once more at last, because a swept preset or
/// kind replaces what is beneath it.
pub fn trials(
    arms: &[Arm],
    axes: &[Axis],
    space: &[Axis],
    sets: &[(String, Value)],
    mut contents: Contents,
    warnings: &mut Vec<String>,
) -> Result<Vec<Trial>, Error> {
    let mut trials: Vec<Trial> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let all: Vec<&Axis> = axes.iter().chain(space).collect();
    let mut used = vec![Vec::new(); all.len()];
    for arm in arms {
        let complete = complete(&arm.value, &all, &mut contents).map_err(|error| with_hint(error, space.iter()))?;
        let (mut its_axes, mut its_space) = (Vec::new(), Vec::new());
        for (place, &axis) in all.iter().enumerate().filter(|(_, axis)| axis.is_for(&arm.name)) {
            let has = contains(&complete, &axis.path)
                || (has_room(&complete, &axis.path) && takes(arm, axis, &all, &mut contents));
            used[place].push((arm.name.as_str(), has));
            if has {
                (if place < axes.len() { &mut its_axes } else { &mut its_space }).push(axis);
            }
        }
        let points = points(&its_axes, &its_space)?;
        let axes = [its_axes, its_space].concat();
        for values in points {
            let trial = trial(arm, &axes, &values, sets, &mut contents)?;
            match places.entry(trial.id.clone()) {
                Entry::Vacant(place) => {
                    place.insert(trials.len());
                    trials.push(trial);
                }
                Entry::Occupied(place) => {
                    let other = &trials[*place.get()];
                    if other.arm != trial.arm {
                        return Err(Error::SameTrial { first: other.arm.clone(), second: trial.arm, id: trial.id });
                    }
                }
            }
        }
    }
    for (place, (axis, arms)) in all.into_iter().zip(used).enumerate() {
        let verb = if place < axes.len() { "swept" } else { "searched" };
        report_use(axis, verb, &arms, &trials, warnings)?;
    }
    warnings.extend(warning::all(&trials));
    Ok(trials)
}

/// Whether the table of a key is there. One of the optimizer that is not there is a stage that the arm does not have; elsewhere it is one
/// of defaults.
fn has_room(json: &Json, path: &str) -> bool {
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    !parent.starts_with("optimizer.") || at(json, parent).is_some_and(|parent| !parent.is_null())
}

/// Whether an arm knows the key of an axis that is not in its configuration: some defaults are not written.
fn takes(arm: &Arm, axis: &Axis, axes: &[&Axis], contents: &mut Contents) -> bool {
    axis.values.first().is_some_and(|value| {
        let other = arm.value.clone().set(&axis.path, value.clone());
        complete(&other, axes, contents).is_ok()
    })
}

/// An arm's configuration with all defaults, as JSON. A key that only an axis gives a value is taken from there.
fn complete(arm: &Value, axes: &[&Axis], contents: &mut Contents) -> Result<Json, config::Error> {
    let mut value = arm.clone();
    loop {
        let (expanded, _) = preset::expand(value.clone())?;
        let error = match contents.config(&expanded) {
            Ok(config) => return to_json(&config).or_else(|_| checked(&config, &expanded, contents)),
            Err(error) => error,
        };
        let missing = error.missing();
        let given = axes.iter().find(|axis| missing.as_ref() == Some(&axis.path) && value.get(&axis.path).is_none());
        match given.and_then(|axis| Some((axis, axis.values.first()?))) {
            Some((axis, first)) => value = value.set(&axis.path, first.clone()),
            None => return Err(error),
        }
    }
}

/// The configuration as JSON, unless something in it is impossible.
fn checked(config: &train::Config, value: &Value, contents: &mut Contents) -> Result<Json, config::Error> {
    if let Some(problem) = validate::first_problem(config) {
        return Err(problem.at(value));
    }
    contents.resolve(config.clone(), value)
}

/// The error, and what to do where a key of an axis has got fractions, which a range is full of, in place of whole numbers.
fn with_hint<'a>(error: config::Error, mut axes: impl Iterator<Item = &'a Axis>) -> config::Error {
    let mistyped = error.mistyped();
    let is_fraction = |axis: &Axis| axis.values.first().is_some_and(|value| matches!(value.node, Node::Float(_)));
    match axes.find(|axis| mistyped.as_ref() == Some(&axis.path) && is_fraction(axis)) {
        Some(axis) => error.hint(format!("a list of whole numbers is meant: \"{}\" = [8, 16, 32]", axis.path)),
        None => error,
    }
}

/// What is under a dotted key; under none, all of it.
fn at<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').filter(|key| !key.is_empty()).try_fold(json, |json, key| json.get(key))
}

/// Whether the configuration has a key; a preset's name and a kind can be swept wherever there is a table for
/// them.
fn contains(json: &Json, path: &str) -> bool {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    match at(json, parent) {
        Some(Json::Object(table)) => table.contains_key(key) || key == "preset" || key == "kind",
        // A variant without keys is written as its bare name.
        Some(Json::String(_)) => key == "kind",
        _ => false,
    }
}

/// Combinations that one arm may have: a few lines of axes can ask for more trials than there is memory.
const MOST: usize = 100_000;

/// Every combination of the axes' values.
pub(super) fn product<'a>(axes: &[&'a Axis]) -> Result<Vec<Vec<&'a Value>>, config::Error> {
    let mut count = 1usize;
    for axis in axes {
        count = count.saturating_mul(axis.values.len());
        if count > MOST {
            let message = format!(
                "with the axis `{}` an arm has {count} trials or more, but at most {MOST} are allowed",
                axis.path
            );
            return Err(config::Error::at(&axis.origin, message));
        }
    }
    Ok(axes.iter().fold(vec![Vec::new()], |combinations, axis| {
        let extend = |combination: &Vec<&'a Value>| {
            let combination = combination.clone();
            axis.values.iter().map(move |value| {
                let mut longer = combination.clone();
                longer.push(value);
                longer
            })
        };
        combinations.iter().flat_map(extend).collect()
    }))
}

/// The values at every combination of the axes, each with every configuration of the space behind it.
fn points<'a>(axes: &[&'a Axis], space: &[&'a Axis]) -> Result<Vec<Vec<&'a Value>>, config::Error> {
    let count = space.first().map_or(1, |axis| axis.values.len());
    let drawn = |number: usize| space.iter().map(move |axis| &axis.values[number]);
    let extend =
        |values: Vec<&'a Value>| (0..count).map(move |number| values.iter().copied().chain(drawn(number)).collect());
    Ok(product(axes)?.into_iter().flat_map(extend).collect())
}

fn trial(
    arm: &Arm,
    axes: &[&Axis],
    values: &[&Value],
    sets: &[(String, Value)],
    contents: &mut Contents,
) -> Result<Trial, Error> {
    let value = overlaid(arm.value.clone(), axes, values);
    let value = sets.iter().fold(value, |value, (path, set)| value.set(path, set.clone()));
    let (value, preset) = preset::expand(value)?;
    let config = contents.config(&value).map_err(|error| with_hint(error, axes.iter().copied()))?;
    let json = checked(&config, &value, contents)?;
    let swept = axes.iter().zip(values).map(|(axis, value)| (axis.path.clone(), value.to_json())).collect();
    let optimizer = preset.unwrap_or_else(|| stages(&config.optimizer));
    Ok(Trial { id: id(&json), arm: arm.name.clone(), swept, config, json, optimizer })
}

/// The value with one of each axis's values. A preset, a kind or a table replaces what is beneath it, so outer keys go first,
/// whatever the order of the file: otherwise an axis would undo another, and the trial would not be what its swept keys say.
pub(super) fn overlaid(value: Value, axes: &[&Axis], values: &[&Value]) -> Value {
    let mut settings: Vec<(&str, &Value)> =
        axes.iter().zip(values).map(|(axis, &value)| (axis.path.as_str(), value)).collect();
    settings.sort_by_key(|(path, _)| {
        let chooses = path.ends_with(".preset") || path.ends_with(".kind");
        (path.split('.').count(), !chooses)
    });
    settings.into_iter().fold(value, |value, (path, at)| value.set(path, at.clone()))
}

/// What an optimizer without a preset is called.
fn stages(optimizer: &OptimizerConfig) -> String {
    let update = optimizer.update.name();
    match optimizer.precondition {
        Some(Precondition::Kfac(_)) => format!("kfac+{update}"),
        Some(Precondition::Shampoo(_)) => format!("shampoo+{update}"),
        None => update.to_owned(),
    }
}

/// The first 12 hexadecimal digits of the SHA-256 of the configuration with sorted keys.
pub(super) fn id(json: &Json) -> String {
    let digest = Sha256::digest(canonical(&named(json)));
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// JSON with sorted keys and without white space, whatever order a map keeps.
fn canonical(json: &Json) -> String {
    match json {
        Json::Object(table) => {
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_by_key(|&(key, _)| key);
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Json::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Json::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// An axis that no arm has is an error; one that some arms lack is worth saying.
fn report_use(
    axis: &Axis,
    verb: &str,
    arms: &[(&str, bool)],
    trials: &[Trial],
    warnings: &mut Vec<String>,
) -> Result<(), config::Error> {
    let lacking: Vec<String> = arms.iter().filter(|(_, has)| !has).map(|(name, _)| format!("`{name}`")).collect();
    if lacking.len() == arms.len() {
        let known: Vec<String> = trials.iter().flat_map(|trial| paths(&trial.json, "")).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let error = config::Error::at(&axis.origin, format!("no arm has the {verb} key `{}`", axis.path));
        return Err(match crate::catalog::nearest(&axis.path, known) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        });
    }
    if !lacking.is_empty() {
        let (lacking, key) = (lacking.join(", "), &axis.path);
        warnings.push(match verb {
            "searched" => format!("`{key}` is not searched in the arms that have no such key: {lacking}"),
            _ => format!("`{key}` does not multiply the arms that have no such key: {lacking}"),
        });
    }
    Ok(())
}

/// The dotted paths of all values that are no tables.
fn paths(json: &Json, prefix: &str) -> Vec<String> {
    match json {
        Json::Object(table) => {
            let join = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
            table.iter().flat_map(|(key, value)| paths(value, &join(key))).collect()
        }
        _ => vec![prefix.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical, contains, id};
    use serde_json::json;

    #[test]
    fn an_id_does_not_depend_on_the_order_of_keys() {
        let one: serde_json::Value = serde_json::from_str(r#"{"a": 1, "b": {"c": 0.05, "d": [1.0, null]}}"#).unwrap();
        let other: serde_json::Value = serde_json::from_str(r#"{"b": {"d": [1.0, null], "c": 5e-2}, "a": 1}"#).unwrap();
        assert_eq!(canonical(&one), r#"{"a":1,"b":{"c":0.05,"d":[1.0,null]}}"#);
        assert_eq!(id(&one), id(&other));
        assert_eq!(id(&one), "e581fe9fda65");
        assert_ne!(id(&one), id(&json!({ "a": 2 })));
    }

    #[test]
    fn a_key_is_had_if_it_is_there_even_as_nothing() {
        let config = json!({ "data": { "train_limit": null }, "optimizer": { "update": { "kind": "sgd" } } });
        assert!(contains(&config, "data.train_limit"));
        assert!(contains(&config, "optimizer.preset"));
        assert!(!contains(&config, "optimizer.precondition.factor_every"));
        assert!(!contains(&config, "data.train_limit.x"));
    }
}
