//! What two swept keys do together.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::ink::style::{BELOW, Color, FRAME, INK, LEADING, LEFT, MARGIN};
use super::ink::{Anchor, Canvas, Legend, fit, fit_apart, text_width};
use super::{Data, Figure, counts, gather, goal, group, summary, table, texts, trial};
use crate::catalog::Entry;
use crate::record::{Goal, Status};
use crate::stats::median;

/// The final value of the goal on the test set as a colour and a number, a panel for each arm.
pub struct Heatmap;

impl Figure for Heatmap {
    fn entry(&self) -> Entry {
        Entry {
            name: "heatmap",
            help: "final test accuracy or loss against the two swept keys with most values",
            example: "nkfac-bench figure results/NAME heatmap",
        }
    }

    /// `arm, x_key, y_key, x, y, x_rank, y_rank, seeds, diverged, goal, final, final_sd`; ranks count the values of a key from 0. No rows if fewer than two keys were swept.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let (x, y, places) = match group::plane(data)? {
            Some(plane) => plane,
            None => (String::new(), String::new(), empty()?),
        };
        let (trials, arms) = (texts(&places, "trial")?, texts(&places, "arm")?);
        let (xs, ys) = (texts(&places, "x")?, texts(&places, "y")?);
        let (x_ranks, y_ranks) = (counts(&places, "x_rank")?, counts(&places, "y_rank")?);
        let states = data.results.trials.column("status")?.str()?;
        let mut cells: BTreeMap<(&str, usize, usize), Trials> = BTreeMap::new();
        for (i, trial) in trials.iter().enumerate() {
            let Some(&place) = data.places.get(trial) else { continue };
            let cell = cells.entry((&arms[i], y_ranks[i], x_ranks[i])).or_default();
            (cell.x, cell.y) = (&xs[i], &ys[i]);
            match states.get(place) == Some(Status::Finished.name()) {
                true => cell.values.push(data.sums[place].measures[0].unwrap_or(f64::NAN)),
                false => cell.diverged += 1,
            }
        }
        let count = cells.len();
        df!(
            "arm" => cells.keys().map(|key| key.0).collect::<Vec<_>>(),
            "x_key" => vec![trial::short(&x); count],
            "y_key" => vec![trial::short(&y); count],
            "x" => cells.values().map(|cell| cell.x).collect::<Vec<_>>(),
            "y" => cells.values().map(|cell| cell.y).collect::<Vec<_>>(),
            "x_rank" => cells.keys().map(|key| key.2 as u32).collect::<Vec<_>>(),
            "y_rank" => cells.keys().map(|key| key.1 as u32).collect::<Vec<_>>(),
            "seeds" => cells.values().map(|cell| cell.values.len() as u32).collect::<Vec<_>>(),
            "diverged" => cells.values().map(|cell| cell.diverged).collect::<Vec<_>>(),
            "goal" => vec![data.goal.metric.name(); count],
            "final" => cells.values().map(|cell| gather::mean(&cell.values)).collect::<Vec<_>>(),
            "final_sd" => cells.values().map(|cell| gather::deviation(&cell.values)).collect::<Vec<_>>()
        )
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let cells = cells(numbers)?;
        if cells.is_empty() {
            return Ok(Canvas::notice(width, "Fewer than two keys were swept, so there is no plane to show."));
        }
        let goal = goal(numbers)?;
        let Some(range) = Range::new(&cells, goal) else {
            return Ok(Canvas::notice(width, "No trial has finished, so there is nothing to colour."));
        };
        let keys = [texts(numbers, "x_key")?, texts(numbers, "y_key")?].map(|all| all[0].clone());
        let arms: Vec<&[Cell]> = cells.chunk_by(|a, b| a.arm == b.arm).collect();
        let rows = cells.iter().map(|cell| cell.y_rank).max().unwrap_or_default() + 1;
        let panel_height = LEADING + rows as f64 * ROW + BELOW + MARGIN;
        let seeds: Vec<usize> = cells.iter().map(|cell| cell.seeds).collect();
        let spread = summary::spread(&seeds).map_or(String::new(), |spread| format!(", {spread}"));
        let what = goal.head(&format!("final test {}", goal.title));
        let caption = format!("{what}{spread}; ×: all diverged");
        let legend = Legend::new(Vec::new(), Some(caption), width);
        let bottom = MARGIN + arms.len() as f64 * panel_height;
        let mut canvas = Canvas::new(width, bottom + BAR + LEADING + MARGIN + legend.height());
        for (i, arm) in arms.iter().enumerate() {
            draw_arm(&mut canvas, MARGIN + i as f64 * panel_height, arm, &keys, &range);
        }
        draw_bar(&mut canvas, bottom, &range);
        legend.draw(&mut canvas, (width / 2.0, bottom + BAR + LEADING + MARGIN));
        Ok(canvas)
    }
}

