//! A trial in one row, and a line in one row.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::{Data, counts, group, numbers, texts};
use crate::record::{Metric, Scope, Status};
use crate::stats;

/// What a trial is summed up by.
pub const MEASURES: [&str; 6] =
    ["final_accuracy", "best_accuracy", "epoch_seconds", "train_seconds", "inverse_seconds", "peak_rss_bytes"];

/// The most lines that a figure can show and a reader can tell apart.
pub const MOST_LINES: usize = 16;

/// Rows of one metric in one scope.
pub fn is(scope: &Scope, metric: Metric) -> Expr {
    col("scope").eq(lit(scope.name().to_owned())).and(col("metric").eq(lit(metric.name())))
}

/// Whether the trial came to its end.
pub fn finished() -> Expr {
    col("status").eq(lit(Status::Finished.name()))
}

/// The rows of the trials of `lines`, with `trial`, `status`, `seed` and the columns of `lines`.
pub fn rows(data: &Data, lines: &DataFrame) -> PolarsResult<LazyFrame> {
    let mut all: Option<DataFrame> = None;
    for trial in texts(lines, "trial")? {
        let Some(&place) = data.places.get(&trial) else { continue };
        let mut rows = data.results.rows[place].clone();
        let id = Scalar::new(DataType::String, AnyValue::StringOwned(trial.as_str().into()));
        rows.with_column(Column::new_scalar("trial".into(), id, rows.height()))?;
        match &mut all {
            None => all = Some(rows),
            Some(all) => {
                all.vstack_mut_owned(rows)?;
            }
        }
    }
    let all = match all {
        Some(all) => all,
        None => none()?,
    };
    let trials = data.results.trials.clone().lazy().select([col("trial"), col("status"), col("seed")]);
    let lines = lines.clone().lazy().join(trials, [col("trial")], [col("trial")], JoinArgs::new(JoinType::Inner));
    Ok(all.lazy().join(lines, [col("trial")], [col("trial")], JoinArgs::new(JoinType::Inner)))
}

/// The columns of rows, and no rows.
fn none() -> PolarsResult<DataFrame> {
    let (texts, numbers) = (Vec::<String>::new(), Vec::<f64>::new());
    df!(
        "epoch" => Vec::<u32>::new(), "step" => Vec::<u64>::new(), "seconds" => &numbers, "scope" => &texts,
        "metric" => &texts, "value" => &numbers, "trial" => &texts
    )
}

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
    lines.with_column(Column::new("line".into(), places))?;
    lines
        .lazy()
        .filter(col("line").is_not_null())
        .with_column(lit(omitted).cast(DataType::UInt32).alias("omitted"))
        .collect()
}

/// One row for each line (and `at`) of `lines`: `line, label, at, seeds, diverged`, and for each of [`MEASURES`] the mean over
/// finished trials and the standard deviation `…_sd`, which one trial has not; `omitted` of `lines` if there.
pub fn by_line(data: &Data, lines: &DataFrame) -> PolarsResult<DataFrame> {
    let mut aggregates = vec![
        finished().sum().cast(DataType::UInt32).alias("seeds"),
        finished().not().sum().cast(DataType::UInt32).alias("diverged"),
    ];
    for measure in MEASURES {
        let values = || col(measure).filter(finished());
        aggregates.extend([values().mean().alias(measure), values().std(1).alias(format!("{measure}_sd"))]);
    }
    if lines.schema().contains("omitted") {
        aggregates.push(col("omitted").first());
    }
    by_trial(data)?
        .lazy()
        .join(lines.clone().lazy(), [col("trial")], [col("trial")], JoinArgs::new(JoinType::Inner))
        .group_by([col("line"), col("label"), col("at")])
        .agg(aggregates)
        .sort(["line", "at"], SortMultipleOptions::default())
        .collect()
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

/// One row for each trial: `trial, seed, status, validated` and [`MEASURES`], null where nothing was logged. `validated`: whether the
/// best epoch was chosen on validation images.
pub fn by_trial(data: &Data) -> PolarsResult<DataFrame> {
    let (trials, sums) = (&data.results.trials, &data.sums);
    let column = |of: &dyn Fn(&Sums) -> Option<f64>| -> Vec<Option<f64>> { sums.iter().map(of).collect() };
    let timed = |sums: &Sums, value: f64| (!sums.epochs.is_empty()).then_some(value);
    df!(
        "trial" => trials.column("trial")?.str()?.clone().into_series(),
        "seed" => trials.column("seed")?.u64()?.clone().into_series(),
        "status" => trials.column("status")?.str()?.clone().into_series(),
        "validated" => sums.iter().map(|sums| !sums.validation.is_empty()).collect::<Vec<_>>(),
        MEASURES[0] => column(&|sums| sums.test.last_key_value().map(|(_, &[_, accuracy])| accuracy)),
        MEASURES[1] => column(&Sums::best),
        MEASURES[2] => column(&|sums| timed(sums, stats::mean(&sums.epochs))),
        MEASURES[3] => column(&|sums| timed(sums, sums.epochs.iter().sum())),
        MEASURES[4] => column(&|sums| timed(sums, sums.inverse_seconds)),
        MEASURES[5] => column(&|sums| sums.peak)
    )
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
