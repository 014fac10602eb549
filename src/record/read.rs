//! A folder of trials into three tables. A folder may hold files of other origin, or broken ones: they are named, not fatal.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::fs;
use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::thread;

use polars::prelude::*;

use super::order::arms;
use super::write::COLUMNS;
use super::{Error, Metric, Scope, seal};
use crate::text::Shown;

/// All that could be read in a folder. What holds for all of a trial is told once, so that thousands of trials fit into memory.
#[derive(Debug)]
pub struct Results {
    /// One row per trial, in the order of the files' names: the columns of [`super::Origin`].
    pub trials: DataFrame,
    /// The numbers of each of them, in the same order: `epoch, step, seconds, scope, metric, value`. Those of single steps outnumber all
    /// others by far and are left out.
    pub rows: Vec<DataFrame>,
    /// How long single steps took: `trial, share, seconds`: `share` of the trial's steps took `seconds` or longer.
    pub steps: DataFrame,
    /// Every arm, in the order in which a reader is to meet them.
    pub arms: Vec<String>,
    /// How many trials lie in the folder that were not asked for.
    pub others: usize,
    /// How many trials were asked for that have no result yet.
    pub missing: usize,
    /// Files that hold no results, or the same again.
    pub skipped: Vec<Skipped>,
}

/// A Parquet file that was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: String,
}

impl Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is skipped: {}", self.path.shown(), self.reason)
    }
}

/// Reads every `*.parquet` in `folder`, in the order of their names.
pub fn read(folder: &Path) -> Result<Results, Error> {
    let paths = files(folder)?;
    let mut seen: HashMap<String, &Path> = HashMap::new();
    let (mut trials, mut rows, mut steps, mut skipped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (path, outcome) in paths.iter().zip(read_trials(&paths)) {
        let outcome = outcome.and_then(|trial| match seen.insert(trial.id.clone(), path) {
            None => Ok(trial),
            Some(first) => Err(format!("trial `{}` is in `{}` already", trial.id, first.shown())),
        });
        match outcome {
            Ok(trial) => {
                trials.push(trial.origin);
                rows.push(trial.rows);
                steps.push(trial.steps);
            }
            Err(reason) => skipped.push(Skipped { path: path.clone(), reason }),
        }
    }
    if let Some(first) = skipped.first().filter(|_| trials.is_empty()) {
        let (folder, count, first) = (folder.to_owned(), skipped.len(), first.to_string());
        return Err(Error::NoneReadable { folder, count, first });
    }
    let stack = |frames| stack(frames).map_err(|source| Error::Stack { folder: folder.to_owned(), source });
    let trials = stack(trials)?;
    let arms = arms(&trials).map_err(|source| Error::Stack { folder: folder.to_owned(), source })?;
    Ok(Results { trials, rows, steps: stack(steps)?, arms, others: 0, missing: 0, skipped })
}

/// Every trial, read side by side. Threads of their own, because polars has a pool: a worker of another one that waits for it would begin the
/// next file meanwhile, and the next, until its stack is full.
fn read_trials(paths: &[PathBuf]) -> Vec<Result<Trial, String>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let read = |paths: &[PathBuf]| paths.iter().map(|path| read_trial(path)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let parts = paths.chunks(paths.len().div_ceil(threads).max(1));
        let workers: Vec<_> = parts.map(|part| scope.spawn(move || read(part))).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
            .collect()
    })
}

/// Every `*.parquet` in `folder`, in the order of their names; at least one.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let fail = |source| Error::Folder { folder: folder.to_owned(), source };
    let entries: Vec<fs::DirEntry> = fs::read_dir(folder).and_then(Iterator::collect).map_err(fail)?;
    let mut paths: Vec<PathBuf> = entries
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect();
    paths.sort();
    if paths.is_empty() { Err(Error::Empty { folder: folder.to_owned() }) } else { Ok(paths) }
}

/// One file's part of [`Results`].
struct Trial {
    id: String,
    origin: DataFrame,
    rows: DataFrame,
    steps: DataFrame,
}

/// The columns that differ from row to row.
const OF_A_ROW: [&str; 6] = ["epoch", "step", "seconds", "scope", "metric", "value"];

/// All columns and rows of the trial in `path`, single steps too, or why there is none.
pub fn read_file(path: &Path) -> Result<DataFrame, String> {
    checked(decode(&sealed(path)?, |reader| reader)?)
}