/// The trials at one point of the plane.
#[derive(Default)]
struct Trials<'a> {
    x: &'a str,
    y: &'a str,
    values: Vec<f64>,
    diverged: u32,
}

/// The height of a cell, and the one of the bar of colours.
const ROW: f64 = 20.0;
const BAR: f64 = 7.0;

/// What the ends of the scale of colours stand for, in the goal's unit.
struct Range {
    low: f64,
    high: f64,
    goal: Goal,
}

impl Range {
    /// All means, and at least two standard deviations and half a point (of the decimals that are shown) to both sides of their middle, so that the
    /// spread of seeds is not blown up to the whole scale. `None` if nothing has finished.
    fn new(cells: &[Cell], goal: Goal) -> Option<Self> {
        let means: Vec<f64> = cells.iter().map(|cell| cell.mean).filter(|mean| mean.is_finite()).collect();
        let low = means.iter().copied().min_by(f64::total_cmp)?;
        let high = means.iter().copied().max_by(f64::total_cmp)?;
        let deviations: Vec<f64> = cells.iter().map(|cell| cell.deviation).filter(|sd| sd.is_finite()).collect();
        let noise = if deviations.is_empty() { 0.0 } else { 2.0 * median(&deviations) };
        let least = 50.0 / 10f64.powi(goal.decimals as i32);
        let (middle, half) = (f64::midpoint(low, high), ((high - low) / 2.0).max(noise).max(least));
        Some(Self { low: middle - half, high: middle + half, goal })
    }

    /// The lightest is the best.
    fn color(&self, value: f64) -> Color {
        let share = (value - self.low) / (self.high - self.low).max(f64::MIN_POSITIVE);
        Color::of_share(if self.goal.more { share } else { 1.0 - share })
    }

    /// Decimals of numbers in cells.
    const fn decimals(&self) -> usize {
        self.goal.decimals.saturating_sub(1)
    }
}

/// The scale of colours, with its ends.
fn draw_bar(canvas: &mut Canvas, top: f64, range: &Range) {
    const STEPS: usize = 48;
    let (left, right) = (0.3 * canvas.width, 0.7 * canvas.width);
    let at = |step: usize| left + (right - left) * step as f64 / STEPS as f64;
    for step in 0..STEPS {
        let share = (step as f64 + 0.5) / STEPS as f64;
        let color = range.color(range.low + share * (range.high - range.low));
        canvas.rectangle((at(step), top), (at(step + 1), top + BAR), color);
    }
    for (share, x) in [(0.0, left), (0.5, f64::midpoint(left, right)), (1.0, right)] {
        let label = format!("{:.*}", range.decimals(), range.low + share * (range.high - range.low));
        canvas.text((x, top + BAR + LEADING / 2.0), &label, Anchor::Middle);
    }
}

fn empty() -> PolarsResult<DataFrame> {
    let (texts, ranks) = (Vec::<String>::new(), Vec::<u32>::new());
    df!(
        "trial" => &texts, "arm" => &texts, "x" => &texts, "y" => &texts, "x_rank" => &ranks, "y_rank" => &ranks
    )
}

struct Cell {
    arm: String,
    x: String,
    y: String,
    x_rank: usize,
    y_rank: usize,
    seeds: usize,
    /// In the goal's unit.
    mean: f64,
    deviation: f64,
}

