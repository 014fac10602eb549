//! How long it takes to be as good as wanted.

use std::collections::HashMap;

use polars::prelude::*;

use super::ink::style::{BELOW, INK, LEADING, Look, MARGIN};
use super::ink::{Anchor, Canvas, Frame, Legend, Panel, Scale, names};
use super::{Data, Figure, counts, goal, group, looks, numbers, summary, table, texts};
use crate::catalog::Entry;
use crate::record::{Goal, Status};
use crate::stats;

/// A row for each line of trials, a mark for each trial: full where it reached the target, hollow where it ended before.
pub struct TimeToTarget;

impl Figure for TimeToTarget {
    fn entry(&self) -> Entry {
        Entry {
            name: "time-to-target",
            help: "training time until the target is reached on the test set",
            example: "nkfac-bench figure results/quickstart time-to-target",
        }
    }

    /// `line, label, arm, point, seed, goal, round, target, outcome, epoch, seconds, left_out`, a row for each trial. `outcome` is `reached`, `missed` or
    /// `diverged`; `epoch` and `seconds` are those at which the target was reached, or else the trial's last.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let lines = summary::leading(data)?;
        let (target, _) = target(data)?;
        let runs = runs(data, target)?;
        let found: Vec<Option<&Run>> = texts(&lines, "trial")?.iter().map(|trial| runs.get(trial)).collect();
        let frame = lines.select(["line", "label", "arm", "point", "left_out"])?.hstack(&[
            Column::new("seed".into(), found.iter().map(|run| run.map(|run| run.seed)).collect::<Vec<_>>()),
            Column::new("goal".into(), vec![data.goal.metric.name(); found.len()]),
            Column::new("round".into(), vec![data.round.to_string(); found.len()]),
            Column::new("target".into(), vec![target; found.len()]),
            Column::new("outcome".into(), found.iter().map(|run| run.map(|run| run.outcome)).collect::<Vec<_>>()),
            Column::new("epoch".into(), found.iter().map(|run| run.map(|run| run.epoch)).collect::<Vec<_>>()),
            Column::new("seconds".into(), found.iter().map(|run| run.map(|run| run.seconds)).collect::<Vec<_>>()),
        ])?;
        let columns =
            ["line", "label", "arm", "point", "seed", "goal", "round", "target", "outcome", "epoch", "seconds"];
        frame.select(columns.into_iter().chain(["left_out"]))?.sort(["line", "seed"], SortMultipleOptions::default())
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let target = super::numbers(numbers, "target")?.first().copied().unwrap_or(f64::NAN);
        let marks = marks(numbers)?;
        if target.is_nan() || marks.iter().all(|mark| mark.outcome == "diverged") {
            return Ok(Canvas::notice(width, "No trial has finished, so there is no time to a target to show."));
        }
        let mut lines: Vec<&[Mark]> = marks.chunk_by(|a, b| a.line == b.line).collect();
        lines.sort_by(|a, b| median(a).total_cmp(&median(b)));
        let goal = goal(numbers)?;
        let number = table::digits(goal.units * target);
        let caption =
            "filled: reached target; hollow →: did not; ×: diverged; bar: median over seeds, where half reached it";
        let legend = Legend::new(Vec::new(), summary::caption(numbers, Some(caption.to_owned()))?, width);
        let labels: Vec<String> = lines.iter().map(|line| line[0].label.clone()).collect();
        let (names, left) = names(&labels, width);
        let bottom = MARGIN + lines.len() as f64 * PITCH;
        let frame = Frame { left, top: MARGIN, right: width - 2.0 * MARGIN, bottom };
        let longest = marks.iter().map(|mark| mark.seconds).fold(0.0, f64::max);
        // Room for an arrow behind the last mark.
        let room = 1.0 + 10.0 / (frame.right - left);
        let panel = Panel::of_rows(frame, Scale::from_zero(&[room * longest]), lines.len());
        let mut canvas = Canvas::new(width, bottom + BELOW + legend.height());
        panel.x_axis(&mut canvas, &format!("training time to {} (s)", goal.reached(&number)));
        for (row, line) in lines.iter().enumerate() {
            draw_row(&mut canvas, &panel, row, line, &names[row]);
        }
        panel.border(&mut canvas);
        legend.draw(&mut canvas, (width / 2.0, bottom + BELOW));
        Ok(canvas)
    }
}

/// From one row to the next.
const PITCH: f64 = LEADING + 5.0;

/// What is to be reached on the test set, and whether the experiment says so. Without a target in its file it is what half of the lines end
/// beyond, rounded to a whole percent or three digits; NaN if nothing has finished.
pub fn target(data: &Data) -> PolarsResult<(f64, bool)> {
    if let Some(target) = data.sums.iter().filter_map(|sums| sums.target).max_by(|a, b| data.goal.order(*a, *b)) {
        return Ok((target, true));
    }
    let lines = summary::by_line(data, &group::lines(data, None)?)?;
    let mut last = numbers(&lines, "final")?;
    last.retain(|value| value.is_finite());
    Ok((data.goal.rounded(stats::median(&last)), false))
}

/// How far a trial came.
pub struct Run {
    pub seed: u64,
    /// `reached`, `missed` or `diverged`.
    pub outcome: &'static str,
    pub epoch: f64,
    pub seconds: f64,
}

