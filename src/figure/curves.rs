//! What trials are judged by on the test set, and the training loss, by epoch and by seconds of training.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::gather::{self, Lines};
use super::ink::style::Look;
use super::ink::{Canvas, Frame, Grid, Key, Legend, Panel, Point, Scale, Swatch};
use super::{Data, Figure, Round, counts, goal, looks, numbers, shows_error, summary, table, texts};
use crate::catalog::Entry;
use crate::record::{Goal, Metric, Scope};

/// A line for each line of trials, with a band of one standard deviation.
pub struct Curves;

impl Figure for Curves {
    fn entry(&self) -> Entry {
        Entry {
            name: "curves",
            help: "test accuracy or loss, and training loss, by epoch or step and by training time",
            example: "nkfac-bench figure results/quickstart curves",
        }
    }

    /// `line, label, arm, point, seeds, diverged, goal, left_out, error, scope, epoch, step, seconds, mean, sd`. `scope` is `test`, of the goal, or `train`, of
    /// the training loss; `step` is there where evaluations are not those of
    /// epochs; `seconds` is the mean clock at the end of the epoch, `error` whether the test error is drawn in place of the accuracy. A line that never finished has one row without numbers.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let leading = summary::leading(data)?;
        let lines = Lines::new(&leading)?;
        let mut dots: BTreeMap<Place<'_>, Seen> = BTreeMap::new();
        for member in lines.members(data)?.into_iter().filter(|member| member.finished) {
            for row in gather::of(data, &member)? {
                let shown = [(Scope::Test, data.goal.metric), (Scope::Train, Metric::Loss)];
                let Some(place) = shown.iter().position(|(scope, metric)| row.is(scope, *metric)) else { continue };
                let dot = dots.entry((member.line as usize, SCOPES[place], row.epoch)).or_default();
                dot.step = (data.round != Round::Epoch).then_some(row.step);
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
        let mut frame = all
            .select(["line", "label", "arm", "point", "seeds", "diverged", "goal", "left_out"])?
            .take(&IdxCa::from_vec("".into(), of))?;
        frame.hstack_mut(&[
            Column::new("error".into(), vec![summary::shows_error(data, &all)?; seen.len()]),
            Column::new("scope".into(), seen.iter().map(|dot| dot.map(|(key, _)| key.1)).collect::<Vec<_>>()),
            Column::new("epoch".into(), seen.iter().map(|dot| dot.map(|(key, _)| key.2)).collect::<Vec<_>>()),
            Column::new("step".into(), seen.iter().map(|dot| dot.and_then(|(_, seen)| seen.step)).collect::<Vec<_>>()),
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
        let by_epoch = match ends.iter().map(|dot| dot.step).fold(f64::NAN, f64::max) {
            steps if steps.is_nan() => {
                Axis { name: "epoch".into(), scale: Scale::counts(epochs), of: &|dot| dot.epoch }
            }
            steps => Axis { name: "step".into(), scale: Scale::counts(steps), of: &|dot| dot.step },
        };
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
        for (row, quantity) in quantities(goal(numbers)?, shows_error(numbers)?).iter().enumerate() {
            for (column, x) in [&by_epoch, &by_time].into_iter().enumerate() {
                draw_panel(&mut canvas, grid.frame(2 * row + column), &lines, row, quantity, x);
            }
        }
        legend.draw(&mut canvas, (width / 2.0, below));
        Ok(canvas)
    }
}

/// The rows of panels, from the top.
const SCOPES: [&str; 2] = ["test", "train"];

/// A line, one of [`SCOPES`] and an epoch.
type Place<'a> = (usize, &'a str, u32);

/// The seconds and values of all seeds at one place.
#[derive(Default)]
struct Seen {
    /// Where evaluations are not those of epochs.
    step: Option<u64>,
    seconds: Vec<f64>,
    values: Vec<f64>,
}

fn column(name: &str, seen: &[Option<(&Place<'_>, &Seen)>], of: fn(&Seen) -> Option<f64>) -> Column {
    Column::new(name.into(), seen.iter().map(|dot| dot.and_then(|(_, seen)| of(seen))).collect::<Vec<_>>())
}

/// What a row of panels shows.
struct Quantity {
    name: String,
    scale: fn(&[f64]) -> Scale,
}

/// In the order of [`SCOPES`]; with `error` the first is what is left to the best value.
fn quantities(goal: Goal, error: bool) -> [Quantity; 2] {
    let (title, scale): (_, fn(&[f64]) -> Scale) =
        if error { (goal.gap.title, Scale::logarithmic) } else { (goal.title, Scale::around) };
    let test = Quantity { name: goal.head(&format!("test {title}")), scale };
    let name = if goal.metric == Metric::Loss { goal.head("training loss") } else { "training loss".to_owned() };
    [test, Quantity { name, scale: Scale::fitting }]
}

/// Marks along a line, so that it is told apart without colour.
const MARKS: usize = 8;

/// Epochs along a line whose numbers a pointer is told.
const TOLD: usize = 40;

struct Line {
    look: Look,
    name: String,
    seeds: usize,
    /// In the order of [`SCOPES`].
    curves: [Vec<Dot>; 2],
}

/// A mean at the end of an epoch.
struct Dot {
    epoch: f64,
    /// NaN where evaluations are those of epochs.
    step: f64,
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
    let (ids, labels, scopes) = (counts(frame, "line")?, texts(frame, "label")?, texts(frame, "scope")?);
    let (seeds, diverged) = (counts(frame, "seeds")?, counts(frame, "diverged")?);
    let (epochs, steps, seconds) = (numbers(frame, "epoch")?, numbers(frame, "step")?, numbers(frame, "seconds")?);
    let (means, sds) = (numbers(frame, "mean")?, numbers(frame, "sd")?);
    let (looks, goal, error) = (looks(frame)?, goal(frame)?, shows_error(frame)?);
    let mut lines: Vec<Line> = Vec::new();
    for i in 0..frame.height() {
        if i == 0 || ids[i] != ids[i - 1] {
            let name = summary::name(&labels[i], seeds[i], diverged[i]);
            lines.push(Line { look: looks[i], name, seeds: seeds[i], curves: [Vec::new(), Vec::new()] });
        }
        let row = SCOPES.iter().position(|scope| *scope == scopes[i]);
        if let (Some(line), Some(row)) = (lines.last_mut(), row) {
            let units = if row == 0 { goal.units } else { 1.0 };
            let (mean, sd) = (means[i] * units, sds[i] * units);
            let mean = if error && row == 0 { goal.left_to_best(mean) } else { mean };
            line.curves[row].push(Dot { epoch: epochs[i], step: steps[i], seconds: seconds[i], mean, sd });
        }
    }
    Ok(lines)
}

fn draw_panel(canvas: &mut Canvas, frame: Frame, lines: &[Line], row: usize, quantity: &Quantity, x: &Axis<'_>) {
    let all: Vec<f64> = extent(lines.iter().flat_map(|line| &line.curves[row]));
    let late: Vec<f64> = extent(lines.iter().flat_map(|line| late(&line.curves[row])));
    // Where the way up takes most of the axis, the first half of it is left outside: lines are told apart by their ends.
    let shown = if height(&late) < height(&all) / 3.0 && row == 0 { late } else { all };
    let y = (quantity.scale)(&shown);
    let panel = Panel { frame, x: x.scale.clone(), y };
    panel.axes(canvas, &x.name, &quantity.name);
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
        let within = |point: &&Point| panel.y.beyond(point.1) == 0;
        for &point in points.iter().skip(first).step_by(every).filter(within) {
            panel.mark(canvas, point, &line.look);
        }
        for dot in line.curves[row].iter().step_by(points.len().div_ceil(TOLD).max(1)) {
            if panel.y.beyond(dot.mean) != 0 {
                continue;
            }
            let at = if dot.step.is_nan() { format!("epoch {}", dot.epoch) } else { format!("step {}", dot.step) };
            let (value, seconds) = (table::spread(dot.mean, dot.sd, 3), table::digits(dot.seconds));
            let text = format!("{}: {} {value} after {at}, {seconds} s", line.name, quantity.name);
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

/// The second half of a curve.
fn late(dots: &[Dot]) -> impl Iterator<Item = &Dot> {
    let last = dots.last().map_or(0.0, |dot| dot.epoch);
    dots.iter().filter(move |dot| dot.epoch > last / 2.0)
}

fn height(values: &[f64]) -> f64 {
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    high - low
}

/// The unit in which so many seconds are easy to read, and its seconds.
fn time_unit(seconds: f64) -> (&'static str, f64) {
    match seconds {
        _ if seconds > 2.0 * 3600.0 => ("hours", 3600.0),
        _ if seconds > 2.0 * 60.0 => ("minutes", 60.0),
        _ => ("seconds", 1.0),
    }
}
