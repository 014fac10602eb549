//! The numbers of trials, line by line, for figures to average.
//!
//! Plain loops over columns: polars' lazy engine would say the same in expressions, and doubles the time that the program takes to build.

use polars::prelude::*;

use super::{Data, counts, texts};
use crate::record::{Metric, Scope, Status};
use crate::stats;

/// A trial as one of a line.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    pub line: u32,
    pub label: &'a str,
    /// Its arm and its point of the sweep, for looks.
    pub arm: u32,
    pub point: u32,
    /// The value of the axis, if the lines have one.
    pub at: Option<f64>,
    pub seed: u64,
    /// Whether the trial came to its end.
    pub finished: bool,
    /// Where it is among all trials.
    pub place: usize,
}

/// One number of a trial.
pub struct Number<'a> {
    pub epoch: u32,
    pub step: u64,
    pub seconds: f64,
    scope: &'a str,
    metric: &'a str,
    pub value: f64,
}

impl Number<'_> {
    pub fn is(&self, scope: &Scope, metric: Metric) -> bool {
        self.is_in(scope) && self.metric == metric.name()
    }

    pub fn is_in(&self, scope: &Scope) -> bool {
        self.scope == scope.name()
    }

    pub fn is_a(&self, metric: Metric) -> bool {
        self.metric == metric.name()
    }
}

/// Lines of trials (`trial, line, label, arm, point, at`) that are alive for as long as their members.
pub struct Lines {
    ids: Vec<String>,
    labels: Vec<String>,
    places: Vec<usize>,
    looks: Vec<(u32, u32)>,
    ats: Vec<Option<f64>>,
}

impl Lines {
    /// Of the frame that [`super::group::lines`] gives.
    pub fn new(lines: &DataFrame) -> PolarsResult<Self> {
        Ok(Self {
            ids: texts(lines, "trial")?,
            labels: texts(lines, "label")?,
            places: counts(lines, "line")?,
            looks: counts(lines, "arm")?
                .into_iter()
                .zip(counts(lines, "point")?)
                .map(|(arm, point)| (arm as u32, point as u32))
                .collect(),
            ats: lines.column("at")?.f64()?.iter().collect(),
        })
    }

    /// Every trial, in the order of lines, then of `at`, those without it first.
    pub fn members<'a>(&'a self, data: &Data) -> PolarsResult<Vec<Member<'a>>> {
        let (states, seeds) =
            (data.results.trials.column("status")?.str()?, data.results.trials.column("seed")?.u64()?);
        let member = |(i, id): (usize, &'a String)| {
            let place = *data.places.get(id)?;
            Some(Member {
                line: self.places[i] as u32,
                label: &self.labels[i],
                arm: self.looks[i].0,
                point: self.looks[i].1,
                at: self.ats[i],
                seed: seeds.get(place).unwrap_or_default(),
                finished: states.get(place) == Some(Status::Finished.name()),
                place,
            })
        };
        let mut members: Vec<Member> = self.ids.iter().enumerate().filter_map(member).collect();
        members.sort_by(|a, b| a.line.cmp(&b.line).then_with(|| order(a.at, b.at)));
        Ok(members)
    }
}

fn order(a: Option<f64>, b: Option<f64>) -> std::cmp::Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.is_some().cmp(&b.is_some()),
    }
}

/// Members of one line at one value of the axis, together.
pub fn groups<'a, 'b>(members: &'b [Member<'a>]) -> impl Iterator<Item = &'b [Member<'a>]> {
    members.chunk_by(|a, b| a.line == b.line && order(a.at, b.at).is_eq())
}

/// All numbers of a trial, single steps excepted.
pub fn of<'a>(data: &'a Data, member: &Member<'_>) -> PolarsResult<impl Iterator<Item = Number<'a>>> {
    let rows = &data.results.rows[member.place];
    let (epochs, steps) = (rows.column("epoch")?.u32()?, rows.column("step")?.u64()?);
    let (scopes, metrics) = (rows.column("scope")?.str()?, rows.column("metric")?.str()?);
    let (seconds, values) = (rows.column("seconds")?.f64()?, rows.column("value")?.f64()?);
    Ok((0..rows.height()).map(move |i| Number {
        epoch: epochs.get(i).unwrap_or_default(),
        step: steps.get(i).unwrap_or_default(),
        seconds: seconds.get(i).unwrap_or(f64::NAN),
        scope: scopes.get(i).unwrap_or_default(),
        metric: metrics.get(i).unwrap_or_default(),
        value: values.get(i).unwrap_or(f64::NAN),
    }))
}

/// The mean; nothing of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| stats::mean(values))
}

/// The standard deviation, which one value has not.
pub fn deviation(values: &[f64]) -> Option<f64> {
    (values.len() > 1).then(|| stats::deviation(values))
}
