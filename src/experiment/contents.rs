//! Files whose contents decide a trial's numbers.
//!
//! A trial is named after what is in them: their checksum stands in its resolved configuration where the experiment has a path. Where
//! they lie, and how the path is spelled, changes no name.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Trial;
use crate::config::{self, Value, to_json};
use crate::train::Config;

/// The files that an experiment names, each read once.
pub struct Contents {
    /// What relative paths in the experiment file start from.
    folder: PathBuf,
    sums: HashMap<PathBuf, String>,
}

impl Contents {
    /// Of the experiment in `file`. A pipe lies nowhere: its paths start from the working folder.
    pub fn of(file: &Path) -> Self {
        let folder = file.parent().filter(|_| file.is_file()).unwrap_or(Path::new(""));
        Self { folder: folder.to_owned(), sums: HashMap::new() }
    }

    /// Reads a configuration. Paths that a file says are relative to it, those of the command line to the working folder.
    pub fn config(&self, value: &Value) -> Result<Config, config::Error> {
        let mut config: Config = config::from_value(value)?;
        if let Some(path) = &mut config.init_from
            && value.locate("init_from").line.is_some()
        {
            *path = self.folder.join(&path);
        }
        Ok(config)
    }

    /// The resolved configuration, with checksums for paths.
    pub fn resolve(&mut self, mut config: Config, value: &Value) -> Result<serde_json::Value, config::Error> {
        if let Some(path) = config.init_from {
            let sum = self.sum(&path).map_err(|error| {
                let message = format!("`init_from` is `{}`, which cannot be read: {error}", path.display());
                config::Error::at(value.locate("init_from"), message)
            })?;
            config.init_from = Some(sum.into());
        }
        to_json(&config).map_err(|error| config::Error::at(&value.origin, error.to_string()))
    }

    fn sum(&mut self, path: &Path) -> io::Result<String> {
        if let Some(sum) = self.sums.get(path) {
            return Ok(sum.clone());
        }
        let sum = checksum(path)?;
        self.sums.insert(path.to_owned(), sum.clone());
        Ok(sum)
    }
}

impl Trial {
    /// The file that it starts from, if that is no longer the one it is named after.
    pub(crate) fn changed(&self) -> Option<&Path> {
        let path = self.config.init_from.as_deref()?;
        // One that cannot be read is named by whoever loads it.
        let sum = checksum(path).ok()?;
        (self.json["init_from"] != sum.as_str()).then_some(path)
    }
}

/// `sha256:` and 64 hexadecimal digits.
fn checksum(path: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    io::copy(&mut File::open(path)?, &mut digest)?;
    Ok(digest.finalize().iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
