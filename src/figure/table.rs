//! Each line of trials in numbers: for a terminal, for Markdown and LaTeX, and as CSV for whatever else.

use std::collections::BTreeMap;

use super::gather::Lines;
use super::sums::MEASURES;
use super::{Data, Sums, counts, group, guard, numbers, summary, texts};
use crate::record::{Beside, Goal};
use crate::stats::{self, FEWEST, Paired, Verdict};
use crate::text::{self, plain};
use polars::prelude::{DataFrame, PolarsResult};

/// One row for each line of trials: final and best value of the goal on the test set, seconds an epoch and peak memory, as means over finished
/// trials with standard deviations, and how many trials finished and diverged.
#[derive(Debug)]
pub struct Table {
    /// As a program wants it: `label, seeds, diverged`, means (`final_accuracy` or `final_loss`, …), standard deviations as `…_sd`, the 95 % interval of the
    /// final value as `…_low` and `…_high`, what a step adds to forward and backward pass as a share of their mean over all trials (`overhead`), and the problem: `dataset, model`.
    frame: DataFrame,
    /// As a reader wants it, labels first.
    pub columns: Vec<Column>,
    /// Whether the best epochs were chosen on a validation set; otherwise on the test set, which flatters.
    pub validated: bool,
    /// What the trials are judged by.
    pub goal: Goal,
    /// What the dagger behind times stands for, if there is one.
    pub disturbed: Option<String>,
}

/// In place of a number that there is none of; a column of nothing else is left out.
const NOTHING: &str = "–";

/// Behind the times of a line some of whose trials did not have the machine to themselves.
const DISTURBED: char = '†';

/// The head of the column with the interval of the final value.
pub(super) const INTERVAL: &str = "95 % interval";

/// A column as a reader wants it.
#[derive(Debug)]
pub struct Column {
    /// Its name for programs, that of the CSV where it has one there.
    pub key: String,
    pub head: String,
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
    fn new(key: &str, head: &str, best: Option<Best>, cells: Vec<Cell>) -> Self {
        Self { key: key.to_owned(), head: head.to_owned(), best, cells }
    }

    /// The place of the best cell, if there is one. So few seeds that nothing can be told from them are no evidence: where they lead, nothing is called
    /// the best.
    #[must_use]
    pub fn best(&self) -> Option<usize> {
        self.leading().filter(|&place| self.cells[place].by_seed.len() >= FEWEST)
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

    /// Whether the differences to the best, paired by seed, leave open which of both is better (95 %), be it for want of pairs.
    #[must_use]
    pub fn is_near(&self, row: usize) -> bool {
        let Some(best) = self.best().filter(|&best| best != row) else { return false };
        let (best, own) = (&self.cells[best].by_seed, &self.cells[row].by_seed);
        let differences: Vec<f64> = own.iter().filter_map(|(seed, value)| Some(value - best.get(seed)?)).collect();
        let is_open = matches!(Paired::new(&differences).verdict(), Verdict::Open { .. } | Verdict::TooFew);
        is_open && self.cells[row].mean.is_finite()
    }
}

impl Table {
    /// Sums up all results of a problem.
    pub fn new(data: &Data) -> PolarsResult<Self> {
        let lines = group::lines(data, None)?;
        let base = summary::base(data)?;
        let frame = summed_up(data, &lines, base)?;
        let seen = Seen { frame: &frame, by_line: by_seed(data, &lines)? };
        let mut columns = columns(data, &seen, base)?;
        let disturbed = mark(&mut columns, &guard::disturbed(data)?);
        let frame = for_programs(&frame, data.goal)?;
        Ok(Self { frame, columns, validated: data.is_validated(), goal: data.goal, disturbed })
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
        lines.extend(self.disturbed.as_ref().map(|note| format!("\n{}\n", markdown(note))));
        lines.concat()
    }

