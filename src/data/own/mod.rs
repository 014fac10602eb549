//! Somebody's own data: what lies at the path that an experiment names, counted and measured when the experiment is read.
//!
//! Each form is a file here. It says which files there are and reads them; what is counted, measured and remembered of them is the same
//! for all.

mod census;
mod hold_out;
mod measure;
mod memo;
mod survey;

mod array;
mod arrays;
mod columns;
mod foreign;
mod hub;
mod listing;
mod npz;
mod tensors;

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use self::hub::Shards;
use self::listing::Listing;
use super::{CATALOG, DataConfig, Error, Images, Kind, Normalisation, Target, digest};

pub use census::Census;
pub use survey::{OnCount, survey, unchanged};

/// What lies at a path.
enum Found {
    Folder(Listing),
    Arrays(PathBuf),
    Parquet(Shards),
}

/// Images as they are read, their shape known as far as the configuration tells it, nothing measured.
struct Parts {
    train: Images,
    test: Images,
    classes: Vec<String>,
}

/// A key of `data` that has no sense beside the others.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub key: &'static str,
    /// Follows the key's path.
    pub message: String,
    pub hint: &'static str,
}

/// The first key about own data that is missing, impossible or out of place.
#[must_use]
pub fn problem(config: &DataConfig) -> Option<Problem> {
    let DataConfig { kind, path, size, test, tokens, context, target, .. } = config;
    let problem = |key, message, hint| Some(Problem { key, message, hint });
    let of_text = [("context", context.is_some()), ("tokens", tokens.is_some())];
    if let Some((key, _)) = of_text.into_iter().find(|(_, is_given)| *is_given && !kind.is_text()) {
        let message = format!("is for text, not for `{}`", kind.name());
        return problem(key, message, "`shakespeare` and `text` are");
    }
    if kind.is_text() && *target != Target::Label {
        let message = format!("is `input`, which is not learned of `{}`, a text", kind.name());
        return problem("target", message, "images and vectors can be given back");
    }
    if context.is_some_and(|context| !(1..=MOST_TOKENS).contains(&context)) {
        return problem("context", format!("must be from 1 to {MOST_TOKENS} tokens"), "64 and 256 are usual");
    }
    let given =
        [("path", path.is_some()), ("size", size.is_some()), ("test", test.is_some()), ("tokens", tokens.is_some())];
    if !kind.is_own() {
        let (key, _) = given.into_iter().find(|(_, is_given)| *is_given)?;
        let message = format!("is for your own data, not for `{}`", kind.name());
        return problem(
            key,
            message,
            "`folder`, `arrays`, `parquet` and `text` are; published sets are looked for in `data_dir`, a key at the top of the file",
        );
    }
    let hint = CATALOG.iter().find(|entry| entry.name == kind.name()).map_or("", |entry| entry.example);
    match (path, size, test) {
        (None, ..) => problem("path", "is missing: the folder or file with the data".into(), hint),
        (_, Some(_), _) if matches!(kind, Kind::Arrays | Kind::Text) => {
            problem("size", "cannot be chosen: arrays and texts are taken as they are".into(), "leave it out")
        }
        (_, Some(size), _) if !(1..=MOST_EDGE).contains(size) => {
            problem("size", format!("must be from 1 to {MOST_EDGE} pixels (got {size})"), "64 and 224 are usual")
        }
        (_, _, Some(share)) if !(*share > 0.0 && *share < 1.0) => problem(
            "test",
            format!("must be greater than 0 and below 1 (got {share})"),
            "0.2 takes a fifth of each class",
        ),
        _ => None,
    }
}

/// Tokens of the longest window.
const MOST_TOKENS: usize = 65_536;

/// Pixels along the longest edge that images are brought to.
const MOST_EDGE: usize = 4096;

/// Training and test images of data that a census was taken of.
pub(super) fn read(config: &DataConfig, census: &Census) -> Result<(Images, Images), Error> {
    let Parts { mut train, mut test, .. } = look(config)?.read(config)?;
    for images in [&mut train, &mut test] {
        images.shape = census.shape;
        images.normalisation = census.normalisation();
    }
    Ok((train, test))
}

fn look(config: &DataConfig) -> Result<Found, Error> {
    let path = config.path.as_deref().unwrap_or(Path::new(""));
    match config.kind {
        Kind::Folder => listing::list(path, config.test).map(Found::Folder),
        Kind::Parquet => hub::shards(path, config.test).map(Found::Parquet),
        _ => arrays::file(path).map(Found::Arrays),
    }
}

impl Found {
    /// The files that decide the numbers: what they are called within the path, and where they are.
    fn files(&self) -> Vec<(PathBuf, PathBuf)> {
        match self {
            Self::Folder(listing) => listing.files(),
            Self::Arrays(path) => vec![(PathBuf::new(), path.clone())],
            Self::Parquet(shards) => shards.files(),
        }
    }

    fn read(self, config: &DataConfig) -> Result<Parts, Error> {
        match self {
            Self::Folder(listing) => Ok(listing.into_parts(config.size)),
            Self::Arrays(path) => arrays::read(&path, config.test, config.target),
            Self::Parquet(shards) => hub::read(&shards, config),
        }
    }

    /// What is worth saying of files that are left aside.
    fn remarks(&self) -> Vec<String> {
        match self {
            Self::Folder(listing) => listing.remarks(),
            Self::Arrays(_) => Vec::new(),
            Self::Parquet(shards) => shards.remarks(),
        }
    }

    /// Files that are no data, in words.
    fn passed(&self) -> Option<String> {
        match self {
            Self::Folder(listing) => listing.passed.words(),
            Self::Arrays(_) | Self::Parquet(_) => None,
        }
    }
}

/// `sha256:` and the checksum of names and contents; the place and the name of the whole have no part in it.
fn checksum(files: &[(PathBuf, PathBuf)]) -> Result<String, Error> {
    let sum = |(_, path): &(PathBuf, PathBuf)| {
        let file = std::fs::File::open(path).map_err(Error::io(path))?;
        digest::sha256(file).map_err(Error::io(path))
    };
    let sums = files.par_iter().map(sum).collect::<Result<Vec<String>, Error>>()?;
    let mut whole = Sha256::new();
    for ((name, _), sum) in files.iter().zip(sums) {
        // The separator of folders is the same everywhere.
        for part in name {
            whole.update(part.as_encoded_bytes());
            whole.update(b"/");
        }
        whole.update(format!("\0{sum}\n"));
    }
    Ok(format!("sha256:{}", digest::text(&whole.finalize())))
}

/// Nothing is measured yet.
fn unmeasured() -> Normalisation {
    Normalisation { mean: Vec::new().into(), deviation: Vec::new().into() }
}

/// The folder `path`, or what is there instead.
fn folder_at(path: &Path) -> Result<(), Error> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(Error::own(path, "is a file (must be a folder)", of_ending(path))),
        Err(error) => Err(absent(path, &error)),
    }
}

/// The kind of data that a file's ending speaks of.
fn of_ending(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("npz" | "safetensors") => "kind = \"arrays\" reads it",
        Some("parquet") => "kind = \"parquet\" reads it",
        Some("zip" | "tar" | "gz" | "tgz") => "unpack it, and name the folder",
        _ => "name the folder that holds the class folders",
    }
}

fn absent(path: &Path, error: &std::io::Error) -> Error {
    Error::own(path, format!("cannot be read: {error}"), "a relative path starts from the experiment file's folder")
}
