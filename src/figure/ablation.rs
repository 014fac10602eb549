//! What a swept key does to accuracy and speed.

use polars::prelude::*;

use super::ink::style::{BELOW, COLUMN, LEADING, LEFT, Look, MARGIN};
use super::ink::{Anchor, Canvas, Frame, Grid, Key, Legend, Panel, Scale, Swatch, names};
use super::{Data, Figure, counts, group, numbers, summary, table, texts};
use crate::catalog::Entry;

/// Final test accuracy and seconds an epoch against the swept key; a row for each line of trials where no numbers were swept.
pub struct Ablation;

impl Figure for Ablation {
    fn entry(&self) -> Entry {
        Entry {
            name: "ablation",
            help: "final test accuracy and seconds per epoch against what was swept",
            example: "nkfac-bench figure results/quickstart ablation",
        }
    }

    /// `line, label, axis, at, seeds, diverged, final_accuracy, final_accuracy_sd, epoch_seconds, epoch_seconds_sd, omitted`. Where
    /// no numbers were swept, `axis` and `at` are null.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let axis = group::axis(data)?;
        let lines = summary::leading(data, axis.as_deref())?;
        let mut frame = summary::by_line(data, &lines)?;
        let name = axis.as_deref().map(group::short);
        frame.with_column(Column::new("axis".into(), vec![name; frame.height()]))?;
        frame.select([
            "line",
            "label",
            "axis",
            "at",
            "seeds",
            "diverged",
            "final_accuracy",
            "final_accuracy_sd",
            "epoch_seconds",
            "epoch_seconds_sd",
            "omitted",
        ])
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let points = points(numbers)?;
        let axis = texts(numbers, "axis")?.into_iter().find(|axis| !axis.is_empty());
        let seeds: Vec<usize> = points.iter().map(|point| point.seeds).collect();
        let caption = summary::caption(numbers, summary::spread(&seeds))?;
        Ok(match axis {
            _ if points.iter().all(|point| point.accuracy.0.is_nan()) => {
                Canvas::notice(width, "No trial has finished and told its accuracy, so there is nothing to compare.")
            }
            Some(axis) => against_numbers(&points, &axis, caption, width),
            None => by_line(&points, caption, width),
        })
    }
}

/// What a panel shows.
struct Measure {
    name: &'static str,
    /// The mean and the standard deviation, in the axis' unit.
    of: fn(&Point) -> (f64, f64),
    scale: fn(&[f64]) -> Scale,
}

/// The panels, from the left.
const MEASURES: [Measure; 2] = [
    Measure {
        name: "final test accuracy (%)",
        of: |point| (100.0 * point.accuracy.0, 100.0 * point.accuracy.1),
        scale: Scale::around,
    },
    Measure { name: "time per epoch (s)", of: |point| point.seconds, scale: Scale::from_zero },
];

/// A line of trials at one value of the axis.
struct Point {
    line: usize,
    label: String,
    at: f64,
    seeds: usize,
    diverged: usize,
    /// Mean and standard deviation.
    accuracy: (f64, f64),
    seconds: (f64, f64),
}

fn points(frame: &DataFrame) -> PolarsResult<Vec<Point>> {
    let (lines, labels, at) = (counts(frame, "line")?, texts(frame, "label")?, numbers(frame, "at")?);
    let (seeds, diverged) = (counts(frame, "seeds")?, counts(frame, "diverged")?);
    let (accuracy, accuracy_sd) = (numbers(frame, "final_accuracy")?, numbers(frame, "final_accuracy_sd")?);
    let (seconds, seconds_sd) = (numbers(frame, "epoch_seconds")?, numbers(frame, "epoch_seconds_sd")?);
    let point = |(i, label): (usize, String)| Point {
        line: lines[i],
        label,
        at: at[i],
        seeds: seeds[i],
        diverged: diverged[i],
        accuracy: (accuracy[i], accuracy_sd[i]),
        seconds: (seconds[i], seconds_sd[i]),
    };
    Ok(labels.into_iter().enumerate().map(point).collect())
}

/// One line for each arm against the values of the key; for an arm that has no such key a level to compare with.
fn against_numbers(points: &[Point], axis: &str, caption: Option<String>, width: f64) -> Canvas {
    let lines: Vec<&[Point]> = points.chunk_by(|a, b| a.line == b.line).collect();
    let key = |line: &&[Point]| {
        let (seeds, diverged) = line.iter().fold((0, 0), |sums, point| (sums.0 + point.seeds, sums.1 + point.diverged));
        Key { swatch: Swatch::Line(Look::new(line[0].line)), text: summary::name(&line[0].label, seeds, diverged) }
    };
    let legend = Legend::new(lines.iter().map(key).collect(), caption, width);
    let grid = Grid::new(width, MEASURES.len());
    let below = grid.below(MEASURES.len());
    let mut canvas = Canvas::new(width, below + legend.height());
    for (column, measure) in MEASURES.iter().enumerate() {
        let at: Vec<f64> = points.iter().map(|point| point.at).filter(|at| at.is_finite()).collect();
        let panel = Panel { frame: grid.frame(column), x: Scale::at(&at), y: measure.scale_for(points) };
        panel.axes(&mut canvas, axis, measure.name);
        for line in &lines {
            let look = Look::new(line[0].line);
            if let [point] = line
                && point.at.is_nan()
            {
                let (mean, _) = (measure.of)(point);
                panel.line(&mut canvas, &[(f64::MIN, mean), (f64::MAX, mean)], &look);
            }
            let means: Vec<(f64, f64)> = line.iter().map(|point| (point.at, (measure.of)(point).0)).collect();
            panel.line(&mut canvas, &means, &look);
            for point in *line {
                let (mean, sd) = (measure.of)(point);
                panel.whisker(&mut canvas, (point.at, mean - sd), (point.at, mean + sd), &look);
                panel.mark(&mut canvas, (point.at, mean), &look);
                panel.hover(&mut canvas, (point.at, mean), measure.tell(point));
            }
        }
    }
    legend.draw(&mut canvas, (width / 2.0, below));
    canvas
}

/// A row for each line of trials, its name to the left.
fn by_line(points: &[Point], caption: Option<String>, page: f64) -> Canvas {
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
    for (column, measure) in MEASURES.iter().enumerate() {
        let (right, down) = if stacked { (0.0, height + BELOW + MARGIN) } else { (width + LEFT / 2.0, 0.0) };
        let (left, top) = (left + column as f64 * right, MARGIN + column as f64 * down);
        let frame = Frame { left, top, right: left + width, bottom: top + height };
        let panel = Panel::of_rows(frame, measure.scale_for(points), points.len());
        panel.x_axis(&mut canvas, measure.name);
        for (row, point) in points.iter().enumerate() {
            let look = Look::new(point.line);
            let (y, (mean, sd)) = (panel.row(row), (measure.of)(point));
            panel.whisker(&mut canvas, (mean - sd, y), (mean + sd, y), &look);
            panel.mark(&mut canvas, (mean, y), &look);
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
    fn tell(&self, point: &Point) -> String {
        let (mean, sd) = (self.of)(point);
        format!("{}: {} {} (n = {})", point.label, self.name, table::spread(mean, sd, 3), point.seeds)
    }

    /// An axis for means and what is one standard deviation from them.
    fn scale_for(&self, points: &[Point]) -> Scale {
        let values = points.iter().map(self.of).flat_map(|(mean, sd)| [mean - sd, mean, mean + sd]);
        (self.scale)(&values.collect::<Vec<_>>())
    }
}
