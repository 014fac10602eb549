//! A trial in one row, and a line in one row.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use polars::prelude::*;

use super::gather::{self, Lines, Member};
use super::sums::MEASURES;
use super::{Data, Sums, counts, group, numbers, texts};
use crate::record::{Beside, Status};
use crate::stats;

/// The most lines that a figure can show and a reader can tell apart.
pub const MOST_LINES: usize = 16;

/// Whether what is left to the best value is drawn on a logarithmic axis in place of the values of these lines: where all accuracies are high,
/// they differ by more in the error's logarithm than on a page.
pub fn shows_error(data: &Data, lines: &DataFrame) -> PolarsResult<bool> {
    let finals = numbers(lines, "final")?;
    let mut told = finals.iter().filter(|value| !value.is_nan()).peekable();
    let high = |from| told.peek().is_some() && told.all(|value| data.goal.reaches(*value, from));
    Ok(data.view.error || data.goal.gap.from.is_some_and(high))
}

/// The lines to draw, counted from 0 again, and in the column `left_out` a word on the others. Where several arms were run at several points
/// of a sweep, each arm is drawn at its best one, unless all are asked for; of more than [`MOST_LINES`] those with the best mean final value.
pub fn leading(data: &Data) -> PolarsResult<DataFrame> {
    let lines = group::lines(data, None)?;
    let best = if data.view.all { None } else { best_points(data, &lines)? };
    kept(data, lines, best)
}

/// The same with every point of the sweep, of which `axis` makes no lines of its own.
pub fn every(data: &Data, axis: Option<&str>) -> PolarsResult<DataFrame> {
    kept(data, group::lines(data, axis)?, None)
}

fn kept(data: &Data, mut lines: DataFrame, best: Option<Best>) -> PolarsResult<DataFrame> {
    let ranked = ranked(data, &lines)?;
    let count = ranked.len();
    let (mut kept, mut left_out) = (ranked, Vec::new());
    if let Some((best, chooser)) = best {
        kept.retain(|line| best.contains(line));
        left_out.push(format!("each arm at its best point by {chooser}, {} of {count} lines", kept.len()));
    }
    if kept.len() > MOST_LINES {
        let (goal, count) = (data.goal.title, kept.len());
        left_out.push(format!("the {MOST_LINES} of {count} lines with the best final {goal}; `table.csv` has all"));
        kept.truncate(MOST_LINES);
    }
    let left_out = (!left_out.is_empty()).then(|| left_out.join("; "));
    kept.sort_unstable();
    let places: Vec<Option<u32>> =
        counts(&lines, "line")?.iter().map(|line| kept.binary_search(line).ok().map(|place| place as u32)).collect();
    let kept = BooleanChunked::from_iter(places.iter().map(|place| Some(place.is_some())));
    lines.with_column(Column::new("line".into(), places))?;
    lines.with_column(Column::new("left_out".into(), vec![left_out; kept.len()]))?;
    lines.filter(&kept)
}

/// The lines, those with the best final value first.
fn ranked(data: &Data, lines: &DataFrame) -> PolarsResult<Vec<usize>> {
    let all = by_line(data, lines)?;
    let mut best: BTreeMap<usize, f64> = BTreeMap::new();
    for (line, value) in counts(&all, "line")?.into_iter().zip(numbers(&all, "final")?) {
        let best = best.entry(line).or_insert(f64::NAN);
        if data.goal.order(*best, value).is_lt() {
            *best = value;
        }
    }
    let mut ranked: Vec<(usize, f64)> = best.into_iter().collect();
    ranked.sort_by(|a, b| data.goal.order(b.1, a.1));
    Ok(ranked.into_iter().map(|(line, _)| line).collect())
}

/// The lines that were chosen, and by what.
type Best = (BTreeSet<usize>, String);

/// Each arm's best line, and by what it was chosen: the goal on the validation set after the last epoch, or where there is none on the test
/// set. `None` if there is nothing to choose: one arm, whose sweep is the question then, or one line of each.
fn best_points(data: &Data, lines: &DataFrame) -> PolarsResult<Option<Best>> {
    let arms: BTreeMap<usize, usize> = counts(lines, "line")?.into_iter().zip(counts(lines, "arm")?).collect();
    let different: BTreeSet<usize> = arms.values().copied().collect();
    if different.len() < 2 || different.len() == arms.len() {
        return Ok(None);
    }
    let validated = data.is_validated();
    let of = Lines::new(lines)?;
    let mut scores: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for member in of.members(data)?.into_iter().filter(|member| member.finished) {
        let sums = &data.sums[member.place];
        let score = if validated { sums.last_validation() } else { sums.measures[0] };
        scores.entry(member.line as usize).or_default().push(score.unwrap_or(f64::NAN));
    }
    let mut best: BTreeMap<usize, (usize, f64)> = BTreeMap::new();
    for (&line, &arm) in &arms {
        let score = scores.get(&line).map_or(f64::NAN, |scores| stats::mean(scores));
        let best = best.entry(arm).or_insert((line, score));
        if data.goal.order(best.1, score).is_lt() {
            *best = (line, score);
        }
    }
    let (title, bias) = (data.goal.title, data.goal.bias());
    let chooser =
        if validated { format!("validation {title}") } else { format!("test {title}, which biases it {bias}") };
    Ok(Some((best.into_values().map(|(line, _)| line).collect(), chooser)))
}

/// The labels of the lines that are drawn.
pub fn drawn(data: &Data) -> PolarsResult<BTreeSet<String>> {
    Ok(texts(&leading(data)?, "label")?.into_iter().collect())
}

