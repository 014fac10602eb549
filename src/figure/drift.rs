//! How far statistics move between refreshes: what a probe measured, over training.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::gather::{self, Lines, Number};
use super::ink::style::Look;
use super::ink::{Canvas, Grid, Key, Legend, Panel, Point, Scale, Swatch};
use super::{Data, Figure, counts, numbers, summary, texts};
use crate::catalog::Entry;
use crate::record::{Metric, Scope};
use crate::stats;

/// The relative change of a factor since its last refresh (figure S2 of the paper).
pub struct Drift;

impl Figure for Drift {
    fn entry(&self) -> Entry {
        Entry {
            name: "drift",
            help: "the relative change of statistics between refreshes, of trials with `probe = true`",
            example: "nkfac-bench figure results/figure-s2-drift drift",
        }
    }

    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        by_step(data, Metric::Drift)
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        draw(numbers, "relative drift", width)
    }
}

/// `line, label, step, median, least, largest` of a metric over all factors and seeds.
pub fn by_step(data: &Data, metric: Metric) -> PolarsResult<DataFrame> {
    let lines = Lines::new(&summary::leading(data, None)?)?;
    let mut values: BTreeMap<(u32, &str, u64), Vec<f64>> = BTreeMap::new();
    for member in lines.members(data)? {
        // Factors are named after their layers; comparisons of inverters have one scope for all.
        let of_factors = |row: &Number| row.is_a(metric) && !row.is_in(&Scope::Probe) && row.value.is_finite();
        for row in gather::of(data, &member)?.filter(of_factors) {
            values.entry((member.line, member.label, row.step)).or_default().push(row.value);
        }
    }
    let column = |of: &dyn Fn(&[f64]) -> f64| values.values().map(|values| of(values)).collect::<Vec<f64>>();
    df!(
        "line" => values.keys().map(|key| key.0).collect::<Vec<_>>(),
        "label" => values.keys().map(|key| key.1).collect::<Vec<_>>(),
        "step" => values.keys().map(|key| key.2).collect::<Vec<_>>(),
        "median" => column(&stats::median),
        "least" => column(&|values| values.iter().copied().fold(f64::INFINITY, f64::min)),
        "largest" => column(&|values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    )
}

/// Medians as lines, with bands from the least to the largest.
pub fn draw(frame: &DataFrame, name: &str, width: f64) -> PolarsResult<Canvas> {
    if frame.height() == 0 {
        return Ok(Canvas::notice(width, "No trial was probed: `probe = true` measures every refresh."));
    }
    let (lines, labels, steps) = (counts(frame, "line")?, texts(frame, "label")?, numbers(frame, "step")?);
    let [medians, least, largest] = ["median", "least", "largest"].map(|column| numbers(frame, column));
    let (medians, least, largest) = (medians?, least?, largest?);
    let mut keys: Vec<(usize, &str)> = lines.iter().copied().zip(labels.iter().map(String::as_str)).collect();
    keys.dedup();
    let swatch = |&(line, text): &(usize, &str)| Key { swatch: Swatch::Line(Look::new(line)), text: text.into() };
    let note = Some("median over factors and seeds; band: min to max".to_owned());
    let legend = Legend::new(keys.iter().map(swatch).collect(), note, width);
    let grid = Grid::new(width, 1);
    let (frame, below) = (grid.frame(0), grid.below(1));
    let shown: Vec<f64> = least.iter().chain(&largest).copied().collect();
    let last = steps.iter().copied().fold(0.0, f64::max);
    let panel = Panel { frame, x: Scale::from_zero(&[last]), y: Scale::fitting(&shown) };
    let mut canvas = Canvas::new(width, below + legend.height());
    panel.axes(&mut canvas, "step", name);
    for &(line, _) in &keys {
        let rows: Vec<usize> = (0..lines.len()).filter(|&row| lines[row] == line).collect();
        let band: Vec<(f64, f64, f64)> = rows.iter().map(|&row| (steps[row], least[row], largest[row])).collect();
        panel.band(&mut canvas, &band, &Look::new(line));
        let points: Vec<Point> = rows.iter().map(|&row| (steps[row], medians[row])).collect();
        panel.line(&mut canvas, &points, &Look::new(line));
    }
    legend.draw(&mut canvas, (width / 2.0, below));
    Ok(canvas)
}
