//! Each line of trials in numbers: for a terminal, for Markdown, and as CSV for whatever else.

use polars::prelude::*;

use super::{counts, group, numbers, summary, texts};

/// One row for each line of trials: final and best test accuracy, seconds an epoch and peak memory, as means over finished
/// trials with standard deviations, and how many trials finished and diverged.
#[derive(Debug)]
pub struct Table {
    /// As a program wants it: `label, seeds, diverged`, means, and standard deviations as `…_sd`.
    frame: DataFrame,
    /// As a reader wants it, the head first.
    cells: Vec<[String; COLUMNS]>,
}

const COLUMNS: usize = 7;

const HEAD: [&str; COLUMNS] =
    ["arm", "final acc. (%)", "best acc. (%)", "epoch (s)", "peak memory (MiB)", "seeds", "diverged"];

impl Table {
    /// Sums up all rows of an experiment.
    pub fn new(rows: &DataFrame) -> PolarsResult<Self> {
        let frame = summary::by_line(rows, &group::lines(rows, None)?)?.drop_many(["line", "at"]);
        let measures = [
            accuracies(&frame, "final_accuracy")?,
            accuracies(&frame, "best_accuracy")?,
            sizes(&frame, "epoch_seconds", 1.0)?,
            sizes(&frame, "peak_rss_bytes", f64::from(1 << 20))?,
        ];
        let (seeds, diverged) = (counts(&frame, "seeds")?, counts(&frame, "diverged")?);
        let mut cells = vec![HEAD.map(str::to_owned)];
        for (i, label) in texts(&frame, "label")?.into_iter().enumerate() {
            let [last, best, seconds, memory] = measures.each_ref().map(|column| column[i].clone());
            cells.push([label, last, best, seconds, memory, seeds[i].to_string(), diverged[i].to_string()]);
        }
        Ok(Self { frame, cells })
    }

    /// In columns, for a terminal.
    #[must_use]
    pub fn terminal(&self) -> String {
        let widths = self.widths();
        let line = |row: &[String; COLUMNS]| pad(row, &widths).join("  ").trim_end().to_owned() + "\n";
        self.cells.iter().map(line).collect()
    }

    /// As a Markdown table that is aligned as text too.
    #[must_use]
    pub fn markdown(&self) -> String {
        let cells = self.cells.iter().map(|row| row.each_ref().map(|cell| cell.replace('|', "\\|"))).collect();
        let escaped = Self { frame: DataFrame::empty(), cells };
        let widths = escaped.widths();
        let mut lines: Vec<String> =
            escaped.cells.iter().map(|row| format!("| {} |\n", pad(row, &widths).join(" | "))).collect();
        let rule = |(column, width): (usize, &usize)| match column {
            0 => "-".repeat(*width),
            _ => "-".repeat(width - 1) + ":",
        };
        lines.insert(1, format!("| {} |\n", widths.iter().enumerate().map(rule).collect::<Vec<_>>().join(" | ")));
        lines.concat()
    }

    /// As CSV (RFC 4180) with all digits, in the units of the columns' names; accuracies are fractions.
    #[must_use]
    pub fn csv(&self) -> String {
        let columns = self.frame.columns();
        let names: Vec<String> = columns.iter().map(|column| column.name().to_string()).collect();
        let row = |i: usize| {
            columns.iter().map(|column| column.get(i).map_or_else(|_| String::new(), |value| field(&value))).collect()
        };
        let rows = std::iter::once(names).chain((0..self.frame.height()).map(row));
        rows.map(|fields| fields.join(",") + "\n").collect()
    }

    fn widths(&self) -> [usize; COLUMNS] {
        std::array::from_fn(|column| self.cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
    }
}

/// A mean of percentages with its standard deviation.
fn accuracies(frame: &DataFrame, measure: &str) -> PolarsResult<Vec<String>> {
    let (means, sds) = (numbers(frame, measure)?, numbers(frame, &format!("{measure}_sd"))?);
    Ok(means.into_iter().zip(sds).map(|(mean, sd)| spread(100.0 * mean, 100.0 * sd, 2)).collect())
}

/// A mean with its standard deviation in a `unit`, to three digits.
fn sizes(frame: &DataFrame, measure: &str, unit: f64) -> PolarsResult<Vec<String>> {
    let (means, sds) = (numbers(frame, measure)?, numbers(frame, &format!("{measure}_sd"))?);
    Ok(means.into_iter().zip(sds).map(|(mean, sd)| spread(mean / unit, sd / unit, decimals(mean / unit))).collect())
}

fn spread(mean: f64, sd: f64, decimals: usize) -> String {
    match (mean.is_finite(), sd.is_finite()) {
        (false, _) => "–".into(),
        (true, false) => format!("{mean:.decimals$}"),
        (true, true) => format!("{mean:.decimals$} ± {sd:.decimals$}"),
    }
}

/// A number to three digits.
pub fn digits(value: f64) -> String {
    format!("{value:.0$}", decimals(value))
}

/// Decimals that make three digits, and not more than three.
fn decimals(value: f64) -> usize {
    match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    }
}

/// Labels to the left, numbers to the right.
fn pad(row: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> [String; COLUMNS] {
    std::array::from_fn(|column| {
        let (cell, width) = (&row[column], widths[column]);
        if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    })
}

fn field(value: &AnyValue<'_>) -> String {
    match (value.get_str(), value) {
        (Some(text), _) if text.contains([',', '"', '\n']) => format!("\"{}\"", text.replace('"', "\"\"")),
        (Some(text), _) => text.to_owned(),
        (None, AnyValue::Null) => String::new(),
        // Not polars' own way, which shortens numbers for reading.
        (None, AnyValue::Float64(number)) => number.to_string(),
        (None, other) => other.to_string(),
    }
}
