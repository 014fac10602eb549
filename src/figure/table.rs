//! Each line of trials in numbers: for a terminal, for Markdown and LaTeX, and as CSV for whatever else.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::gather::Lines;
use super::summary::MEASURES;
use super::{Data, Sums, counts, group, numbers, summary, texts};
use crate::record::csv;
use crate::stats::{self, Paired, Verdict};
use crate::text::plain;

/// One row for each line of trials: final and best test accuracy, seconds an epoch and peak memory, as means over finished
/// trials with standard deviations, and how many trials finished and diverged.
#[derive(Debug)]
pub struct Table {
    /// As a program wants it: `label, seeds, diverged`, means, standard deviations as `…_sd`, the 95 % interval of the
    /// final accuracy as `…_low` and `…_high`.
    frame: DataFrame,
    /// As a reader wants it, labels first.
    pub columns: Vec<Column>,
    /// Whether the best epochs were chosen on validation images; otherwise on the test images, which flatters.
    pub validated: bool,
}

/// A column as a reader wants it.
#[derive(Debug)]
pub struct Column {
    pub head: &'static str,
    /// Whether more or less is better; neither where that makes no sense.
    pub best: Option<Best>,
    pub cells: Vec<Cell>,
}

/// What is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Best {
    Most,
    Least,
}

/// A cell: its text, its number for sorting (NaN if none), in the column's unit, and where it is a mean over seeds, the number of each seed.
#[derive(Debug)]
pub struct Cell {
    pub text: String,
    pub mean: f64,
    by_seed: BTreeMap<u64, f64>,
}

impl Column {
    /// The place of the best cell, if there is one. A single seed is no evidence: where one leads, nothing is called the best.
    #[must_use]
    pub fn best(&self) -> Option<usize> {
        self.leading().filter(|&place| self.cells[place].by_seed.len() > 1)
    }

    fn leading(&self) -> Option<usize> {
        let better = |a: f64, b: f64| match self.best {
            Some(Best::Most) => a > b,
            Some(Best::Least) => a < b,
            None => false,
        };
        let best = |best: Option<usize>, (i, cell): (usize, &Cell)| match best {
            _ if self.best.is_none() || cell.mean.is_nan() => best,
            Some(place) if !better(cell.mean, self.cells[place].mean) => best,
            _ => Some(i),
        };
        self.cells.iter().enumerate().fold(None, best)
    }

    /// Whether the differences to the best, paired by seed, leave open which of both is better (95 %).
    #[must_use]
    pub fn is_near(&self, row: usize) -> bool {
        let Some(best) = self.best().filter(|&best| best != row) else { return false };
        let (best, own) = (&self.cells[best].by_seed, &self.cells[row].by_seed);
        let differences: Vec<f64> = own.iter().filter_map(|(seed, value)| Some(value - best.get(seed)?)).collect();
        matches!(Paired::new(&differences).verdict(), Verdict::Open { .. })
    }
}

impl Table {
    /// Sums up all results of an experiment.
    pub fn new(data: &Data) -> PolarsResult<Self> {
        let lines = group::lines(data, None)?;
        let mut frame = summary::by_line(data, &lines)?;
        let intervals = intervals(data, &lines)?;
        let places = counts(&frame, "line")?;
        for (name, end) in [("final_accuracy_low", 0), ("final_accuracy_high", 1)] {
            let values: Vec<Option<f64>> =
                places.iter().map(|line| intervals.get(line).copied().flatten().map(|ends| ends[end])).collect();
            frame.with_column(polars::prelude::Column::new(name.into(), values))?;
        }
        let validated = data.sums.iter().any(Sums::is_validated);
        let (seeds, diverged) = (counts(&frame, "seeds")?, counts(&frame, "diverged")?);
        let seen = Seen { frame: &frame, by_line: by_seed(data, &lines)? };
        let columns = vec![
            Column { head: "arm", best: None, cells: texts(&frame, "label")?.into_iter().map(Cell::text).collect() },
            accuracies(&seen, "final acc. (%)", "final_accuracy")?,
            interval_column(&frame)?,
            accuracies(&seen, if validated { "best acc. (%, by val.)" } else { "best acc. (%)" }, "best_accuracy")?,
            sizes(&seen, "epoch (s)", "epoch_seconds", 1.0)?,
            sizes(&seen, "peak memory (MiB)", "peak_rss_bytes", f64::from(1 << 20))?,
            Column { head: "seeds", best: None, cells: seeds.into_iter().map(Cell::count).collect() },
            Column { head: "diverged", best: None, cells: diverged.into_iter().map(Cell::count).collect() },
        ];
        Ok(Self { frame: frame.drop_many(["line", "at"]), columns, validated })
    }

    /// How many lines there are.
    #[must_use]
    pub fn height(&self) -> usize {
        self.columns[0].cells.len()
    }

    /// The means and counts of every line, as a program wants them.
    #[must_use]
    pub const fn frame(&self) -> &DataFrame {
        &self.frame
    }

    /// In columns, for a terminal.
    #[must_use]
    pub fn terminal(&self) -> String {
        let texts = self.texts(plain);
        let widths = widths(&texts);
        texts.iter().map(|row| pad(row, &widths).join("  ").trim_end().to_owned() + "\n").collect()
    }

    /// As a Markdown table that is aligned as text too.
    #[must_use]
    pub fn markdown(&self) -> String {
        let texts = self.texts(markdown);
        let widths = widths(&texts);
        let mut lines: Vec<String> =
            texts.iter().map(|row| format!("| {} |\n", pad(row, &widths).join(" | "))).collect();
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
        csv(&self.frame)
    }

