//! What a configuration is chosen by.

use std::path::Path;

use super::read::read_file;
use super::{Goal, Metric, Scope, Status};

/// On the validation set: what was reached after the last epoch, and when the target was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// What the trial is judged by.
    pub goal: Goal,
    pub value: f64,
    pub loss: f64,
    /// Steps until the goal was at the target, which changes linearly between two evaluations; `None` if it never was, or without one.
    pub steps: Option<f64>,
}

/// How good the trial in `path` was on its validation set, and how soon it was at `target`; `None` if it diverged.
///
/// # Errors
/// The file is not there, damaged, of other origin, or of a trial without validation images: says so.
pub fn validation(path: &Path, target: Option<f64>) -> Result<Option<Validation>, String> {
    let frame = read_file(path)?;
    let column = |name: &str| frame.column(name).map_err(|error| error.to_string());
    let text = |name: &str| column(name)?.str().map_err(|error| error.to_string());
    if text("status")?.first() != Some(Status::Finished.name()) {
        return Ok(None);
    }
    let (scopes, metrics) = (text("scope")?, text("metric")?);
    let values = column("value")?.f64().map_err(|error| error.to_string())?;
    let last = |metric: Metric| {
        let wanted = (Some(Scope::Validation.name()), Some(metric.name()));
        let place = (0..frame.height()).rev().find(|&row| (scopes.get(row), metrics.get(row)) == wanted);
        place.and_then(|row| values.get(row)).ok_or_else(|| format!("it has no {metric} on validation images"))
    };
    let validated = (0..frame.height()).filter(|&row| scopes.get(row) == Some(Scope::Validation.name()));
    let goal = Goal::among(validated.filter_map(|row| metrics.get(row))).unwrap_or(Goal::LOSS);
    let is_goal = |row: &usize| {
        (scopes.get(*row), metrics.get(*row)) == (Some(Scope::Validation.name()), Some(goal.metric.name()))
    };
    let steps = column("step")?.u64().map_err(|error| error.to_string())?;
    let at = |row| Some((steps.get(row)? as f64, values.get(row)?));
    let (steps, course): (Vec<f64>, Vec<f64>) = (0..frame.height()).filter(is_goal).filter_map(at).unzip();
    let crossing = target.and_then(|target| goal.crossing(&course, target));
    let steps = crossing.map(|(first, share)| {
        let before = first.checked_sub(1).map_or(0.0, |before| steps[before]);
        before + share * (steps[first] - before)
    });
    Ok(Some(Validation { goal, value: last(goal.metric)?, loss: last(Metric::Loss)?, steps }))
}
