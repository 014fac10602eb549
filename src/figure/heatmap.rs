//! What two swept keys do together.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::ink::style::{BELOW, Color, FRAME, INK, LEADING, LEFT, MARGIN};
use super::ink::{Anchor, Canvas, Legend, fit, fit_apart, text_width};
use super::{Data, Figure, counts, gather, group, summary, table, texts};
use crate::catalog::Entry;
use crate::record::Status;

/// Final test accuracy as a colour and a number, a panel for each arm.
pub struct Heatmap;

impl Figure for Heatmap {
    fn entry(&self) -> Entry {
        Entry {
            name: "heatmap",
            help: "final test accuracy against the two swept keys with most values",
            example: "nkfac-bench figure results/NAME heatmap",
        }
    }

    /// `arm, x_key, y_key, x, y, x_rank, y_rank, seeds, diverged, final_accuracy, final_accuracy_sd`; ranks count the values of a key
    /// from 0. No rows if fewer than two keys were swept.
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
                true => cell.accuracies.push(data.sums[place].measures()[0].unwrap_or(f64::NAN)),
                false => cell.diverged += 1,
            }
        }
        let count = cells.len();
        df!(
            "arm" => cells.keys().map(|key| key.0).collect::<Vec<_>>(),
            "x_key" => vec![group::short(&x); count],
            "y_key" => vec![group::short(&y); count],
            "x" => cells.values().map(|cell| cell.x).collect::<Vec<_>>(),
            "y" => cells.values().map(|cell| cell.y).collect::<Vec<_>>(),
            "x_rank" => cells.keys().map(|key| key.2 as u32).collect::<Vec<_>>(),
            "y_rank" => cells.keys().map(|key| key.1 as u32).collect::<Vec<_>>(),
            "seeds" => cells.values().map(|cell| cell.accuracies.len() as u32).collect::<Vec<_>>(),
            "diverged" => cells.values().map(|cell| cell.diverged).collect::<Vec<_>>(),
            "final_accuracy" => cells.values().map(|cell| gather::mean(&cell.accuracies)).collect::<Vec<_>>(),
            "final_accuracy_sd" => cells.values().map(|cell| gather::deviation(&cell.accuracies)).collect::<Vec<_>>()
        )
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let cells = cells(numbers)?;
        if cells.is_empty() {
            return Ok(Canvas::notice(width, "Fewer than two keys were swept, so there is no plane to show."));
        }
        let finite = || cells.iter().map(|cell| cell.accuracy).filter(|accuracy| accuracy.is_finite());
        let range = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        if range.0 > range.1 {
            return Ok(Canvas::notice(width, "No trial has finished, so there is nothing to colour."));
        }
        let keys = [texts(numbers, "x_key")?, texts(numbers, "y_key")?].map(|all| all[0].clone());
        let arms: Vec<&[Cell]> = cells.chunk_by(|a, b| a.arm == b.arm).collect();
        let rows = cells.iter().map(|cell| cell.y_rank).max().unwrap_or_default() + 1;
        let panel_height = LEADING + rows as f64 * ROW + BELOW + MARGIN;
        let seeds: Vec<usize> = cells.iter().map(|cell| cell.seeds).collect();
        let spread = if summary::spread(&seeds).is_some() { ", means over seeds" } else { "" };
        let caption = format!("final test accuracy (%){spread}; ×: all diverged");
        let legend = Legend::new(Vec::new(), Some(caption), width);
        let mut canvas = Canvas::new(width, MARGIN + arms.len() as f64 * panel_height + legend.height());
        for (i, arm) in arms.iter().enumerate() {
            draw_arm(&mut canvas, MARGIN + i as f64 * panel_height, arm, &keys, range);
        }
        legend.draw(&mut canvas, (width / 2.0, MARGIN + arms.len() as f64 * panel_height));
        Ok(canvas)
    }
}

/// The trials at one point of the plane.
#[derive(Default)]
struct Trials<'a> {
    x: &'a str,
    y: &'a str,
    accuracies: Vec<f64>,
    diverged: u32,
}

/// The height of a cell.
const ROW: f64 = 20.0;

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
    /// In percent.
    accuracy: f64,
    deviation: f64,
}

fn cells(frame: &DataFrame) -> PolarsResult<Vec<Cell>> {
    let (xs, ys, seeds) = (texts(frame, "x")?, texts(frame, "y")?, counts(frame, "seeds")?);
    let (x_ranks, y_ranks) = (counts(frame, "x_rank")?, counts(frame, "y_rank")?);
    let (means, sds) = (super::numbers(frame, "final_accuracy")?, super::numbers(frame, "final_accuracy_sd")?);
    let cell = |(i, arm): (usize, String)| Cell {
        arm,
        x: xs[i].clone(),
        y: ys[i].clone(),
        x_rank: x_ranks[i],
        y_rank: y_ranks[i],
        seeds: seeds[i],
        accuracy: 100.0 * means[i],
        deviation: 100.0 * sds[i],
    };
    Ok(texts(frame, "arm")?.into_iter().enumerate().map(cell).collect())
}

fn draw_arm(canvas: &mut Canvas, top: f64, cells: &[Cell], [x_key, y_key]: &[String; 2], range: (f64, f64)) {
    let columns = cells.iter().map(|cell| cell.x_rank).max().unwrap_or_default() + 1;
    let rows = cells.iter().map(|cell| cell.y_rank).max().unwrap_or_default() + 1;
    let y_labels = labels(rows, cells.iter().map(|cell| (cell.y_rank, &cell.y)), 0.4 * canvas.width);
    let labels_width = y_labels.iter().map(|label| text_width(label)).fold(0.0, f64::max);
    let left = LEFT / 2.0 + labels_width + 6.0;
    let top = top + LEADING;
    let column = ((canvas.width - left - MARGIN) / columns as f64).min(64.0);
    let left = left + (canvas.width - left - MARGIN - columns as f64 * column) / 2.0;
    let (right, bottom) = (left + columns as f64 * column, top + rows as f64 * ROW);
    let x_labels = labels(columns, cells.iter().map(|cell| (cell.x_rank, &cell.x)), column - 3.0);
    let center = (left + right) / 2.0;
    let room = 2.0 * (center.min(canvas.width - center) - MARGIN);
    canvas.text((center, top - LEADING / 2.0), &fit(&cells[0].arm, room), Anchor::Middle);
    for cell in cells {
        let (x, y) = (left + cell.x_rank as f64 * column, top + cell.y_rank as f64 * ROW);
        let middle = (x + column / 2.0, y + ROW / 2.0);
        if cell.accuracy.is_finite() {
            let color = Color::of_share((cell.accuracy - range.0) / (range.1 - range.0).max(f64::MIN_POSITIVE));
            canvas.rectangle((x, y), (x + column, y + ROW), color);
            canvas.colored_text(middle, &format!("{:.1}", cell.accuracy), Anchor::Middle, color.of_text());
        } else {
            canvas.colored_text(middle, "×", Anchor::Middle, INK);
        }
        let told = format!("{} %, n = {}", table::spread(cell.accuracy, cell.deviation, 2), cell.seeds);
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
