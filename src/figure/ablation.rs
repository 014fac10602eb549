//! What a swept key does to the goal and to speed.

use polars::prelude::*;

use super::ink::style::{BELOW, COLUMN, LEADING, LEFT, Look, MARGIN};
use super::ink::{Anchor, Canvas, Frame, Grid, Key, Legend, Panel, Scale, Swatch, names};
use super::{Data, Figure, counts, goal, group, looks, numbers, summary, table, texts, trial};
use crate::catalog::Entry;
use crate::record::Goal;

/// The final value of the goal on the test set and seconds an epoch against the swept key; a row for each line of trials where no numbers were swept.
pub struct Ablation;

impl Figure for Ablation {
    fn entry(&self) -> Entry {
        Entry {
            name: "ablation",
            help: "final test accuracy or loss and seconds per epoch against what was swept",
            example: "nkfac-bench figure results/quickstart ablation",
        }
    }

    /// `line, label, arm, point, axis, at, seeds, diverged, goal, round, final, final_sd, epoch_seconds, epoch_seconds_sd, left_out`. Where
    /// no numbers were swept, `axis` and `at` are null.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let axis = group::axis(data)?;
        let lines = summary::every(data, axis.as_deref())?;
        let mut frame = summary::by_line(data, &lines)?;
        let name = axis.as_deref().map(trial::short);
        frame.with_column(Column::new("axis".into(), vec![name; frame.height()]))?;
        frame.with_column(Column::new("round".into(), vec![data.round.to_string(); frame.height()]))?;
        frame.select([
            "line",
            "label",
            "arm",
            "point",
            "axis",
            "at",
            "seeds",
            "diverged",
            "goal",
            "round",
            "final",
            "final_sd",
            "epoch_seconds",
            "epoch_seconds_sd",
            "left_out",
        ])
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let (points, goal) = (points(numbers)?, goal(numbers)?);
        let measures = measures(goal, &texts(numbers, "round")?.first().cloned().unwrap_or_default());
        let axis = texts(numbers, "axis")?.into_iter().find(|axis| !axis.is_empty());
        let seeds: Vec<usize> = points.iter().map(|point| point.seeds).collect();
        let caption = summary::caption(numbers, summary::spread(&seeds))?;
        Ok(match axis {
            _ if points.iter().all(|point| point.value.0.is_nan()) => Canvas::notice(
                width,
                &format!("No trial has finished and told its {}, so there is nothing to compare.", goal.title),
            ),
            Some(axis) => against_numbers(&points, &measures, &axis, caption, width),
            None => by_line(&sorted(points, goal), &measures, caption, width),
        })
    }
}

/// What a panel shows.
struct Measure {
    name: String,
    /// How many of the axis' units make one.
    units: f64,
    /// The mean and the standard deviation.
    of: fn(&Point) -> (f64, f64),
    scale: fn(&[f64]) -> Scale,
}

/// The panels, from the left.
fn measures(goal: Goal, round: &str) -> [Measure; 2] {
    let name = goal.head(&format!("final test {}", goal.title));
    [
        Measure { name, units: goal.units, of: |point| point.value, scale: Scale::most },
        Measure {
            name: format!("time per {round} (s)"),
            units: 1.0,
            of: |point| point.seconds,
            scale: Scale::from_zero,
        },
    ]
}

/// A line of trials at one value of the axis.
struct Point {
    line: usize,
    look: Look,
    label: String,
    at: f64,
    seeds: usize,
    diverged: usize,
    /// Mean and standard deviation.
    value: (f64, f64),
    seconds: (f64, f64),
}

fn points(frame: &DataFrame) -> PolarsResult<Vec<Point>> {
    let (lines, labels, at) = (counts(frame, "line")?, texts(frame, "label")?, numbers(frame, "at")?);
    let (seeds, diverged) = (counts(frame, "seeds")?, counts(frame, "diverged")?);
    let (values, sds) = (numbers(frame, "final")?, numbers(frame, "final_sd")?);
    let (seconds, seconds_sd) = (numbers(frame, "epoch_seconds")?, numbers(frame, "epoch_seconds_sd")?);
    let looks = looks(frame)?;
    let point = |(i, label): (usize, String)| Point {
        line: lines[i],
        look: looks[i],
        label,
        at: at[i],
        seeds: seeds[i],
        diverged: diverged[i],
        value: (values[i], sds[i]),
        seconds: (seconds[i], seconds_sd[i]),
    };
    Ok(labels.into_iter().enumerate().map(point).collect())
}

