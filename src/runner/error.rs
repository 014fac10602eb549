use std::path::PathBuf;

use super::claim::Failures;
use crate::{data, nn, record, train};

/// Why a trial, or a whole sweep, cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make the folder `{}`: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Data(#[from] data::Error),
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    Weights(#[from] nn::weights::Error),
    #[error("`{}` is no longer what the trial is named after\nhint: run the same command again: other weights are another trial", path.display())]
    Changed { path: PathBuf },
    #[error(transparent)]
    Train(#[from] train::Error),
    #[error("the trial panicked: {message}")]
    Panicked { message: String },
    #[error("its process was killed ({status})\nhint: for its memory, perhaps: fewer `--jobs` leave each more")]
    Killed { status: String },
    #[error("it failed {} times and is given up; the last time: {}\nhint: `run --retry` tries again", .0.attempts, .0.message)]
    GivenUp(Failures),
    #[error("`{}` is in its place and is left alone: {reason}\nhint: move it away to have the trial run again", path.display())]
    Broken { path: PathBuf, reason: String },
    #[error(
        "cannot write to `{}`: {source}\nhint: make room, or choose another folder with `--out`; the same command then goes on, from the last checkpoints",
        path.display()
    )]
    Storage { path: PathBuf, source: std::io::Error },
    #[error("cannot start or watch a trial's process: {source}")]
    Child { source: std::io::Error },
}