    /// The head and every row as a reader wants them.
    pub(super) fn texts(&self, escape: impl Fn(&str) -> String) -> Vec<Vec<String>> {
        let head = self.columns.iter().map(|column| escape(&column.head)).collect();
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

/// The lines summed up, with the interval of the final value, the problem, and what a step adds as a share of `base`.
fn summed_up(data: &Data, lines: &DataFrame, base: f64) -> PolarsResult<DataFrame> {
    let mut frame = summary::by_line(data, lines)?;
    let intervals = intervals(data, lines)?;
    let places = counts(&frame, "line")?;
    for (name, end) in [("final_low", 0), ("final_high", 1)] {
        let values: Vec<Option<f64>> =
            places.iter().map(|line| intervals.get(line).copied().flatten().map(|ends| ends[end])).collect();
        frame.with_column(polars::prelude::Column::new(name.into(), values))?;
    }
    for name in ["dataset", "model"] {
        let problem = texts(&data.results.trials, name)?.into_iter().next().unwrap_or_default();
        frame.with_column(polars::prelude::Column::new(name.into(), vec![problem; places.len()]))?;
    }
    for (name, of) in [("overhead", "added_step_seconds"), ("overhead_sd", "added_step_seconds_sd")] {
        let added = numbers(&frame, of)?.into_iter();
        let shares: Vec<Option<f64>> =
            added.map(|added| Some(added / base).filter(|share| share.is_finite())).collect();
        frame.with_column(polars::prelude::Column::new(name.into(), shares))?;
    }
    Ok(frame)
}

/// The columns as a reader wants them; 100 % of what a step adds is `base`.
fn columns(data: &Data, seen: &Seen<'_>, base: f64) -> PolarsResult<Vec<Column>> {
    let goal = data.goal;
    let [last, best] = ["final", "best"].map(|which| goal.head(&format!("{which} {}", goal.short)));
    let best = match best.strip_suffix(')') {
        _ if !data.is_validated() => best,
        Some(unit) => format!("{unit}, by val.)"),
        None => format!("{best} (by val.)"),
    };
    let labels = texts(seen.frame, "label")?.into_iter().map(Cell::text).collect();
    let mut columns = vec![
        Column::new("label", "arm", None, labels),
        of_goal(seen, goal, &last, "final")?,
        interval_column(seen.frame, goal)?,
        of_goal(seen, goal, &best, "best")?,
    ];
    for Beside { metric, head, decimals } in summary::beside(data) {
        let key = format!("final_{metric}");
        let of = |sums: &Sums| sums.beside(metric);
        columns.push(Column::new(&key, head, Some(Best::Least), cells(seen, &key, 1.0, &|_| decimals, &of)?));
    }
    let share = |percent: f64| usize::from(percent < 10.0);
    let added = cells(seen, "added_step_seconds", base / 100.0, &share, &measure("added_step_seconds"))?;
    let counted = |name| PolarsResult::Ok(counts(seen.frame, name)?.into_iter().map(Cell::count).collect());
    columns.extend([
        sizes(seen, &format!("{} (s)", data.round), "epoch_seconds", 1.0)?,
        Column::new("overhead", "added (%)", Some(Best::Least), added),
        sizes(seen, "peak memory (MiB)", "peak_rss_bytes", f64::from(1 << 20))?,
        residual_column(seen)?,
        Column::new("seeds", "seeds", None, counted("seeds")?),
        Column::new("diverged", "diverged", None, counted("diverged")?),
    ]);
    columns.retain(|column| column.cells.is_empty() || column.cells.iter().any(|cell| cell.text != NOTHING));
    Ok(columns)
}

/// Without what only figures need, and without a residual where there is none; `final` and `best` named after what they are of.
fn for_programs(frame: &DataFrame, goal: Goal) -> PolarsResult<DataFrame> {
    let mut frame = frame.drop_many(["line", "arm", "point", "at", "goal"]);
    if frame.column("residual")?.null_count() == frame.height() {
        frame = frame.drop_many(["residual", "residual_sd"]);
    }
    for name in ["final", "final_sd", "final_low", "final_high", "best", "best_sd"] {
        let (which, end) =
            name.split_once('_').map_or((name, String::new()), |(which, end)| (which, format!("_{end}")));
        frame.rename(name, (goal.key(which) + &end).into())?;
    }
    Ok(frame)
}

/// Marks the times of disturbed lines, and says what the mark is.
fn mark(columns: &mut [Column], disturbed: &[(String, usize, usize)]) -> Option<String> {
    let (labels, times) = columns.split_first_mut()?;
    for (row, _) in
        labels.cells.iter().enumerate().filter(|(_, cell)| disturbed.iter().any(|(label, ..)| *label == cell.text))
    {
        for column in times.iter_mut().filter(|column| TIMES.contains(&column.key.as_str())) {
            column.cells[row].text.push(DISTURBED);
        }
    }
    let is_all =
        disturbed.len() == labels.cells.len() && disturbed.iter().all(|(_, disturbed, trials)| disturbed == trials);
    let of = |(label, disturbed, trials): &(String, usize, usize)| format!("{label} ({disturbed} of {trials})");
    let list = if is_all { "every trial".to_owned() } else { disturbed.iter().map(of).collect::<Vec<_>>().join(", ") };
    (!disturbed.is_empty()).then(|| format!("{DISTURBED} times disturbed: {list}; `nkfac-bench status` says by what"))
}

/// The keys of columns that are times.
const TIMES: [&str; 2] = ["epoch_seconds", "overhead"];

/// The 95 % interval of the final value of each line, of its finished trials.
fn intervals(data: &Data, lines: &DataFrame) -> PolarsResult<BTreeMap<usize, Option<[f64; 2]>>> {
    let lines = Lines::new(lines)?;
    let mut members = lines.members(data)?;
    members.retain(|trial| trial.finished);
    // A resample draws by place, so the order counts.
    members.sort_by_key(|trial| (trial.line, trial.seed));
    let mut values: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for trial in members {
        let value = data.sums[trial.place].measures[0].unwrap_or(f64::NAN);
        values.entry(trial.line as usize).or_default().push(value);
    }
    let interval = |values: Vec<f64>| {
        let interval = stats::interval(&values)?.within(data.goal.range);
        Some([interval.low, interval.high])
    };
    Ok(values.into_iter().map(|(line, values)| (line, interval(values))).collect())
}

fn interval_column(frame: &DataFrame, goal: Goal) -> PolarsResult<Column> {
    let (low, high) = (numbers(frame, "final_low")?, numbers(frame, "final_high")?);
    let cell = |(low, high): (f64, f64)| {
        let text = if low.is_nan() { NOTHING.into() } else { format!("{} to {}", goal.number(low), goal.number(high)) };
        Cell { text, mean: goal.units * low, by_seed: BTreeMap::new() }
    };
    Ok(Column::new("interval", INTERVAL, None, low.into_iter().zip(high).map(cell).collect()))
}

fn residual_column(seen: &Seen<'_>) -> PolarsResult<Column> {
    let mut cells = cells(seen, "residual", 1.0, &|_| 0, &measure("residual"))?;
    for cell in cells.iter_mut().filter(|cell| cell.mean.is_finite()) {
        cell.text = format!("{:.1e}", cell.mean);
    }
    Ok(Column::new("residual", "residual, last round", Some(Best::Least), cells))
}

/// Lines summed up, and of each line, by its number, the finished trials by seed.
struct Seen<'a> {
    frame: &'a DataFrame,
    by_line: BTreeMap<usize, BTreeMap<u64, &'a Sums>>,
}

fn by_seed<'a>(data: &'a Data, lines: &DataFrame) -> PolarsResult<BTreeMap<usize, BTreeMap<u64, &'a Sums>>> {
    let mut by_line: BTreeMap<usize, BTreeMap<u64, &Sums>> = BTreeMap::new();
    for trial in Lines::new(lines)?.members(data)?.iter().filter(|trial| trial.finished) {
        by_line.entry(trial.line as usize).or_default().insert(trial.seed, &data.sums[trial.place]);
    }
    Ok(by_line)
}

