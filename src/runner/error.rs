use std::path::PathBuf;

use super::claim::Failures;
use crate::text::Shown;
use crate::{data, nn, record, train};

/// Why a trial, or a whole sweep, cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make the folder `{}`: {source}", path.shown())]
    Folder { path: PathBuf, source: std::io::Error },
    /// With what it lacks.
    #[error("`engine.simd`: {0}")]
    Processor(String),
    #[error(transparent)]
    Data(#[from] data::Error),
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    Weights(#[from] nn::weights::Error),
    #[error("`{}` has changed since the trial was planned\nhint: run the same command again: other weights or data are another trial", path.shown())]
    Changed { path: PathBuf },
    #[error(transparent)]
    Train(#[from] train::Error),
    #[error("the trial panicked: {message}")]
    Panicked { message: String },
    #[error(
        "its process was killed ({status})\nhint: it may have run out of memory: fewer `--jobs` leave each trial more"
    )]
    Killed { status: String },
    #[error("given up after {} failures; the last: {}\nhint: `run --retry` tries again", .0.attempts, .0.message)]
    GivenUp(Failures),
    #[error("`{}` is where its result belongs, and is left alone: {reason}\nhint: move it away to have the trial run again", path.shown())]
    Broken { path: PathBuf, reason: String },
    #[error(
        "cannot write to `{}`: {source}\nhint: make room, or choose another folder with `--out`; then run the same command to resume from the last checkpoints",
        path.shown()
    )]
    Storage { path: PathBuf, source: std::io::Error },
    #[error("cannot start or watch a trial's process: {source}")]
    Child { source: std::io::Error },
}
