//! Files whose contents decide a trial's numbers.
//!
//! A trial is named after what is in them: their checksum stands in its resolved configuration where the experiment has a path. Where
//! they lie, and how the path is spelled, changes no name.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Trial;
use crate::config::{self, Value, to_json};
use crate::data::DataConfig;
use crate::data::own::{self, Census, OnCount};
use crate::text::Shown;
use crate::train::Config;

/// The files that an experiment names, each read once.
pub struct Contents {
    /// What relative paths in the experiment file start from.
    folder: PathBuf,
    sums: HashMap<PathBuf, String>,
    /// Own data, by all that decides what is counted.
    censuses: Vec<(DataConfig, Arc<Census>)>,
    on_count: Option<OnCount>,
}

impl Contents {
    /// Of the experiment in `file`. A pipe lies nowhere: its paths start from the working folder.
    pub fn of(file: &Path, on_count: Option<OnCount>) -> Self {
        let folder = file.parent().filter(|_| file.is_file()).unwrap_or(Path::new(""));
        Self { folder: folder.to_owned(), sums: HashMap::new(), censuses: Vec::new(), on_count }
    }

    /// Reads a configuration, and counts its own data. Paths that a file says are relative to it, those of the command line to the working
    /// folder.
    pub fn config(&mut self, value: &Value) -> Result<Config, config::Error> {
        let mut config: Config = config::from_value(value)?;
        for (key, path) in [("init_from", &mut config.init_from), ("data.path", &mut config.data.path)] {
            if let Some(path) = path
                && value.locate(key).line.is_some()
            {
                *path = self.folder.join(&path);
            }
        }
        if let Some(own::Problem { key, message, hint }) = own::problem(&config.data) {
            let key = format!("data.{key}");
            return Err(config::Error::at(value.locate(&key), format!("`{key}` {message}")).hint(hint));
        }
        if config.data.kind.is_own() {
            let census = self.census(&config.data);
            config.data.census =
                Some(census.map_err(|error| config::Error::at(value.locate("data.path"), error.to_string()))?);
        }
        Ok(config)
    }

    fn census(&mut self, data: &DataConfig) -> Result<Arc<Census>, crate::data::Error> {
        // What of the data is used, and how it is changed in training, is counted by nobody.
        let key = |data: &DataConfig| DataConfig {
            augment: Vec::new(),
            train_limit: None,
            validation: 0,
            census: None,
            ..data.clone()
        };
        if let Some((_, census)) = self.censuses.iter().find(|(known, _)| *known == key(data)) {
            return Ok(census.clone());
        }
        let census = Arc::new(own::survey(data, self.on_count)?);
        self.censuses.push((key(data), census.clone()));
        Ok(census)
    }

    /// The resolved configuration, with checksums for paths.
    pub fn resolve(&mut self, mut config: Config, value: &Value) -> Result<serde_json::Value, config::Error> {
        if let Some(path) = config.init_from {
            let sum = self.sum(&path).map_err(|error| {
                let message = format!("`init_from` is `{}`, which cannot be read: {error}", path.shown());
                config::Error::at(value.locate("init_from"), message)
            })?;
            config.init_from = Some(sum.into());
        }
        let census = config.data.census.take();
        if let Some(census) = &census {
            config.data.path = Some(census.sum.clone().into());
        }
        let json = to_json(&config).map_err(|error| config::Error::at(&value.origin, error.to_string()))?;
        Ok(match census {
            Some(census) => with_found(json, &census),
            None => json,
        })
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

/// What the census found, on record beside what a trial is named after.
fn with_found(mut json: serde_json::Value, census: &Census) -> serde_json::Value {
    let Census { train, test, classes, mean, deviation, shape, .. } = census;
    json["data"][FOUND] = serde_json::json!({
        "train": train, "test": test, "classes": classes, "mean": mean, "deviation": deviation,
        "shape": [shape.height, shape.width, shape.channels],
    });
    json
}

/// The key of what was found. It follows from the data, whose checksum is there: it has no part in a name.
const FOUND: &str = "found";

/// What a trial is named after.
pub fn named(json: &serde_json::Value) -> serde_json::Value {
    let mut json = json.clone();
    if let Some(data) = json.get_mut("data").and_then(serde_json::Value::as_object_mut) {
        data.remove(FOUND);
    }
    json
}

impl Trial {
    /// The file that it starts from, or the data, if that is no longer what it is named after.
    pub(crate) fn changed(&self) -> Option<&Path> {
        let data = &self.config.data;
        if data.census.as_ref().is_some_and(|census| !own::unchanged(data, census)) {
            return data.path.as_deref();
        }
        let path = self.config.init_from.as_deref()?;
        // A file that cannot be read is named where it is loaded.
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