/// The trials of the lines that are drawn, if that is not all of them.
pub fn chosen(data: &Data) -> PolarsResult<Option<HashSet<String>>> {
    let mut chosen = HashSet::new();
    let mut any = false;
    for (_, part) in data.problems() {
        let lines = group::lines(part, None)?;
        let best = if part.view.all { None } else { best_points(part, &lines)? };
        any |= best.is_some();
        let kept = |line: &usize| best.as_ref().is_none_or(|(best, _)| best.contains(line));
        let trials = texts(&lines, "trial")?.into_iter().zip(counts(&lines, "line")?);
        chosen.extend(trials.filter(|(_, line)| kept(line)).map(|(trial, _)| trial));
    }
    Ok(any.then_some(chosen))
}

/// Seconds of a step's forward and backward pass, the mean over all finished trials: what an optimizer adds is measured against the same for every
/// arm, since passes differ between arms by nothing but noise. NaN where no phases were told.
pub fn base(data: &Data) -> PolarsResult<f64> {
    let states = data.results.trials.column("status")?.str()?;
    let finished = states.iter().zip(&data.sums).filter(|(state, _)| *state == Some(Status::Finished.name()));
    Ok(stats::mean(&finished.filter_map(|(_, sums)| sums.pass()).collect::<Vec<_>>()))
}

/// One row for each line (and `at`) of `lines`: `line, label, arm, point, at, seeds, diverged, goal`, and for each of [`MEASURES`] the mean over
/// finished trials and the standard deviation `…_sd`, which one trial has not, and the same of the metrics that go with the goal; `left_out` of
/// `lines` if there.
pub fn by_line(data: &Data, lines: &DataFrame) -> PolarsResult<DataFrame> {
    let all = Lines::new(lines)?;
    let members = all.members(data)?;
    let groups: Vec<&[Member]> = gather::groups(&members).collect();
    let column = |of: &dyn Fn(&[Member]) -> u32| groups.iter().map(|group| of(group)).collect::<Vec<u32>>();
    let finished = |group: &[Member]| group.iter().filter(|trial| trial.finished).count() as u32;
    let mut columns = vec![
        Column::new("line".into(), column(&|group| group[0].line)),
        Column::new("label".into(), groups.iter().map(|group| group[0].label).collect::<Vec<_>>()),
        Column::new("arm".into(), column(&|group| group[0].arm)),
        Column::new("point".into(), column(&|group| group[0].point)),
        Column::new("at".into(), groups.iter().map(|group| group[0].at).collect::<Vec<_>>()),
        Column::new("seeds".into(), column(&finished)),
        Column::new("diverged".into(), column(&|group| group.len() as u32 - finished(group))),
        Column::new("goal".into(), vec![data.goal.metric.name(); groups.len()]),
    ];
    let mut spread = |measure: &str, of: &dyn Fn(&Sums) -> Option<f64>| {
        let of_finished = |group: &&[Member]| -> Vec<f64> {
            group.iter().filter(|trial| trial.finished).filter_map(|trial| of(&data.sums[trial.place])).collect()
        };
        let values: Vec<Vec<f64>> = groups.iter().map(of_finished).collect();
        let spread = |of: fn(&[f64]) -> Option<f64>| values.iter().map(|values| of(values)).collect::<Vec<_>>();
        columns.push(Column::new(measure.into(), spread(gather::mean)));
        columns.push(Column::new(format!("{measure}_sd").into(), spread(gather::deviation)));
    };
    for (i, measure) in MEASURES.into_iter().enumerate() {
        spread(measure, &|sums| sums.measures[i]);
    }
    for Beside { metric, .. } in beside(data) {
        spread(&format!("final_{metric}"), &|sums| sums.beside(metric));
    }
    if lines.schema().contains("left_out") {
        columns.push(Column::new("left_out".into(), vec![left_out(lines)?; groups.len()]));
    }
    DataFrame::new(groups.len(), columns)
}

/// The metrics that go with the goal, as far as trials recorded them.
pub fn beside(data: &Data) -> impl Iterator<Item = Beside> {
    data.goal.beside.iter().copied().filter(|of| data.sums.iter().any(|sums| sums.beside(of.metric).is_some()))
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
    Some(format!("mean ± s.d. over {}", over(seeds)?))
}

/// `3 seeds`, or from the least to the most where lines differ; `None` if no line has more than one.
pub fn over(seeds: &[usize]) -> Option<String> {
    let most = seeds.iter().copied().max().filter(|&most| most > 1)?;
    Some(format!("{} seeds", range(seeds, most)))
}

fn range(seeds: &[usize], most: usize) -> String {
    let least = seeds.iter().copied().filter(|&seeds| seeds > 0).min().unwrap_or(most);
    if least == most { most.to_string() } else { format!("{least}–{most}") }
}

/// What goes below a figure: what its spread is, and which lines it leaves out.
pub fn caption(frame: &DataFrame, spread: Option<String>) -> PolarsResult<Option<String>> {
    let parts: Vec<String> = [spread, left_out(frame)?].into_iter().flatten().collect();
    Ok((!parts.is_empty()).then(|| parts.join("; ")))
}

/// Which lines figures leave out, in the first problem in which they do.
pub fn undrawn(data: &Data) -> PolarsResult<Option<String>> {
    for (_, part) in data.problems() {
        if let Some(left_out) = left_out(&leading(part)?)? {
            return Ok(Some(left_out));
        }
    }
    Ok(None)
}

/// Which lines were left out.
pub fn left_out(frame: &DataFrame) -> PolarsResult<Option<String>> {
    Ok(frame.column("left_out")?.str()?.iter().next().flatten().map(str::to_owned))
}
