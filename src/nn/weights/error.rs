//! Why weights cannot be had.

use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;

use crate::text::Shown;

/// Why weights cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write `{}`: {source}", path.shown())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read `{}`: {source}", path.shown())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is neither safetensors nor a PyTorch checkpoint: {message}", path.shown())]
    Format { path: PathBuf, message: String },
    #[error("`{}` is a PyTorch checkpoint, but {message}\nhint: {hint}", path.shown())]
    Checkpoint { path: PathBuf, message: String, hint: String },
    #[error("`{}` does not fit: {misfit}\nhint: these weights belong to another model", path.shown())]
    Misfit { path: PathBuf, misfit: Misfit },
    #[error("`{}` has {theirs} classes, not {ours}\nhint: evaluate it on the data set that it was trained on", path.shown())]
    Classes { path: PathBuf, theirs: usize, ours: usize },
    /// Each with its count of bad values and of all.
    #[error("`{}` holds NaN or infinite values: {}\nhint: the run that saved them had diverged", path.shown(), some(tensors))]
    NotFinite { path: PathBuf, tensors: Vec<String> },
    #[error("{}", crate::cause::message(.0))]
    Candle(#[from] candle_core::Error),
}

/// All in which a file and a net differ.
#[derive(Debug, Default)]
pub struct Misfit {
    /// Names that the net has and the file has not.
    pub missing: Vec<String>,
    /// Names that the file has and the net has not.
    pub extra: Vec<String>,
    /// Tensors of another shape, in words.
    pub shapes: Vec<String>,
}

impl Misfit {
    /// Whether they do not differ.
    pub const fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.shapes.is_empty()
    }
}

impl Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [("it lacks ", &self.missing), ("this model has no ", &self.extra), ("", &self.shapes)];
        let parts = lists.iter().filter(|(_, list)| !list.is_empty());
        let parts: Vec<String> = parts.map(|(says, list)| format!("{says}{}", some(list))).collect();
        f.write_str(&parts.join("; "))
    }
}

/// The first ten, and how many more there are.
fn some(list: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = list[..list.len().min(SHOWN)].join(", ");
    match list.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
