//! A trial in one row, and a line in one row.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::gather::{self, Lines, Member};
use super::{Data, counts, group, numbers};
use crate::record::{Metric, Scope};
use crate::stats;

/// What a trial is summed up by.
pub const MEASURES: [&str; 6] =
    ["final_accuracy", "best_accuracy", "epoch_seconds", "train_seconds", "inverse_seconds", "peak_rss_bytes"];

/// The most lines that a figure can show and a reader can tell apart.
pub const MOST_LINES: usize = 16;

/// The lines to draw: all, or those with the best mean final accuracy if they are more than [`MOST_LINES`], counted from 0 again.
/// The column `omitted` says how many were left out.
pub fn leading(data: &Data, axis: Option<&str>) -> PolarsResult<DataFrame> {
    let lines = group::lines(data, axis)?;
    let all = by_line(data, &lines)?;
    let mut best: BTreeMap<usize, f64> = BTreeMap::new();
    for (line, accuracy) in counts(&all, "line")?.into_iter().zip(numbers(&all, "final_accuracy")?) {
        let best = best.entry(line).or_insert(f64::NEG_INFINITY);
        *best = best.max(accuracy);
    }
    let omitted = best.len().saturating_sub(MOST_LINES) as u32;
    let mut ranked: Vec<(usize, f64)> = best.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(MOST_LINES);
    let mut kept: Vec<usize> = ranked.into_iter().map(|(line, _)| line).collect();
    kept.sort_unstable();
    let places: Vec<Option<u32>> =
        counts(&lines, "line")?.iter().map(|line| kept.binary_search(line).ok().map(|place| place as u32)).collect();
    let mut lines = lines;
    let kept = BooleanChunked::from_iter(places.iter().map(|place| Some(place.is_some())));
    lines.with_column(Column::new("line".into(), places))?;
    lines.with_column(Column::new("omitted".into(), vec![omitted; kept.len()]))?;
    lines.filter(&kept)
}

/// One row for each line (and `at`) of `lines`: `line, label, at, seeds, diverged`, and for each of [`MEASURES`] the mean over
/// finished trials and the standard deviation `…_sd`, which one trial has not; `omitted` of `lines` if there.
pub fn by_line(data: &Data, lines: &DataFrame) -> PolarsResult<DataFrame> {
    let all = Lines::new(lines)?;
    let members = all.members(data)?;
    let groups: Vec<&[Member]> = gather::groups(&members).collect();
    let column = |of: &dyn Fn(&[Member]) -> u32| groups.iter().map(|group| of(group)).collect::<Vec<u32>>();
    let finished = |group: &[Member]| group.iter().filter(|trial| trial.finished).count() as u32;
    let mut columns = vec![
        Column::new("line".into(), column(&|group| group[0].line)),
        Column::new("label".into(), groups.iter().map(|group| group[0].label).collect::<Vec<_>>()),
        Column::new("at".into(), groups.iter().map(|group| group[0].at).collect::<Vec<_>>()),
        Column::new("seeds".into(), column(&finished)),
        Column::new("diverged".into(), column(&|group| group.len() as u32 - finished(group))),
    ];
    for (i, measure) in MEASURES.into_iter().enumerate() {
        let of_finished = |group: &&[Member]| -> Vec<f64> {
            group
                .iter()
                .filter(|trial| trial.finished)
                .filter_map(|trial| data.sums[trial.place].measures()[i])
                .collect()
        };
        let values: Vec<Vec<f64>> = groups.iter().map(of_finished).collect();
        let spread = |of: fn(&[f64]) -> Option<f64>| values.iter().map(|values| of(values)).collect::<Vec<_>>();
        columns.push(Column::new(measure.into(), spread(gather::mean)));
        columns.push(Column::new(format!("{measure}_sd").into(), spread(gather::deviation)));
    }
    if lines.schema().contains("omitted") {
        let omitted = counts(lines, "omitted")?.first().copied().unwrap_or_default() as u32;
        columns.push(Column::new("omitted".into(), vec![omitted; groups.len()]));
    }
    DataFrame::new(groups.len(), columns)
}

/// What one trial is summed up from.
#[derive(Debug, Default)]
pub struct Sums {
    /// Seconds and test accuracy by epoch.
    pub test: BTreeMap<u32, [f64; 2]>,
    validation: BTreeMap<u32, f64>,
    /// Seconds of every epoch.
    pub epochs: Vec<f64>,
    inverse_seconds: f64,
    peak: Option<f64>,
    pub parameters: Option<f64>,
    pub images: Option<f64>,
    /// The test accuracy that the experiment wants.
    pub target: Option<f64>,
}

