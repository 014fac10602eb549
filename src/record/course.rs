//! The course of a trial: what it had reached at the end of each epoch.

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::*;
use serde::{Deserialize, Serialize};

use super::read::read_file;
use super::{Brief, Goal, Metric, Scope, brief};

/// What a trial had reached at the end of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Milestone {
    /// Counted from 1.
    pub epoch: u32,
    /// Mean over images or tokens, in nats, as it was minimised.
    pub train_loss: f64,
    /// On the test set, in the metric that the trial is judged by.
    pub test: f64,
    pub metric: Metric,
}

/// A trial that has ended, in brief and by epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    pub brief: Brief,
    /// In the order of epochs.
    pub milestones: Vec<Milestone>,
}

/// The course of the trial in `path`.
///
/// # Errors
/// The file cannot be read, is damaged or of other origin: says so.
pub fn course(path: &Path) -> Result<Course, String> {
    let frame = read_file(path)?;
    let milestones = milestones(&frame).map_err(|error| error.to_string())?;
    Ok(Course { brief: brief::of(&frame)?, milestones })
}

/// Epochs of which both numbers are there.
fn milestones(frame: &DataFrame) -> PolarsResult<Vec<Milestone>> {
    let (scopes, metrics) = (frame.column("scope")?.str()?, frame.column("metric")?.str()?);
    let (epochs, values) = (frame.column("epoch")?.u32()?, frame.column("value")?.f64()?);
    let tested = scopes.iter().zip(metrics.iter()).filter(|(scope, _)| *scope == Some(Scope::Test.name()));
    let Some(goal) = Goal::among(tested.filter_map(|(_, metric)| metric)) else { return Ok(Vec::new()) };
    let (mut losses, mut tests) = (BTreeMap::new(), BTreeMap::new());
    for ((scope, metric), (epoch, value)) in scopes.iter().zip(metrics.iter()).zip(epochs.iter().zip(values.iter())) {
        let (Some(scope), Some(metric), Some(epoch), Some(value)) = (scope, metric, epoch, value) else { continue };
        if scope == Scope::Train.name() && metric == Metric::Loss.name() {
            losses.insert(epoch, value);
        } else if scope == Scope::Test.name() && metric == goal.metric.name() {
            tests.insert(epoch, value);
        }
    }
    let both = |(epoch, train_loss): (u32, f64)| {
        Some(Milestone { epoch, train_loss, test: *tests.get(&epoch)?, metric: goal.metric })
    };
    Ok(losses.into_iter().filter_map(both).collect())
}
