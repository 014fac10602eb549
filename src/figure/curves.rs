//! Test accuracy and training loss, by epoch and by seconds of training.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::gather::{self, Lines};
use super::ink::style::Look;
use super::ink::{Canvas, Frame, Grid, Key, Legend, Panel, Point, Scale, Swatch};
use super::{Data, Figure, counts, numbers, summary, table, texts};
use crate::catalog::Entry;
use crate::record::{Metric, Scope};

/// A line for each line of trials, with a band of one standard deviation.
pub struct Curves;

impl Figure for Curves {
    fn entry(&self) -> Entry {
        Entry {
            name: "curves",
            help: "test accuracy and training loss by epoch and by training time",
            example: "nkfac-bench figure results/quickstart curves",
        }
    }

    /// `line, label, seeds, diverged, omitted, metric, epoch, seconds, mean, sd`. `seconds` is the mean clock at the end of the epoch. A
    /// line that never finished has one row without numbers.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let leading = summary::leading(data, None)?;
        let lines = Lines::new(&leading)?;
        let mut dots: BTreeMap<Place<'_>, Seen> = BTreeMap::new();
        for member in lines.members(data)?.into_iter().filter(|member| member.finished) {
            for row in gather::of(data, &member)? {
                let shown = SHOWN.iter().find(|(scope, metric)| row.is(scope, *metric));
                let Some((_, metric)) = shown else { continue };
                let dot = dots.entry((member.line as usize, metric.name(), row.epoch)).or_default();
                dot.seconds.push(row.seconds);
                dot.values.push(row.value);
            }
        }
        let all = summary::by_line(data, &leading)?;
        let (mut of, mut seen) = (Vec::new(), Vec::new());
        for (place, line) in counts(&all, "line")?.into_iter().enumerate() {
            let before = of.len();
            for dot in dots.range((line, "", 0)..(line + 1, "", 0)) {
                of.push(place as IdxSize);
                seen.push(Some(dot));
            }
            if of.len() == before {
                of.push(place as IdxSize);
                seen.push(None);
            }
        }
        let mut frame =
            all.select(["line", "label", "seeds", "diverged", "omitted"])?.take(&IdxCa::from_vec("".into(), of))?;
        frame.hstack_mut(&[
            Column::new("metric".into(), seen.iter().map(|dot| dot.map(|(key, _)| key.1)).collect::<Vec<_>>()),
            Column::new("epoch".into(), seen.iter().map(|dot| dot.map(|(key, _)| key.2)).collect::<Vec<_>>()),
            column("seconds", &seen, |dot| gather::mean(&dot.seconds)),
            column("mean", &seen, |dot| gather::mean(&dot.values)),
            column("sd", &seen, |dot| gather::deviation(&dot.values)),
        ])?;
        Ok(frame)
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let lines = lines(numbers)?;
        let ends: Vec<&Dot> = lines.iter().flat_map(|line| line.curves.iter().filter_map(|dots| dots.last())).collect();
        if ends.is_empty() {
            return Ok(Canvas::notice(width, "No trial has finished, so there are no curves to show."));
        }
        let epochs = ends.iter().map(|dot| dot.epoch).fold(0.0, f64::max);
        let seconds = ends.iter().map(|dot| dot.seconds).fold(0.0, f64::max);
        let (unit, unit_seconds) = time_unit(seconds);
        let by_epoch = Axis { name: "epoch".into(), scale: Scale::counts(epochs), of: &|dot| dot.epoch };
        let by_time = Axis {
            name: format!("training time ({unit})"),
            scale: Scale::from_zero(&[seconds / unit_seconds]),
            of: &|dot| dot.seconds / unit_seconds,
        };

        let keys = lines.iter().map(|line| Key { swatch: Swatch::Line(line.look), text: line.name.clone() }).collect();
        let seeds: Vec<usize> = lines.iter().map(|line| line.seeds).collect();
        let legend = Legend::new(keys, summary::caption(numbers, summary::spread(&seeds))?, width);
        let grid = Grid::new(width, 4);
        let below = grid.below(4);
        let mut canvas = Canvas::new(width, below + legend.height());
        for (row, quantity) in QUANTITIES.iter().enumerate() {
            for (column, x) in [&by_epoch, &by_time].into_iter().enumerate() {
                draw_panel(&mut canvas, grid.frame(2 * row + column), &lines, row, quantity, x);
            }
        }
        legend.draw(&mut canvas, (width / 2.0, below));
        Ok(canvas)
    }
}

const SHOWN: [(Scope, Metric); 2] = [(Scope::Test, Metric::Accuracy), (Scope::Train, Metric::Loss)];

/// A line, a metric and an epoch.
type Place<'a> = (usize, &'a str, u32);

/// The seconds and values of all seeds at one place.
#[derive(Default)]
struct Seen {
    seconds: Vec<f64>,
    values: Vec<f64>,
}

