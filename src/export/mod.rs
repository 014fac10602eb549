//! Results for other programs: CSV, and TensorBoard's event files. Every number goes out, single steps too.

mod tensorboard;

use std::fs;
use std::path::{Path, PathBuf};

use polars::prelude::{DataFrame, PolarsError, PolarsResult};

use crate::record::{self, Names, Skipped, csv};
use crate::text::Shown;

/// Why results cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error("cannot write `{}`: {source}", path.shown())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot export `{}`: {source}", path.shown())]
    Query { path: PathBuf, source: PolarsError },
}

/// What an export did.
#[derive(Debug)]
pub struct Exported {
    /// Trials that were written.
    pub trials: usize,
    /// Files that hold no results.
    pub skipped: Vec<Skipped>,
}

/// Writes `trials.csv` (a row for each trial: where its numbers come from) and `<trial>.csv` (its numbers, accuracies as fractions, seconds
/// as in the Parquet files).
pub fn to_csv(results: &Path, names: Option<&Names>, folder: &Path) -> Result<Exported, Error> {
    make(folder)?;
    let mut trials = String::new();
    let exported = each(results, names, |path, frame| {
        let (origin, rows) = record::parts(frame)?;
        let origin = csv(&origin);
        let (head, row) = origin.split_at(origin.find('\n').map_or(origin.len(), |end| end + 1));
        if trials.is_empty() {
            trials += head;
        }
        trials += row;
        let name = path.with_extension("csv");
        Ok((folder.join(name.file_name().unwrap_or_default()), csv(&rows).into_bytes()))
    })?;
    let path = folder.join("trials.csv");
    fs::write(&path, trials).map_err(|source| Error::Write { path, source })?;
    Ok(exported)
}

/// Writes a folder for each trial, named by arm, seed and id, with an event file: `tensorboard --logdir` shows it.
pub fn to_tensorboard(results: &Path, names: Option<&Names>, folder: &Path) -> Result<Exported, Error> {
    make(folder)?;
    each(results, names, |_, frame| {
        let run = tensorboard::run(frame)?;
        Ok((folder.join(run.folder).join(run.file), run.bytes))
    })
}

fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })
}

/// Turns the file of every trial, or of those that have names, into another one.
fn each(
    results: &Path,
    names: Option<&Names>,
    mut convert: impl FnMut(&Path, &DataFrame) -> PolarsResult<(PathBuf, Vec<u8>)>,
) -> Result<Exported, Error> {
    let mut exported = Exported { trials: 0, skipped: Vec::new() };
    for path in record::files(results)? {
        let frame = match record::read_file(&path) {
            Ok(frame) => frame,
            Err(reason) => {
                exported.skipped.push(Skipped { path, reason });
                continue;
            }
        };
        let named = names.map_or_else(|| Ok(Some(frame.clone())), |names| names.of(&frame));
        let Some(frame) = named.map_err(|source| Error::Query { path: path.clone(), source })? else { continue };
        let (target, bytes) = convert(&path, &frame).map_err(|source| Error::Query { path, source })?;
        let written = target.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&target, bytes));
        written.map_err(|source| Error::Write { path: target, source })?;
        exported.trials += 1;
    }
    Ok(exported)
}