/// One of [`MEASURES`].
fn measure(name: &str) -> impl Fn(&Sums) -> Option<f64> {
    let place = MEASURES.iter().position(|known| *known == name).unwrap_or_default();
    move |sums| sums.measures[place]
}

/// Means of the goal's values with their standard deviations.
fn of_goal(seen: &Seen<'_>, goal: Goal, head: &str, which: &str) -> PolarsResult<Column> {
    let best = if goal.more { Best::Most } else { Best::Least };
    let cells = cells(seen, which, 1.0 / goal.units, &|_| goal.decimals, &measure(which))?;
    Ok(Column::new(&goal.key(which), head, Some(best), cells))
}

/// Means with their standard deviations in a `unit`, to three digits.
fn sizes(seen: &Seen<'_>, head: &str, name: &str, unit: f64) -> PolarsResult<Column> {
    Ok(Column::new(name, head, Some(Best::Least), cells(seen, name, unit, &decimals, &measure(name))?))
}

/// The means in the column `name` in a `unit`, with what each seed has of it.
fn cells(
    seen: &Seen<'_>,
    name: &str,
    unit: f64,
    decimals: &dyn Fn(f64) -> usize,
    of: &dyn Fn(&Sums) -> Option<f64>,
) -> PolarsResult<Vec<Cell>> {
    let (means, sds) = (numbers(seen.frame, name)?, numbers(seen.frame, &format!("{name}_sd"))?);
    let cell = |(line, (mean, sd)): (usize, (f64, f64))| {
        let (mean, sd) = (mean / unit, sd / unit);
        let trials = seen.by_line.get(&line).into_iter().flatten();
        let by_seed = trials.filter_map(|(seed, sums)| Some((*seed, of(sums)? / unit))).collect();
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
        (false, _) => NOTHING.into(),
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

pub(super) fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let width = |column: usize| rows.iter().map(|row| text::width(&row[column])).max().unwrap_or_default();
    (0..rows.first().map_or(0, Vec::len)).map(width).collect()
}

/// Labels to the left, numbers to the right.
pub(super) fn pad(row: &[String], widths: &[usize]) -> Vec<String> {
    let cell = |(column, (cell, &width)): (usize, (&String, &usize))| {
        if column == 0 { text::left(cell, width) } else { text::right(cell, width) }
    };
    row.iter().zip(widths).enumerate().map(cell).collect()
}
