//! Experiments: a TOML file becomes trials. Nothing is run here, and nothing is written.
//!
//! A file is a base, arms that overlay it, and axes that multiply both. A trial is one fully resolved configuration; its id is a
//! hash of that configuration, so it is the same on every machine and whatever the arm is called.

mod contents;
mod file;
pub mod inverse;
mod order;
mod parts;
mod preset;
mod scale;
mod schema;
mod search;
mod sweep;
mod tuning;
mod validate;
mod warning;

use std::path::{Path, PathBuf};

pub use schema::schema;
pub use tuning::{Search, TUNING};

use self::contents::Contents;
use crate::optim::OptimizerConfig;
use crate::{config, train};

/// What is run.
#[derive(Debug, Clone)]
pub struct Experiment {
    pub name: String,
    /// The folder with data that the file names.
    pub data_dir: Option<PathBuf>,
    pub checkpoint: train::CheckpointConfig,
    /// The test accuracy that trials are to reach, as a fraction.
    pub target: Option<f64>,
    /// The arms' names, in the order of the file.
    pub arms: Vec<String>,
    /// In the order in which they are run.
    pub trials: Vec<Trial>,
    /// What `trials` are tuned by, if they are not the experiment itself.
    pub search: Option<Search>,
    /// What is legal, but probably not meant.
    pub warnings: Vec<String>,
}

/// One training run.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Twelve hexadecimal digits.
    pub id: String,
    pub arm: String,
    /// The swept keys and their values here.
    pub swept: Vec<(String, serde_json::Value)>,
    pub config: train::Config,
    /// The resolved configuration, complete, as JSON with sorted keys, checksums in place of paths; under `search` what it was drawn by.
    pub json: serde_json::Value,
    /// The name of the optimizer's preset, or of its stages if it is spelled out.
    pub optimizer: String,
}

/// What the command line changes in a file.
#[derive(Debug, Default, Clone)]
pub struct Overrides {
    /// `key=value` each: overlays every arm.
    pub set: Vec<String>,
    /// The first so many of the file's seeds; 1, 2, … if it has fewer.
    pub seeds: Option<usize>,
    /// One of the file's scales in place of its own, `paper`.
    pub scale: Option<String>,
}

/// Why an experiment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read `{}`: {source}\nhint: name an experiment file such as experiments/quickstart.toml", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(
        "arms `{first}` and `{second}` have a trial in common, {id}: they do not differ\nhint: `plan --full` shows every key of it"
    )]
    SameTrial { first: String, second: String, id: String },
}

/// What a file asks for.
#[derive(Debug)]
pub enum Work {
    /// Nets are trained.
    Training(Experiment),
    /// Random matrices are inverted.
    Inverting(inverse::Comparison),
}

/// Reads an experiment of either kind and resolves every trial of it. Nothing is run before everything is known to be valid. The file is
/// read once: it may be a pipe.
///
/// # Errors
/// A key is unknown, a value of the wrong type or impossible: the message names file, line and key.
pub fn open(path: &Path, overrides: &Overrides) -> Result<Work, Error> {
    let file = file::read(path, overrides)?;
    if file.task == parts::Task::Inverse {
        return inverse::resolve(file).map(Work::Inverting);
    }
    let file::File { name, data_dir, checkpoint, target, order, arms, axes, search, sets, mut warnings, .. } = file;
    let space = search.as_ref().map_or(&[][..], |search| &search.space);
    let mut trials = sweep::trials(&arms, &axes, space, &sets, Contents::of(path), &mut warnings)?;
    let search = search.map(|drawn| Search::new(drawn, order, &mut trials)).transpose()?;
    warnings.extend(search.iter().flat_map(|search| search.warnings(&trials)));
    let arms = arms.into_iter().map(|arm| arm.name).collect();
    let trials = order.arrange(trials);
    Ok(Work::Training(Experiment { name, data_dir, checkpoint, target, arms, trials, search, warnings }))
}

/// The same of an experiment that trains nets.
///
/// # Errors
/// As for [`open`], and the task is another.
pub fn read(path: &Path, overrides: &Overrides) -> Result<Experiment, Error> {
    match open(path, overrides)? {
        Work::Training(experiment) => Ok(experiment),
        Work::Inverting(_) => {
            let origin = config::Origin { source: path.display().to_string().into(), line: None };
            Err(config::Error::at(&origin, "`task` is `inverse`: nothing is trained here".to_owned())
                .hint("`run` and `plan` take it")
                .into())
        }
    }
}

/// The optimizer that TOML text describes, as it would stand under `optimizer` in an experiment: a preset's name and what
/// overlays it, or the stages spelled out.
///
/// # Errors
/// A key is unknown, a value of the wrong type or impossible: the message names line and key.
pub fn optimizer(text: &str) -> Result<OptimizerConfig, Error> {
    let table = config::Value::parse("optimizer", text)?;
    let root = config::Value { origin: table.origin.clone(), node: config::Node::Table(Vec::new()) };
    let (value, _) = preset::expand(root.set("optimizer", table))?;
    let Some(table) = value.get("optimizer") else { return Err(config::Error::missing_key("optimizer").into()) };
    let optimizer = config::from_value(table)?;
    match validate::problem_of_optimizer(&optimizer) {
        Some(problem) => Err(problem.at(&value).into()),
        None => Ok(optimizer),
    }
}
