//! Figures and tables of a folder of results.
//!
//! Each figure keeps its numbers apart from its ink: a query over the rows gives a small table, which tests can read, and a
//! drawing of that table. A figure knows the names of columns and metrics, not how a trial came about.
//!
//! Throughout, a *line* is a set of trials that are alike in everything but the seed: one arm at one point of the sweep.
//! Means and standard deviations are over its finished trials; diverged ones are counted and named, never averaged.

mod group;

mod gather;

mod summary;

mod curves;

mod time_to_target;

mod performance_profile;

mod pareto;

mod phases;

mod step_times;

mod memory;

mod ablation;

mod heatmap;
mod newton_convergence;

mod inverters;

mod drift;

mod residuals;

mod table;

mod compare;

mod ink;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use polars::prelude::*;
use rayon::prelude::*;

use crate::catalog::{self, Entry};
use crate::record::Results;
pub use compare::{Comparison, Difference, MEASURES, Measure};
pub use group::{Differences, differences, short};
pub use ink::style::{COLUMN, PAGE, hue};
pub use ink::{Canvas, Theme, escape, svg};
pub use summary::Sums;
pub use table::{Best, Cell, Column, Table, digits, markdown};
pub use time_to_target::{TimeToTarget, target};

/// One figure.
pub trait Figure: Sync {
    /// Its name, its line of help, and how to have it drawn.
    fn entry(&self) -> Entry;

    /// The numbers to draw, from all results of an experiment.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame>;

    /// The drawing of these numbers in so many points; of none, a drawing that says so.
    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas>;
}

/// Every figure.
pub const ALL: &[&dyn Figure] = &[
    &curves::Curves,
    &time_to_target::TimeToTarget,
    &performance_profile::PerformanceProfile,
    &pareto::Pareto,
    &phases::Phases,
    &step_times::StepTimes,
    &memory::Memory,
    &ablation::Ablation,
    &heatmap::Heatmap,
    &newton_convergence::NewtonConvergence,
    &inverters::Inverters,
    &drift::Drift,
    &residuals::Residuals,
];

/// Results with what every figure asks of them: each trial summed up and its configuration read, once.
pub struct Data {
    pub results: Results,
    /// In the order of the trials.
    pub sums: Vec<Sums>,
    trials: Vec<group::Trial>,
    /// Where a trial's id is.
    places: HashMap<String, usize>,
}

impl Data {
    /// Sums everything up.
    pub fn new(results: Results) -> PolarsResult<Self> {
        let ids = texts(&results.trials, "trial")?;
        let places = ids.into_iter().enumerate().map(|(place, id)| (id, place)).collect();
        let sums = results.rows.par_iter().map(Sums::new).collect::<PolarsResult<_>>()?;
        Ok(Self { sums, trials: group::trials(&results)?, places, results })
    }
}

/// How figures are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// In points: [`PAGE`] or [`COLUMN`].
    pub width: f64,
    pub theme: Theme,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: PAGE, theme: Theme::Light }
    }
}

/// Why figures cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("unknown figure `{name}`\nhint: {hint}")]
    Unknown { name: String, hint: String },
    #[error("no arm is called `{name}` here\nhint: {hint}")]
    UnknownLine { name: String, hint: String },
    #[error("cannot make figure `{figure}` from these results: {source}")]
    Query { figure: &'static str, source: PolarsError },
    #[error("cannot write `{}`: {source}\nhint: no result is touched; `nkfac-bench figure` draws once there is room", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot write `{}`: {source}", path.display())]
    Png { path: PathBuf, source: anyhow::Error },
}

/// Draws the named figures, or all that have something to show if none is named, into `folder/figures`, and the table beside them. Returns
/// what was written.
pub fn render(folder: &Path, data: &Data, names: &[String], style: Style) -> Result<Vec<PathBuf>, Error> {
    let figures = select(names)?;
    let folder = folder.join("figures");
    fs::create_dir_all(&folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
    let mut drawn = Vec::with_capacity(figures.len());
    for figure in figures {
        drawn.push((figure.entry().name, draw(figure, data, style.width)?));
    }
    if names.is_empty() {
        let first = drawn.iter().position(|(_, canvas)| canvas.notice.is_none()).unwrap_or_default();
        let first = drawn[first].0;
        drawn.retain(|(name, canvas)| *name == first || canvas.notice.is_none());
    }
    let mut written = Vec::new();
    for (name, canvas) in drawn {
        let file = |extension: &str| folder.join(name).with_extension(extension);
        write_text(file("svg"), &svg(&canvas, style.theme), &mut written)?;
        let path = file("png");
        ink::write_png(&canvas, style.theme, &path).map_err(|source| Error::Png { path: path.clone(), source })?;
        written.push(path);
    }
    let table = Table::new(data).map_err(|source| Error::Query { figure: "table", source })?;
    write_text(folder.join("table.md"), &table.markdown(), &mut written)?;
    write_text(folder.join("table.csv"), &table.csv(), &mut written)?;
    if names.is_empty() {
        remove_stale(&folder, &written)?;
    }
    Ok(written)
}

/// Removes figures of an earlier drawing that these results have no more: whoever opens the folder sees one state of it.
fn remove_stale(folder: &Path, written: &[PathBuf]) -> Result<(), Error> {
    let all =
        ALL.iter().flat_map(|figure| ["svg", "png"].map(|end| folder.join(figure.entry().name).with_extension(end)));
    for path in all.filter(|path| !written.contains(path)) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(Error::Write { path, source }),
            _ => {}
        }
    }
    Ok(())
}

/// One figure of these results.
pub fn draw(figure: &dyn Figure, data: &Data, width: f64) -> Result<Canvas, Error> {
    let canvas = figure.query(data).and_then(|numbers| figure.draw(&numbers, width));
    canvas.map_err(|source| Error::Query { figure: figure.entry().name, source })
}

fn select(names: &[String]) -> Result<Vec<&'static dyn Figure>, Error> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let known: Vec<&'static str> = ALL.iter().map(|figure| figure.entry().name).collect();
    let find = |name: &String| {
        ALL.iter().copied().find(|figure| figure.entry().name == name).ok_or_else(|| {
            let hint = match catalog::nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("there are `{}`", known.join("`, `")),
            };
            Error::Unknown { name: name.clone(), hint }
        })
    };
    names.iter().map(find).collect()
}

fn write_text(path: PathBuf, text: &str, written: &mut Vec<PathBuf>) -> Result<(), Error> {
    fs::write(&path, text).map_err(|source| Error::Write { path: path.clone(), source })?;
    written.push(path);
    Ok(())
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