    /// The head and every row as a reader wants them.
    fn texts(&self, escape: impl Fn(&str) -> String) -> Vec<Vec<String>> {
        let head = self.columns.iter().map(|column| escape(column.head)).collect();
        let row = |i: usize| self.columns.iter().map(|column| escape(&column.cells[i].text)).collect();
        std::iter::once(head).chain((0..self.height()).map(row)).collect()
    }
}

impl Cell {
    const fn text(text: String) -> Self {
        Self { text, mean: f64::NAN, by_seed: BTreeMap::new() }
    }

    fn count(count: usize) -> Self {
        Self { text: count.to_string(), mean: count as f64, by_seed: BTreeMap::new() }
    }
}

/// The 95 % interval of the final accuracy of each line, of its finished trials.
fn intervals(data: &Data, lines: &DataFrame) -> PolarsResult<BTreeMap<usize, Option<[f64; 2]>>> {
    let lines = Lines::new(lines)?;
    let mut members = lines.members(data)?;
    members.retain(|trial| trial.finished);
    // A resample draws by place, so the order counts.
    members.sort_by_key(|trial| (trial.line, trial.seed));
    let mut values: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for trial in members {
        let accuracy = data.sums[trial.place].measures()[0].unwrap_or(f64::NAN);
        values.entry(trial.line as usize).or_default().push(accuracy);
    }
    let interval = |values: Vec<f64>| stats::interval(&values).map(|interval| [interval.low, interval.high]);
    Ok(values.into_iter().map(|(line, values)| (line, interval(values))).collect())
}

fn interval_column(frame: &DataFrame) -> PolarsResult<Column> {
    let (low, high) = (numbers(frame, "final_accuracy_low")?, numbers(frame, "final_accuracy_high")?);
    let cell = |(low, high): (f64, f64)| {
        let text = if low.is_nan() { "–".into() } else { format!("{:.2} to {:.2}", 100.0 * low, 100.0 * high) };
        Cell { text, mean: 100.0 * low, by_seed: BTreeMap::new() }
    };
    Ok(Column { head: "95 % interval", best: None, cells: low.into_iter().zip(high).map(cell).collect() })
}

/// The [`MEASURES`] of a line's finished trials by seed.
type BySeed = BTreeMap<u64, [Option<f64>; MEASURES.len()]>;

/// Lines summed up, and each line's trials by its number.
struct Seen<'a> {
    frame: &'a DataFrame,
    by_line: BTreeMap<usize, BySeed>,
}

fn by_seed(data: &Data, lines: &DataFrame) -> PolarsResult<BTreeMap<usize, BySeed>> {
    let mut by_line: BTreeMap<usize, BySeed> = BTreeMap::new();
    for trial in Lines::new(lines)?.members(data)?.iter().filter(|trial| trial.finished) {
        by_line.entry(trial.line as usize).or_default().insert(trial.seed, data.sums[trial.place].measures());
    }
    Ok(by_line)
}

/// Means of percentages with their standard deviations.
fn accuracies(seen: &Seen<'_>, head: &'static str, measure: &str) -> PolarsResult<Column> {
    Ok(Column { head, best: Some(Best::Most), cells: cells(seen, measure, 0.01, |_| 2)? })
}

/// Means with their standard deviations in a `unit`, to three digits.
fn sizes(seen: &Seen<'_>, head: &'static str, measure: &str, unit: f64) -> PolarsResult<Column> {
    Ok(Column { head, best: Some(Best::Least), cells: cells(seen, measure, unit, decimals)? })
}

fn cells(seen: &Seen<'_>, measure: &str, unit: f64, decimals: fn(f64) -> usize) -> PolarsResult<Vec<Cell>> {
    let (means, sds) = (numbers(seen.frame, measure)?, numbers(seen.frame, &format!("{measure}_sd"))?);
    let place = MEASURES.iter().position(|known| *known == measure).unwrap_or_default();
    let cell = |(line, (mean, sd)): (usize, (f64, f64))| {
        let (mean, sd) = (mean / unit, sd / unit);
        let trials = seen.by_line.get(&line).into_iter().flatten();
        let by_seed = trials.filter_map(|(seed, measures)| Some((*seed, measures[place]? / unit))).collect();
        Cell { text: spread(mean, sd, decimals(mean)), mean, by_seed }
    };
    Ok(counts(seen.frame, "line")?.into_iter().zip(means.into_iter().zip(sds)).map(cell).collect())
}

/// Text for Markdown as GitHub reads it, in a cell or a sentence: no markup, no HTML, one line. An underscore within a word is none.
#[must_use]
pub fn markdown(text: &str) -> String {
    let text: Vec<char> = plain(text).chars().collect();
    let is_within = |i: usize| {
        let is_word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric());
        i > 0 && is_word(text.get(i - 1)) && is_word(text.get(i + 1))
    };
    let mut escaped = String::with_capacity(text.len());
    for (i, &c) in text.iter().enumerate() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '_' if is_within(i) => escaped.push(c),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '$' => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A mean with its standard deviation, if there is one.
pub fn spread(mean: f64, sd: f64, decimals: usize) -> String {
    match (mean.is_finite(), sd.is_finite()) {
        (false, _) => "–".into(),
        (true, false) => format!("{mean:.decimals$}"),
        (true, true) => format!("{mean:.decimals$} ± {sd:.decimals$}"),
    }
}

/// A number to three digits.
#[must_use]
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

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    (0..rows.first().map_or(0, Vec::len)).map(width).collect()
}

/// Labels to the left, numbers to the right.
fn pad(row: &[String], widths: &[usize]) -> Vec<String> {
    let cell = |(column, (cell, &width)): (usize, (&String, &usize))| {
        if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    };
    row.iter().zip(widths).enumerate().map(cell).collect()
}
