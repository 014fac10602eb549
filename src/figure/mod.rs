//! Figures and tables of a folder of results.
//!
//! Each figure keeps its numbers apart from its ink: a query over the rows gives a small table, which tests can read, and a
//! drawing of that table. A figure knows the names of columns and metrics, not how a trial came about.
//!
//! Throughout, a *line* is a set of trials that are alike in everything but the seed: one arm at one point of the sweep.
//! Means and standard deviations are over its finished trials; diverged ones are counted and named, never averaged. A *problem* is a data set and a
//! net: lines of different problems are never in one panel.

mod data;

mod group;
mod guard;

mod gather;

mod summary;

mod curves;

mod time_to_target;

mod race;

mod performance_profile;

mod pareto;

mod phases;

mod overhead;

mod step_times;

mod memory;

mod ablation;

mod batch_size;

mod heatmap;
mod newton_convergence;

mod inverse_quality;
mod inverters;

mod drift;

mod residuals;

mod tuning;

mod sums;
mod table;
mod terminal;

mod tables;
mod trial;

mod compare;

mod ink;

mod render;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use polars::prelude::*;

use crate::catalog::Entry;
use crate::record::Goal;
use crate::text::Shown;
pub use compare::{Comparison, Difference, Measure};
pub use data::{Data, Round, View};
pub use group::{Differences, differences};
pub use guard::unequal;
use ink::style::Look;
pub use ink::style::{COLUMN, PAGE, hue};
pub use ink::{Canvas, Theme, escape, svg};
pub use render::{FOLDER, Style, render};
pub use summary::{drawn, undrawn};
pub use sums::Sums;
pub use table::{Best, Cell, Column, Table, digits, markdown};
pub use tables::Tables;
pub use time_to_target::{TimeToTarget, target};
pub use trial::{compare as compare_values, short};

/// One figure.
pub trait Figure: Sync {
    /// Its name, its line of help, and how to have it drawn.
    fn entry(&self) -> Entry;

    /// The numbers to draw, from all results of an experiment.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame>;

    /// Which results it is about: these, or the tuning trials behind them.
    fn of<'a>(&self, data: &'a Data) -> &'a Data {
        data
    }

    /// Whether it is about several problems together; otherwise each has a drawing of its own.
    fn pools(&self) -> bool {
        false
    }

    /// The drawing of these numbers in so many points; of none, a drawing that says so.
    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas>;
}

/// Every figure.
pub const ALL: &[&dyn Figure] = &[
    &curves::Curves,
    &time_to_target::TimeToTarget,
    &race::Race,
    &performance_profile::PerformanceProfile,
    &pareto::Pareto,
    &phases::Phases,
    &overhead::Overhead,
    &step_times::StepTimes,
    &memory::Memory,
    &ablation::Ablation,
    &batch_size::BatchSize,
    &heatmap::Heatmap,
    &tuning::Tuning,
    &newton_convergence::NewtonConvergence,
    &inverters::Inverters,
    &inverse_quality::InverseQuality,
    &drift::Drift,
    &residuals::Residuals,
];

/// Why figures cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("unknown figure `{name}`\nhint: {hint}")]
    Unknown { name: String, hint: String },
    #[error("no arm is called `{name}` here\nhint: {hint}")]
    UnknownLine { name: String, hint: String },
    #[error("the arm `{name}` has several lines here\nhint: {hint}")]
    SeveralLines { name: String, hint: String },
    #[error("two arms would be called `{name}`\nhint: `--label OLD=NEW` gives each arm a name of its own")]
    SameName { name: String },
    #[error("cannot make figure `{figure}` from these results: {source}")]
    Query { figure: &'static str, source: PolarsError },
    #[error("cannot write `{}`: {source}\nhint: no result is touched; `nkfac-bench figure` draws once there is room", path.shown())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot draw `{}`: {source}", path.shown())]
    Ink { path: PathBuf, source: anyhow::Error },
}

/// One figure of these results in so many points; of several problems one below the other, each with its own axes.
pub fn draw(figure: &dyn Figure, data: &Data, width: f64) -> Result<Canvas, Error> {
    draw_in(figure, data, [width]).map(|[canvas]| canvas)
}

