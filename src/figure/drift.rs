//! How far statistics move between refreshes: what a probe measured, over training.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::gather::{self, Lines, Member, Number};
use super::ink::{Canvas, Grid, Key, Legend, Panel, Point, Scale, Swatch};
use super::{Data, Figure, counts, looks, numbers, summary, texts};
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

/// `line, label, arm, point, step, low, median, high, left_out` of a metric over all factors and seeds, `low` and `high` the quartiles.
pub fn by_step(data: &Data, metric: Metric) -> PolarsResult<DataFrame> {
    let leading = summary::leading(data)?;
    let left_out = summary::left_out(&leading)?;
    let lines = Lines::new(&leading)?;
    let members = lines.members(data)?;
    let mut values: BTreeMap<(u32, u64), (&Member, Vec<f64>)> = BTreeMap::new();
    for member in &members {
        // Factors are named after their layers; comparisons of inverters have one scope for all.
        let of_factors = |row: &Number| row.is_a(metric) && !row.is_in(&Scope::Probe) && row.value.is_finite();
        for row in gather::of(data, member)?.filter(of_factors) {
            values.entry((member.line, row.step)).or_insert_with(|| (member, Vec::new())).1.push(row.value);
        }
    }
    let column = |share: f64| values.values().map(|(_, values)| stats::quantile(values, share)).collect::<Vec<f64>>();
    df!(
        "line" => values.keys().map(|key| key.0).collect::<Vec<_>>(),
        "label" => values.values().map(|(member, _)| member.label).collect::<Vec<_>>(),
        "arm" => values.values().map(|(member, _)| member.arm).collect::<Vec<_>>(),
        "point" => values.values().map(|(member, _)| member.point).collect::<Vec<_>>(),
        "step" => values.keys().map(|key| key.1).collect::<Vec<_>>(),
        "low" => column(0.25),
        "median" => column(0.5),
        "high" => column(0.75),
        "left_out" => vec![left_out; values.len()]
    )
}

/// Medians as lines, with bands from quartile to quartile.
pub fn draw(frame: &DataFrame, name: &str, width: f64) -> PolarsResult<Canvas> {
    if frame.height() == 0 {
        return Ok(Canvas::notice(width, "No trial was probed: `probe = true` measures every refresh."));
    }
    let (lines, labels, steps) = (counts(frame, "line")?, texts(frame, "label")?, numbers(frame, "step")?);
    let [low, medians, high] = ["low", "median", "high"].map(|column| numbers(frame, column));
    let (low, medians, high) = (low?, medians?, high?);
    let looks = looks(frame)?;
    let rows: Vec<usize> = (0..lines.len()).collect();
    let all: Vec<&[usize]> = rows.chunk_by(|&a, &b| lines[a] == lines[b]).collect();
    let key = |rows: &&[usize]| Key { swatch: Swatch::Line(looks[rows[0]]), text: labels[rows[0]].clone() };
    let note = summary::caption(frame, Some("median over factors and seeds; band: quartiles".to_owned()))?;
    let legend = Legend::new(all.iter().map(key).collect(), note, width);
    let grid = Grid::new(width, 1);
    let (frame, below) = (grid.frame(0), grid.below(1));
    let shown: Vec<f64> = low.iter().chain(&high).copied().collect();
    let last = steps.iter().copied().fold(0.0, f64::max);
    let panel = Panel { frame, x: Scale::from_zero(&[last]), y: Scale::fitting(&shown) };
    let mut canvas = Canvas::new(width, below + legend.height());
    panel.axes(&mut canvas, "step", name);
    for rows in &all {
        let band: Vec<(f64, f64, f64)> = rows.iter().map(|&row| (steps[row], low[row], high[row])).collect();
        panel.band(&mut canvas, &band, &looks[rows[0]]);
    }
    for rows in &all {
        let points: Vec<Point> = rows.iter().map(|&row| (steps[row], medians[row])).collect();
        panel.line(&mut canvas, &points, &looks[rows[0]]);
    }
    legend.draw(&mut canvas, (width / 2.0, below));
    Ok(canvas)
}
