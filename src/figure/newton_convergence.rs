//! How fast inverters come near, on random matrices.

use polars::prelude::*;

use super::ink::style::Look;
use super::ink::{Canvas, Grid, Key, Legend, Panel, Point, Scale, Swatch};
use super::{Data, Figure, counts, group, numbers, summary, texts};
use crate::catalog::Entry;
use crate::record::{Metric, Scope};

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
        panels(numbers, width, "rounds", "epoch")
    }
}

/// `at, line, label, epoch, milliseconds, residual`: means of time and medians of residuals over seeds, `at` the perturbation and `epoch` the number of rounds.
pub fn residuals(data: &Data) -> PolarsResult<DataFrame> {
    summary::rows(data, &group::lines(data, Some("perturbation"))?)?
        .filter(summary::is(&Scope::Probe, Metric::Residual).and(col("value").is_finite()))
        .group_by([col("at"), col("line"), col("label"), col("epoch")])
        .agg([
            (lit(1e3) * col("seconds").mean()).alias("milliseconds"),
            // Residuals span many powers of ten, where one seed would make the mean.
            col("value").median().alias("residual"),
        ])
        .select([col("at"), col("line"), col("label"), col("epoch"), col("milliseconds"), col("residual")])
        .sort(["at", "line", "epoch"], SortMultipleOptions::default().with_nulls_last(true))
        .collect()
}

/// The residuals along one of the columns, a panel for each perturbation.
pub fn panels(frame: &DataFrame, width: f64, x_name: &str, x: &str) -> PolarsResult<Canvas> {
    let (lines, labels) = (counts(frame, "line")?, texts(frame, "label")?);
    let (at, xs, residuals) = (numbers(frame, "at")?, numbers(frame, x)?, numbers(frame, "residual")?);
    if frame.height() == 0 {
        return Ok(Canvas::notice(width, "No inverters were compared on random matrices."));
    }
    let mut places: Vec<f64> = at.clone();
    places.dedup_by(|a, b| a.to_bits() == b.to_bits());
    let mut keys: Vec<(usize, &str)> = lines.iter().copied().zip(labels.iter().map(String::as_str)).collect();
    keys.sort_unstable();
    keys.dedup();
    let swatch = |&(line, text): &(usize, &str)| Key { swatch: Swatch::Line(Look::new(line)), text: text.into() };
    let note = Some("median over seeds".to_owned());
    let legend = Legend::new(keys.iter().map(swatch).collect(), note, width);
    let grid = Grid::new(width, places.len());
    let below = grid.below(places.len());
    let mut canvas = Canvas::new(width, below + legend.height());
    for (i, place) in places.iter().enumerate() {
        let rows: Vec<usize> = (0..at.len()).filter(|&row| at[row].to_bits() == place.to_bits()).collect();
        let of = |values: &[f64]| rows.iter().map(|&row| values[row]).collect::<Vec<f64>>();
        let largest = of(&xs).into_iter().fold(0.0, f64::max);
        let x = if x == "epoch" { Scale::counts(largest) } else { Scale::from_zero(&[largest]) };
        let panel = Panel { frame: grid.frame(i), x, y: Scale::fitting(&of(&residuals)) };
        let name = if place.is_nan() { "residual".to_owned() } else { format!("residual, perturbed by {place}") };
        panel.axes(&mut canvas, x_name, &name);
        for &(line, _) in &keys {
            let points: Vec<Point> =
                rows.iter().filter(|&&row| lines[row] == line).map(|&row| (xs[row], residuals[row])).collect();
            panel.line(&mut canvas, &points, &Look::new(line));
            points.iter().for_each(|&point| panel.mark(&mut canvas, point, &Look::new(line)));
        }
    }
    legend.draw(&mut canvas, (width / 2.0, below));
    Ok(canvas)
}