/// Every trial's way to the target, by the trial's id. Between two evaluations the value is taken to change linearly; the first one
/// has none before it, so a target that it reaches is reached when it is made.
pub fn runs(data: &Data, target: f64) -> PolarsResult<HashMap<String, Run>> {
    let trials = &data.results.trials;
    let (ids, states) = (texts(trials, "trial")?, texts(trials, "status")?);
    let seeds = trials.column("seed")?.u64()?;
    let run = |(i, id): (usize, String)| {
        let test = data.sums[i].test.iter();
        let curve: Vec<[f64; 3]> = test.map(|(&epoch, &[seconds, value])| [f64::from(epoch), seconds, value]).collect();
        let (outcome, epoch, seconds) = if states[i] == Status::Finished.name() {
            reach(&curve, target, data.goal)
        } else {
            let [epoch, seconds, _] = curve.last().copied().unwrap_or_default();
            ("diverged", epoch, seconds)
        };
        (id, Run { seed: seeds.get(i).unwrap_or_default(), outcome, epoch, seconds })
    };
    Ok(ids.into_iter().enumerate().map(run).collect())
}

/// Where a curve of `[epoch, seconds, value]`, or of steps in place of epochs, first is at the target.
pub fn reach(curve: &[[f64; 3]], target: f64, goal: Goal) -> (&'static str, f64, f64) {
    let values: Vec<f64> = curve.iter().map(|[.., value]| *value).collect();
    let Some((first, share)) = goal.crossing(&values, target) else {
        let [epoch, seconds, _] = curve.last().copied().unwrap_or_default();
        return ("missed", epoch, seconds);
    };
    let ([epoch, seconds, _], [epoch_before, seconds_before, _]) = (curve[first], curve[first.saturating_sub(1)]);
    ("reached", epoch_before + share * (epoch - epoch_before), seconds_before + share * (seconds - seconds_before))
}

struct Mark {
    line: usize,
    look: Look,
    label: String,
    seed: usize,
    outcome: String,
    /// `epoch 1.4`, `1.4 × 250 steps`.
    epoch: String,
    seconds: f64,
}

fn marks(frame: &DataFrame) -> PolarsResult<Vec<Mark>> {
    let (lines, labels, outcomes) = (counts(frame, "line")?, texts(frame, "label")?, texts(frame, "outcome")?);
    let (seeds, epochs, seconds) = (numbers(frame, "seed")?, numbers(frame, "epoch")?, numbers(frame, "seconds")?);
    let (looks, rounds) = (looks(frame)?, texts(frame, "round")?);
    let mark = |(i, label): (usize, String)| Mark {
        line: lines[i],
        look: looks[i],
        label,
        seed: seeds[i] as usize,
        outcome: outcomes[i].clone(),
        epoch: match rounds[i].as_str() {
            "epoch" => format!("epoch {:.1}", epochs[i]),
            round => format!("{:.1} × {round}", epochs[i]),
        },
        seconds: seconds[i],
    };
    Ok(labels.into_iter().enumerate().map(mark).collect())
}

/// The median time of a line; a trial that ended before would have taken longer: it stands above all that reached the target.
fn median(line: &[Mark]) -> f64 {
    let time = |mark: &Mark| if mark.outcome == "reached" { mark.seconds } else { f64::INFINITY };
    stats::median(&line.iter().map(time).collect::<Vec<_>>())
}

fn draw_row(canvas: &mut Canvas, panel: &Panel, row: usize, line: &[Mark], name: &str) {
    let (y, look) = (panel.row(row), line[0].look);
    let (_, middle) = panel.at((0.0, y));
    canvas.text((panel.frame.left - 6.0, middle), name, Anchor::End);
    let median = median(line);
    if median.is_finite() {
        let x = panel.x_at(median);
        canvas.line(vec![(x, middle - 6.0), (x, middle + 6.0)], look.color, 1.6, &[]);
    }
    for mark in line {
        let at = panel.at((mark.seconds, y));
        match mark.outcome.as_str() {
            "reached" => look.mark(canvas, at),
            "missed" => {
                // On it goes: nobody knows how far.
                let (x, y) = at;
                canvas.line(vec![(x, y), (x + 9.0, y)], look.color, 0.9, &[]);
                canvas.line(vec![(x + 6.5, y - 2.0), (x + 9.0, y), (x + 6.5, y + 2.0)], look.color, 0.9, &[]);
                look.hollow_mark(canvas, at);
            }
            _ => canvas.colored_text(at, "×", Anchor::Middle, INK),
        }
        let Mark { seed, outcome, epoch, .. } = mark;
        let told = table::digits(mark.seconds);
        panel.hover(canvas, (mark.seconds, y), format!("{}, seed {seed}: {outcome} at {told} s, {epoch}", mark.label));
    }
}

#[cfg(test)]
mod tests {
    use super::reach;
    use crate::record::Goal;

    #[test]
    fn the_target_is_reached_between_two_evaluations_or_missed() {
        let curve = [[1.0, 10.0, 0.5], [2.0, 20.0, 0.7], [3.0, 30.0, 0.6]];
        let close = |(outcome, epoch, seconds): (&'static str, f64, f64)| {
            (outcome, (epoch * 1e6).round() / 1e6, (seconds * 1e6).round() / 1e6)
        };
        let more = Goal::ACCURACY;
        assert_eq!(close(reach(&curve, 0.6, more)), ("reached", 1.5, 15.0));
        assert_eq!(reach(&curve, 0.4, more), ("reached", 1.0, 10.0));
        assert_eq!(reach(&curve, 0.8, more), ("missed", 3.0, 30.0));
        assert_eq!(reach(&[], 0.8, more), ("missed", 0.0, 0.0));
        let falling = curve.map(|[epoch, seconds, value]| [epoch, seconds, 1.0 - value]);
        assert_eq!(close(reach(&falling, 0.4, Goal::LOSS)), ("reached", 1.5, 15.0));
        assert_eq!(reach(&falling, 0.2, Goal::LOSS), ("missed", 3.0, 30.0));
    }
}
