//! How fast inverters come near, on random matrices.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::gather::{self, Lines, Member, Number};
use super::ink::{Canvas, Grid, Key, Legend, Panel, Point, Scale, Swatch};
use super::{Data, Figure, counts, group, looks, numbers, texts};
use crate::catalog::Entry;
use crate::record::{Metric, Scope};
use crate::stats;

/// The residual by rounds, a panel for each perturbation.
pub struct NewtonConvergence;

impl Figure for NewtonConvergence {
    fn entry(&self) -> Entry {
        Entry {
            name: "newton-convergence",
            help: "the residual of an inverse by rounds of its iteration, for each perturbation",
            example: "nkfac-bench figure results/figure-s1-newton newton-convergence",
        }
    }

    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        residuals(data)
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        panels(numbers, width, ("rounds", "epoch"), "median over seeds")
    }
}

/// `at, line, label, arm, point, epoch, milliseconds, residual`: the least time and the median of residuals over seeds, `at` the perturbation and `epoch` the number of rounds.
pub fn residuals(data: &Data) -> PolarsResult<DataFrame> {
    let lines = Lines::new(&group::lines(data, Some("perturbation"))?)?;
    let members = lines.members(data)?;
    let mut groups: Vec<&[Member]> = gather::groups(&members).collect();
    let at = |group: &[Member]| group[0].at.unwrap_or(f64::INFINITY);
    groups.sort_by(|a, b| at(a).total_cmp(&at(b)).then_with(|| a[0].line.cmp(&b[0].line)));
    let (mut of_group, mut epochs, mut milliseconds, mut residuals) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for group in groups {
        let mut rounds: BTreeMap<u32, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for member in group {
            let measured = |row: &Number| row.is(&Scope::Probe, Metric::Residual) && row.value.is_finite();
            for row in gather::of(data, member)?.filter(measured) {
                let (seconds, values) = rounds.entry(row.epoch).or_default();
                seconds.push(row.seconds);
                values.push(row.value);
            }
        }
        for (epoch, (seconds, values)) in rounds {
            of_group.push(group[0]);
            epochs.push(epoch);
            // Other work beside it only makes a time longer; residuals span powers of ten, where one seed would make the mean.
            milliseconds.push(1e3 * seconds.into_iter().fold(f64::INFINITY, f64::min));
            residuals.push(stats::median(&values));
        }
    }
    df!(
        "at" => of_group.iter().map(|trial| trial.at).collect::<Vec<_>>(),
        "line" => of_group.iter().map(|trial| trial.line).collect::<Vec<_>>(),
        "label" => of_group.iter().map(|trial| trial.label).collect::<Vec<_>>(),
        "arm" => of_group.iter().map(|trial| trial.arm).collect::<Vec<_>>(),
        "point" => of_group.iter().map(|trial| trial.point).collect::<Vec<_>>(),
        "epoch" => epochs,
        "milliseconds" => milliseconds,
        "residual" => residuals
    )
}

/// The residuals along one of the columns, given with its name for readers, a panel for each perturbation; with a `note` below.
pub fn panels(frame: &DataFrame, width: f64, (x_name, x): (&str, &str), note: &str) -> PolarsResult<Canvas> {
    let (lines, labels) = (counts(frame, "line")?, texts(frame, "label")?);
    let (at, xs, residuals) = (numbers(frame, "at")?, numbers(frame, x)?, numbers(frame, "residual")?);
    if frame.height() == 0 {
        return Ok(Canvas::notice(width, "No inverters were compared on random matrices."));
    }
    let mut places: Vec<f64> = at.clone();
    places.dedup_by(|a, b| a.to_bits() == b.to_bits());
    let looks = looks(frame)?;
    // Each line's first row.
    let keys: BTreeMap<usize, usize> = lines.iter().copied().enumerate().rev().map(|(row, line)| (line, row)).collect();
    let swatch = |&row: &usize| Key { swatch: Swatch::Line(looks[row]), text: labels[row].clone() };
    let legend = Legend::new(keys.values().map(swatch).collect(), Some(note.to_owned()), width);
    let grid = Grid::new(width, places.len());
    let below = grid.below(places.len());
    let mut canvas = Canvas::new(width, below + legend.height());
    for (i, place) in places.iter().enumerate() {
        let rows: Vec<usize> = (0..at.len()).filter(|&row| at[row].to_bits() == place.to_bits()).collect();
        let of = |values: &[f64]| rows.iter().map(|&row| values[row]).collect::<Vec<f64>>();
        let largest = of(&xs).into_iter().fold(0.0, f64::max);
        let x = if x == "epoch" { Scale::counts(largest) } else { Scale::logarithmic(&of(&xs)) };
        let panel = Panel { frame: grid.frame(i), x, y: Scale::fitting(&of(&residuals)) };
        let is_shown = |row: &&usize| x_name == "rounds" || xs[**row] > 0.0;
        let name = if place.is_nan() { "residual".to_owned() } else { format!("residual, perturbed by {place}") };
        panel.axes(&mut canvas, x_name, &name);
        for (&line, &first) in &keys {
            let points: Vec<Point> = rows
                .iter()
                .filter(|&&row| lines[row] == line)
                .filter(is_shown)
                .map(|&row| (xs[row], residuals[row]))
                .collect();
            panel.line(&mut canvas, &points, &looks[first]);
            points.iter().for_each(|&point| panel.mark(&mut canvas, point, &looks[first]));
        }
    }
    legend.draw(&mut canvas, (width / 2.0, below));
    Ok(canvas)
}
