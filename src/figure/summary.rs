//! A trial in one row, and a line in one row.

use polars::prelude::*;

use crate::record::{Metric, Scope, Status};

/// What a trial is summed up by.
pub const MEASURES: [&str; 4] = ["final_accuracy", "best_accuracy", "epoch_seconds", "peak_rss_bytes"];

/// Rows of one metric in one scope.
pub fn is(scope: &Scope, metric: Metric) -> Expr {
    col("scope").eq(lit(scope.name().to_owned())).and(col("metric").eq(lit(metric.name())))
}

/// Whether the trial came to its end.
pub fn finished() -> Expr {
    col("status").eq(lit(Status::Finished.name()))
}

/// One row for each line (and `at`) of `lines`: `line, label, at, seeds, diverged`, and for each of [`MEASURES`] the mean over
/// finished trials and the standard deviation `…_sd`, which one trial has not.
pub fn by_line(rows: &DataFrame, lines: &DataFrame) -> PolarsResult<DataFrame> {
    let mut aggregates = vec![
        finished().sum().cast(DataType::UInt32).alias("seeds"),
        finished().not().sum().cast(DataType::UInt32).alias("diverged"),
    ];
    for measure in MEASURES {
        let values = || col(measure).filter(finished());
        aggregates.extend([values().mean().alias(measure), values().std(1).alias(format!("{measure}_sd"))]);
    }
    by_trial(rows)
        .join(lines.clone().lazy(), [col("trial")], [col("trial")], JoinArgs::new(JoinType::Inner))
        .group_by([col("line"), col("label"), col("at")])
        .agg(aggregates)
        .sort(["line", "at"], SortMultipleOptions::default())
        .collect()
}

/// One row for each trial: `trial, status` and [`MEASURES`], null where nothing was logged.
fn by_trial(rows: &DataFrame) -> LazyFrame {
    let values = |scope, metric| col("value").filter(is(&scope, metric));
    rows.clone()
        .lazy()
        .sort(["epoch"], SortMultipleOptions::default().with_maintain_order(true))
        .group_by([col("trial")])
        .agg([
            col("status").first(),
            values(Scope::Test, Metric::Accuracy).last().alias("final_accuracy"),
            values(Scope::Test, Metric::Accuracy).max().alias("best_accuracy"),
            values(Scope::Train, Metric::EpochSeconds).mean().alias("epoch_seconds"),
            values(Scope::Train, Metric::PeakRssBytes).max().alias("peak_rss_bytes"),
        ])
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
    let least = seeds.iter().copied().filter(|&seeds| seeds > 0).min()?;
    let seeds = if least == most { most.to_string() } else { format!("{least}–{most}") };
    Some(format!("mean ± s.d. over {seeds} seeds"))
}