/// The same in several widths, of numbers that are gathered once.
fn draw_in<const N: usize>(figure: &dyn Figure, data: &Data, widths: [f64; N]) -> Result<Drawn<N>, Error> {
    inked(figure, &gathered(figure, data)?, widths)
}

/// A figure in several widths.
type Drawn<const N: usize> = [Canvas; N];

/// The same, and of figures that have one the other view: with the test error on a logarithmic axis, or without it.
pub fn draw_both<const N: usize>(
    figure: &dyn Figure,
    data: &Data,
    widths: [f64; N],
) -> Result<(Drawn<N>, Option<Drawn<N>>), Error> {
    let mut numbers = gathered(figure, data)?;
    let drawn = inked(figure, &numbers, widths)?;
    if drawn.iter().any(|canvas| canvas.notice.is_some())
        || !numbers.iter().all(|(_, of)| of.schema().contains("error"))
    {
        return Ok((drawn, None));
    }
    for (_, of) in &mut numbers {
        let other = !shows_error(of).map_err(failed(figure))?;
        let column = polars::prelude::Column::new("error".into(), vec![other; of.height()]);
        of.with_column(column).map_err(failed(figure))?;
    }
    Ok((drawn, Some(inked(figure, &numbers, widths)?)))
}

/// A figure's numbers, by problem.
type Numbers<'a> = Vec<(Option<&'a str>, DataFrame)>;

fn gathered<'a>(figure: &dyn Figure, data: &'a Data) -> Result<Numbers<'a>, Error> {
    if figure.pools() {
        return Ok(vec![(None, figure.query(data).map_err(failed(figure))?)]);
    }
    figure.of(data).problems().map(|(name, part)| Ok((name, figure.query(part).map_err(failed(figure))?))).collect()
}

fn inked<const N: usize>(figure: &dyn Figure, numbers: &Numbers<'_>, widths: [f64; N]) -> Result<[Canvas; N], Error> {
    let in_width = |width: f64| {
        let drawn = numbers.iter().map(|(name, numbers)| Ok((*name, figure.draw(numbers, width)?)));
        let mut canvas = Canvas::below_each_other(drawn.collect::<PolarsResult<_>>()?, width);
        figure.entry().help.clone_into(&mut canvas.label);
        Ok(canvas)
    };
    let drawn = widths.map(in_width).into_iter().collect::<PolarsResult<Vec<_>>>().map_err(failed(figure))?;
    drawn.try_into().map_err(|_| failed(figure)(polars_err!(ComputeError: "not as many canvases as widths")))
}

fn failed(figure: &dyn Figure) -> impl Fn(PolarsError) -> Error {
    let figure = figure.entry().name;
    move |source| Error::Query { figure, source }
}

/// What the trials of these numbers are judged by; accuracy of none.
fn goal(frame: &DataFrame) -> PolarsResult<Goal> {
    let metric = frame.column("goal")?.str()?.iter().next().flatten();
    Ok(metric.and_then(Goal::named).unwrap_or(Goal::ACCURACY))
}

/// Whether what is left to the best value is drawn in place of the value.
fn shows_error(frame: &DataFrame) -> PolarsResult<bool> {
    Ok(frame.column("error")?.bool()?.iter().next().flatten() == Some(true))
}

/// How each row's line looks, by `arm` and `point`.
fn looks(frame: &DataFrame) -> PolarsResult<Vec<Look>> {
    let points = counts(frame, "point")?;
    Ok(counts(frame, "arm")?.into_iter().zip(points).map(|(arm, point)| Look::new(arm, point)).collect())
}

/// A column of numbers; what is missing is NaN.
fn numbers(frame: &DataFrame, column: &str) -> PolarsResult<Vec<f64>> {
    let column = frame.column(column)?.cast(&DataType::Float64)?;
    Ok(column.f64()?.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

/// A column of whole numbers; what is missing is 0.
fn counts(frame: &DataFrame, column: &str) -> PolarsResult<Vec<usize>> {
    Ok(frame.column(column)?.u32()?.iter().map(|count| count.unwrap_or_default() as usize).collect())
}

/// A column of texts; what is missing is empty.
fn texts(frame: &DataFrame, column: &str) -> PolarsResult<Vec<String>> {
    Ok(frame.column(column)?.str()?.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
}