fn cells(frame: &DataFrame) -> PolarsResult<Vec<Cell>> {
    let (xs, ys, seeds) = (texts(frame, "x")?, texts(frame, "y")?, counts(frame, "seeds")?);
    let (x_ranks, y_ranks) = (counts(frame, "x_rank")?, counts(frame, "y_rank")?);
    let (means, sds) = (super::numbers(frame, "final")?, super::numbers(frame, "final_sd")?);
    let units = goal(frame)?.units;
    let cell = |(i, arm): (usize, String)| Cell {
        arm,
        x: xs[i].clone(),
        y: ys[i].clone(),
        x_rank: x_ranks[i],
        y_rank: y_ranks[i],
        seeds: seeds[i],
        mean: units * means[i],
        deviation: units * sds[i],
    };
    Ok(texts(frame, "arm")?.into_iter().enumerate().map(cell).collect())
}

fn draw_arm(canvas: &mut Canvas, top: f64, cells: &[Cell], [x_key, y_key]: &[String; 2], range: &Range) {
    let columns = cells.iter().map(|cell| cell.x_rank).max().unwrap_or_default() + 1;
    let rows = cells.iter().map(|cell| cell.y_rank).max().unwrap_or_default() + 1;
    let y_labels = labels(rows, cells.iter().map(|cell| (cell.y_rank, &cell.y)), 0.4 * canvas.width);
    let labels_width = y_labels.iter().map(|label| text_width(label)).fold(0.0, f64::max);
    let left = LEFT / 2.0 + labels_width + 6.0;
    let top = top + LEADING;
    let column = ((canvas.width - left - MARGIN) / columns as f64).min(72.0);
    let left = left + (canvas.width - left - MARGIN - columns as f64 * column) / 2.0;
    let (right, bottom) = (left + columns as f64 * column, top + rows as f64 * ROW);
    let x_labels = labels(columns, cells.iter().map(|cell| (cell.x_rank, &cell.x)), column - 3.0);
    let center = (left + right) / 2.0;
    let room = 2.0 * (center.min(canvas.width - center) - MARGIN);
    canvas.text((center, top - LEADING / 2.0), &fit(&cells[0].arm, room), Anchor::Middle);
    for cell in cells {
        let (x, y) = (left + cell.x_rank as f64 * column, top + cell.y_rank as f64 * ROW);
        let middle = (x + column / 2.0, y + ROW / 2.0);
        let decimals = range.decimals();
        if cell.mean.is_finite() {
            let color = range.color(cell.mean);
            canvas.rectangle((x, y), (x + column, y + ROW), color);
            let (mean, all) = (format!("{:.decimals$}", cell.mean), table::spread(cell.mean, cell.deviation, decimals));
            let told = if text_width(&all) + 4.0 < column { all } else { mean };
            canvas.colored_text(middle, &told, Anchor::Middle, color.of_text());
        } else {
            canvas.colored_text(middle, "×", Anchor::Middle, INK);
        }
        let told = range.goal.with_unit(&table::spread(cell.mean, cell.deviation, range.goal.decimals));
        let told = format!("{told}, n = {}", cell.seeds);
        let place = format!("{}, {x_key} = {}, {y_key} = {}: {told}", cell.arm, cell.x, cell.y);
        canvas.hover((x, y), (x + column, y + ROW), place);
        if cell.y_rank == 0 {
            canvas.text((middle.0, bottom + 7.0), &x_labels[cell.x_rank], Anchor::Middle);
        }
        if cell.x_rank == 0 {
            canvas.text((left - 4.0, middle.1), &y_labels[cell.y_rank], Anchor::End);
        }
    }
    let border = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    canvas.line(border, FRAME, 0.6, &[]);
    canvas.text((center, bottom + 7.0 + LEADING), &fit(x_key, room), Anchor::Middle);
    canvas.turned_text((left - labels_width - 12.0, (top + bottom) / 2.0), y_key);
}

/// The labels along an axis by rank, as they fit.
fn labels<'a>(count: usize, of: impl Iterator<Item = (usize, &'a String)>, width: f64) -> Vec<String> {
    let mut labels = vec![String::new(); count];
    for (rank, label) in of {
        labels[rank].clone_from(label);
    }
    fit_apart(&labels, width)
}