fn column(name: &str, seen: &[Option<(&Place<'_>, &Seen)>], of: fn(&Seen) -> Option<f64>) -> Column {
    Column::new(name.into(), seen.iter().map(|dot| dot.and_then(|(_, seen)| of(seen))).collect::<Vec<_>>())
}

/// What a row of panels shows.
struct Quantity {
    metric: Metric,
    name: &'static str,
    /// How many of the axis' units make one.
    units: f64,
    scale: fn(&[f64]) -> Scale,
}

/// The rows of panels, from the top.
const QUANTITIES: [Quantity; 2] = [
    Quantity { metric: Metric::Accuracy, name: "test accuracy (%)", units: 100.0, scale: Scale::around },
    Quantity { metric: Metric::Loss, name: "training loss", units: 1.0, scale: Scale::fitting },
];

/// Marks along a line, so that it is told apart without colour.
const MARKS: usize = 8;

/// Epochs along a line whose numbers a pointer is told.
const TOLD: usize = 40;

struct Line {
    look: Look,
    name: String,
    seeds: usize,
    /// In the order of [`QUANTITIES`].
    curves: [Vec<Dot>; 2],
}

/// A mean at the end of an epoch.
struct Dot {
    epoch: f64,
    seconds: f64,
    mean: f64,
    /// NaN for a single trial.
    sd: f64,
}

struct Axis<'a> {
    name: String,
    scale: Scale,
    of: &'a dyn Fn(&Dot) -> f64,
}

fn lines(frame: &DataFrame) -> PolarsResult<Vec<Line>> {
    let (ids, labels, metrics) = (counts(frame, "line")?, texts(frame, "label")?, texts(frame, "metric")?);
    let (seeds, diverged) = (counts(frame, "seeds")?, counts(frame, "diverged")?);
    let (epochs, seconds) = (numbers(frame, "epoch")?, numbers(frame, "seconds")?);
    let (means, sds) = (numbers(frame, "mean")?, numbers(frame, "sd")?);
    let mut lines: Vec<Line> = Vec::new();
    for i in 0..frame.height() {
        if i == 0 || ids[i] != ids[i - 1] {
            let name = summary::name(&labels[i], seeds[i], diverged[i]);
            lines.push(Line { look: Look::new(ids[i]), name, seeds: seeds[i], curves: [Vec::new(), Vec::new()] });
        }
        let row = QUANTITIES.iter().position(|quantity| quantity.metric.name() == metrics[i]);
        if let (Some(line), Some(row)) = (lines.last_mut(), row) {
            let units = QUANTITIES[row].units;
            let (mean, sd) = (means[i] * units, sds[i] * units);
            line.curves[row].push(Dot { epoch: epochs[i], seconds: seconds[i], mean, sd });
        }
    }
    Ok(lines)
}

fn draw_panel(canvas: &mut Canvas, frame: Frame, lines: &[Line], row: usize, quantity: &Quantity, x: &Axis<'_>) {
    let y = (quantity.scale)(&extent(lines.iter().flat_map(|line| &line.curves[row])));
    let panel = Panel { frame, x: x.scale.clone(), y };
    panel.axes(canvas, &x.name, quantity.name);
    for line in lines {
        let band: Vec<(f64, f64, f64)> =
            line.curves[row].iter().map(|dot| ((x.of)(dot), dot.mean - dot.sd, dot.mean + dot.sd)).collect();
        panel.band(canvas, &band, &line.look);
    }
    for (i, line) in lines.iter().enumerate() {
        let points: Vec<Point> = line.curves[row].iter().map(|dot| ((x.of)(dot), dot.mean)).collect();
        panel.line(canvas, &points, &line.look);
        let every = points.len().div_ceil(MARKS).max(1);
        let first = i * every / lines.len();
        for &point in points.iter().skip(first).step_by(every) {
            panel.mark(canvas, point, &line.look);
        }
        for dot in line.curves[row].iter().step_by(points.len().div_ceil(TOLD).max(1)) {
            let (value, epoch, seconds) = (table::spread(dot.mean, dot.sd, 3), dot.epoch, table::digits(dot.seconds));
            let text = format!("{}: {} {value} after epoch {epoch}, {seconds} s", line.name, quantity.name);
            panel.hover(canvas, ((x.of)(dot), dot.mean), text);
        }
    }
}

/// What an axis must show: means, and the bands around them. A band may reach down to zero or below, where it would stretch a
/// logarithmic axis without end; it is followed to half of a mean.
fn extent<'a>(dots: impl Iterator<Item = &'a Dot>) -> Vec<f64> {
    dots.flat_map(|dot| {
        let sd = if dot.sd.is_finite() { dot.sd } else { 0.0 };
        [(dot.mean - sd).max(dot.mean / 2.0), dot.mean, dot.mean + sd]
    })
    .collect()
}

/// The unit in which so many seconds are easy to read, and its seconds.
fn time_unit(seconds: f64) -> (&'static str, f64) {
    match seconds {
        _ if seconds > 2.0 * 3600.0 => ("hours", 3600.0),
        _ if seconds > 2.0 * 60.0 => ("minutes", 60.0),
        _ => ("seconds", 1.0),
    }
}