/// One line for each arm against the values of the key; for an arm that has no such key a level to compare with.
fn against_numbers(points: &[Point], measures: &[Measure], axis: &str, caption: Option<String>, width: f64) -> Canvas {
    let lines: Vec<&[Point]> = points.chunk_by(|a, b| a.line == b.line).collect();
    let key = |line: &&[Point]| {
        let (seeds, diverged) = line.iter().fold((0, 0), |sums, point| (sums.0 + point.seeds, sums.1 + point.diverged));
        Key { swatch: Swatch::Line(line[0].look), text: summary::name(&line[0].label, seeds, diverged) }
    };
    let legend = Legend::new(lines.iter().map(key).collect(), caption, width);
    let grid = Grid::new(width, measures.len());
    let below = grid.below(measures.len());
    let mut canvas = Canvas::new(width, below + legend.height());
    for (column, measure) in measures.iter().enumerate() {
        let at: Vec<f64> = points.iter().map(|point| point.at).filter(|at| at.is_finite()).collect();
        let panel = Panel { frame: grid.frame(column), x: Scale::at(&at), y: measure.scale_for(points) };
        panel.axes(&mut canvas, axis, &measure.name);
        for line in &lines {
            let look = line[0].look;
            if let [point] = line
                && point.at.is_nan()
            {
                let (mean, _) = measure.shown(point);
                panel.line(&mut canvas, &[(f64::MIN, mean), (f64::MAX, mean)], &look);
                panel.tell_beyond(&mut canvas, (f64::MAX, mean), &table::digits(mean));
            }
            let means: Vec<(f64, f64)> = line.iter().map(|point| (point.at, measure.shown(point).0)).collect();
            panel.line(&mut canvas, &means, &look);
            for point in *line {
                let (mean, sd) = measure.shown(point);
                panel.whisker(&mut canvas, (point.at, mean - sd), (point.at, mean + sd), &look);
                panel.mark(&mut canvas, (point.at, mean), &look);
                panel.tell_beyond(&mut canvas, (point.at, mean), &table::digits(mean));
                panel.hover(&mut canvas, (point.at, mean), measure.tell(point));
            }
        }
    }
    legend.draw(&mut canvas, (width / 2.0, below));
    canvas
}

/// The best first; what never finished last.
fn sorted(mut points: Vec<Point>, goal: Goal) -> Vec<Point> {
    points.sort_by(|a, b| goal.order(b.value.0, a.value.0));
    points
}

/// A row for each line of trials, its name to the left.
fn by_line(points: &[Point], measures: &[Measure], caption: Option<String>, page: f64) -> Canvas {
    let labels: Vec<String> =
        points.iter().map(|point| summary::name(&point.label, point.seeds, point.diverged)).collect();
    let (labels, left) = names(&labels, page);
    // Where there is no room beside each other, the panels are below each other.
    let stacked = page <= COLUMN;
    let width = if stacked { page - left - 2.0 * MARGIN } else { (page - left - LEFT / 2.0 - 2.0 * MARGIN) / 2.0 };
    let height = points.len() as f64 * PITCH;
    let bottom = MARGIN + height + if stacked { height + BELOW + MARGIN } else { 0.0 };
    let legend = Legend::new(Vec::new(), caption, page);
    let mut canvas = Canvas::new(page, bottom + BELOW + legend.height());
    for (column, measure) in measures.iter().enumerate() {
        let (right, down) = if stacked { (0.0, height + BELOW + MARGIN) } else { (width + LEFT / 2.0, 0.0) };
        let (left, top) = (left + column as f64 * right, MARGIN + column as f64 * down);
        let frame = Frame { left, top, right: left + width, bottom: top + height };
        let panel = Panel::of_rows(frame, measure.scale_for(points), points.len());
        panel.x_axis(&mut canvas, &measure.name);
        for (row, point) in points.iter().enumerate() {
            let look = point.look;
            let (y, (mean, sd)) = (panel.row(row), measure.shown(point));
            panel.whisker(&mut canvas, (mean - sd, y), (mean + sd, y), &look);
            panel.mark(&mut canvas, (mean, y), &look);
            panel.tell_beyond(&mut canvas, (mean, y), &table::digits(mean));
            panel.hover(&mut canvas, (mean, y), measure.tell(point));
            if column == 0 || stacked {
                canvas.text((left - 6.0, panel.at((mean, y)).1), &labels[row], Anchor::End);
            }
        }
        panel.border(&mut canvas);
    }
    legend.draw(&mut canvas, (page / 2.0, bottom + BELOW));
    canvas
}

/// From one row to the next.
const PITCH: f64 = LEADING + 3.0;

impl Measure {
    /// The mean and the standard deviation, in the axis' unit.
    fn shown(&self, point: &Point) -> (f64, f64) {
        let (mean, sd) = (self.of)(point);
        (self.units * mean, self.units * sd)
    }

    fn tell(&self, point: &Point) -> String {
        let (mean, sd) = self.shown(point);
        format!("{}: {} {} (n = {})", point.label, self.name, table::spread(mean, sd, 3), point.seeds)
    }

    /// An axis for means and what is one standard deviation from them.
    fn scale_for(&self, points: &[Point]) -> Scale {
        let values = points.iter().map(|point| self.shown(point)).flat_map(|(mean, sd)| [mean - sd, mean, mean + sd]);
        (self.scale)(&values.collect::<Vec<_>>())
    }
}
