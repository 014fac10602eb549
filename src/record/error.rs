use std::io;
use std::path::{Path, PathBuf};

use crate::text::Shown;
use polars::prelude::PolarsError;

/// Why results cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write `{}`: {source}", path.shown())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write `{}`: {source}", path.shown())]
    Encode { path: PathBuf, source: PolarsError },
    #[error("cannot read folder `{}`: {source}\nhint: name a folder of results such as results/quickstart", folder.shown())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("no results in `{}`\nhint: `nkfac-bench run` writes them, one Parquet file per trial", folder.shown())]
    Empty { folder: PathBuf },
    #[error("none of the {count} Parquet files in `{}` holds results; the first: {first}", folder.shown())]
    NoneReadable { folder: PathBuf, count: usize, first: String },
    #[error("results in `{}` do not fit together: {source}", folder.shown())]
    Stack { folder: PathBuf, source: PolarsError },
}

impl Error {
    /// For `map_err` at each of the steps of writing a file.
    pub(super) fn write(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self::Write { path: path.to_owned(), source }
    }
}