/// What holds for all of a trial, in one row, and its numbers, with those columns alone that differ from row to row.
pub fn parts(frame: &DataFrame) -> PolarsResult<(DataFrame, DataFrame)> {
    let of_a_trial = COLUMNS.iter().map(|(name, _)| *name).filter(|name| !OF_A_ROW.contains(name));
    Ok((frame.head(Some(1)).select(of_a_trial)?, frame.select(OF_A_ROW)?))
}

/// Reads what is repeated in every row from the first one alone.
fn read_trial(path: &Path) -> Result<Trial, String> {
    let bytes = sealed(path)?;
    let first = checked(decode(&bytes, |reader| reader.with_slice(Some((0, 1))))?)?;
    let of_a_row = OF_A_ROW.map(str::to_owned).to_vec();
    let rows = decode(&bytes, |reader| reader.with_columns(Some(of_a_row)))?;
    trial(&first, &rows).map_err(|error| error.to_string())
}

/// The bytes in `path`, if their seal is intact.
fn sealed(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    seal::check(&bytes)?;
    Ok(bytes)
}

fn decode<'a>(
    bytes: &'a [u8],
    choose: impl FnOnce(ParquetReader<Cursor<&'a [u8]>>) -> ParquetReader<Cursor<&'a [u8]>>,
) -> Result<DataFrame, String> {
    // A seal proves that the bytes are ours, not that this version of polars takes them; it is known to panic where it should fail. Files
    // are read side by side, so each is read by one thread.
    let read = || choose(ParquetReader::new(Cursor::new(bytes)).read_parallel(ParallelStrategy::None)).finish();
    panic::catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| "it is no intact Parquet file".to_owned())?
        .map_err(|error| format!("it is no intact Parquet file: {error}"))
}

/// The frame, if it has rows and the columns of results.
fn checked(frame: DataFrame) -> Result<DataFrame, String> {
    for (name, expected) in &COLUMNS {
        match frame.schema().get(name) {
            Some(found) if found == expected => {}
            Some(found) => return Err(format!("column `{name}` is {found}, not {expected}")),
            None => return Err(format!("it has no column `{name}`")),
        }
    }
    if frame.height() == 0 { Err("it has no rows".to_owned()) } else { Ok(frame) }
}

fn trial(first: &DataFrame, rows: &DataFrame) -> PolarsResult<Trial> {
    let id = first.column("trial")?.str()?.get(0).unwrap_or_default().to_owned();
    let of_a_trial = COLUMNS.iter().map(|(name, _)| *name).filter(|name| !OF_A_ROW.contains(name));
    let is_step: BooleanChunked =
        rows.column("scope")?.str()?.iter().map(|scope| scope == Some(Scope::Step.name())).collect();
    let is_time: BooleanChunked =
        rows.column("metric")?.str()?.iter().map(|metric| metric == Some(Metric::StepSeconds.name())).collect();
    // Losses of single steps lie among their times.
    let seconds = rows.column("value")?.f64()?.filter(&(&is_step & &is_time))?;
    let steps = steps(&id, seconds.into_no_null_iter().collect())?;
    Ok(Trial { origin: first.select(of_a_trial)?, rows: rows.select(OF_A_ROW)?.filter_seq(&!&is_step)?, steps, id })
}

/// The shares of steps for which [`Results::steps`] tells how long they took at least.
const SHARES: [f64; 14] = [1.0, 0.9, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];

fn steps(trial: &str, mut seconds: Vec<f64>) -> PolarsResult<DataFrame> {
    seconds.sort_by(|a, b| b.total_cmp(a));
    // Shares of less than one step tell nothing.
    let rank = |share: f64| (share * seconds.len() as f64 * (1.0 + 1e-12)).floor() as usize;
    let told: Vec<(f64, f64)> =
        SHARES.iter().filter(|&&share| rank(share) > 0).map(|&share| (share, seconds[rank(share) - 1])).collect();
    let (shares, seconds): (Vec<f64>, Vec<f64>) = told.into_iter().unzip();
    df!("trial" => vec![trial; shares.len()], "share" => shares, "seconds" => seconds)
}

/// All rows in one table, in one piece.
fn stack(frames: Vec<DataFrame>) -> PolarsResult<DataFrame> {
    let mut all = DataFrame::empty();
    for frame in frames {
        if all.width() == 0 {
            all = frame;
        } else {
            all.vstack_mut_owned(frame)?;
        }
    }
    all.rechunk_mut();
    Ok(all)
}

#[cfg(test)]
mod tests;