impl Sums {
    /// Sums up the rows of a trial.
    pub fn new(rows: &DataFrame) -> PolarsResult<Self> {
        let mut sums = Self::default();
        let names = rows.column("scope")?.str()?.iter().zip(rows.column("metric")?.str()?.iter());
        let numbers = rows.column("seconds")?.f64()?.iter().zip(rows.column("value")?.f64()?.iter());
        for ((scope, metric), (epoch, numbers)) in names.zip(rows.column("epoch")?.u32()?.iter().zip(numbers)) {
            let (Some(scope), Some(metric), Some(epoch)) = (scope, metric, epoch) else { continue };
            if let (Some(seconds), Some(value)) = numbers {
                sums.add(scope, metric, epoch, [seconds, value]);
            }
        }
        Ok(sums)
    }

    fn add(&mut self, scope: &str, metric: &str, epoch: u32, [seconds, value]: [f64; 2]) {
        let is = |known: Metric| metric == known.name();
        if is(Metric::Accuracy) {
            if scope == Scope::Test.name() {
                self.test.insert(epoch, [seconds, value]);
            } else if scope == Scope::Validation.name() {
                self.validation.insert(epoch, value);
            }
        } else if is(Metric::EpochSeconds) {
            self.epochs.push(value);
        } else if is(Metric::PhaseDamping) || is(Metric::PhaseInversion) {
            self.inverse_seconds += value;
        } else if is(Metric::PeakRssBytes) {
            self.peak = Some(value);
        } else if is(Metric::Parameters) {
            self.parameters = Some(value);
        } else if is(Metric::TrainImages) {
            self.images = Some(value);
        } else if is(Metric::Target) {
            self.target = Some(value);
        }
    }

    /// [`MEASURES`], as far as they were logged.
    pub fn measures(&self) -> [Option<f64>; MEASURES.len()] {
        let timed = |value: f64| (!self.epochs.is_empty()).then_some(value);
        [
            self.test.last_key_value().map(|(_, &[_, accuracy])| accuracy),
            self.best(),
            timed(stats::mean(&self.epochs)),
            timed(self.epochs.iter().sum()),
            timed(self.inverse_seconds),
            self.peak,
        ]
    }

    /// Whether the best epoch is chosen on validation images.
    pub fn is_validated(&self) -> bool {
        !self.validation.is_empty()
    }

    /// The test accuracy of the epoch that is best on the validation images; without these of the one that is best on the test
    /// images themselves, which flatters.
    fn best(&self) -> Option<f64> {
        let test: BTreeMap<u32, f64> = self.test.iter().map(|(&epoch, &[_, accuracy])| (epoch, accuracy)).collect();
        let chooser = if self.validation.is_empty() { &test } else { &self.validation };
        // The first of equals.
        let first = chooser.iter().rev().max_by(|a, b| a.1.total_cmp(b.1));
        first.and_then(|(epoch, _)| test.get(epoch)).copied()
    }
}

/// A line's label with what became of trials that did not finish.
pub fn name(label: &str, seeds: usize, diverged: usize) -> String {
    match (seeds, diverged) {
        (_, 0) => label.to_owned(),
        (0, _) => format!("{label} (diverged)"),
        _ => format!("{label} ({diverged} of {} diverged)", seeds + diverged),
    }
}

/// What bands and whiskers are, given the finished trials of each line; `None` if none has more than one.
pub fn spread(seeds: &[usize]) -> Option<String> {
    let most = seeds.iter().copied().max().filter(|&most| most > 1)?;
    Some(format!("mean ± s.d. over {} seeds", range(seeds, most)))
}

fn range(seeds: &[usize], most: usize) -> String {
    let least = seeds.iter().copied().filter(|&seeds| seeds > 0).min().unwrap_or(most);
    if least == most { most.to_string() } else { format!("{least}–{most}") }
}

/// What goes below a figure: what its spread is, and how many lines it leaves out.
pub fn caption(frame: &DataFrame, spread: Option<String>) -> PolarsResult<Option<String>> {
    let omitted = counts(frame, "omitted")?.into_iter().max().unwrap_or_default();
    let left_out = (omitted > 0).then(|| {
        format!("the {MOST_LINES} of {} lines with the best final accuracy; `table.csv` has all", MOST_LINES + omitted)
    });
    let parts: Vec<String> = [spread, left_out].into_iter().flatten().collect();
    Ok((!parts.is_empty()).then(|| parts.join("; ")))
}
