//! Experiments: a TOML file becomes trials. Nothing is run here, and nothing is written.
//!
//! A file is a base, arms that overlay it, and axes that multiply both. A trial is one fully resolved configuration; its id is a
//! hash of that configuration, so it is the same on every machine and whatever the arm is called.

mod contents;
mod file;
pub mod inverse;
mod order;
mod parts;
mod points;
mod preset;
mod scale;
mod schema;
mod search;
mod sweep;
mod tuning;
mod validate;
mod warning;

use std::path::{Path, PathBuf};

pub use crate::data::own::OnCount;
pub use schema::schema;
pub use search::By;
pub use tuning::{Search, TUNING};

use self::contents::Contents;
use crate::optim::OptimizerConfig;
use crate::text::Shown;
use crate::{config, train};

/// What is run.
#[derive(Debug, Clone)]
pub struct Experiment {
    pub name: String,
    /// The folder with data that the file names.
    pub data_dir: Option<PathBuf>,
    pub checkpoint: train::CheckpointConfig,
    /// What trials are to reach on the test set: an accuracy, as a fraction, or a loss.
    pub target: Option<f64>,
    /// The arms' names, in the order of the file.
    pub arms: Vec<String>,
    /// In the order in which they are run.
    pub trials: Vec<Trial>,
    /// What `trials` are tuned by, if they are not the experiment itself.
    pub search: Option<Box<Search>>,
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
    /// Told before one's own data are counted and measured, if that takes long.
    pub on_count: Option<OnCount>,
}

/// Why an experiment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read `{}`: {source}\nhint: name an experiment file such as experiments/quickstart.toml", path.shown())]
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

/// An experiment's file, read once: it may be a pipe, and may be edited while its trials run.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// An experiment of either kind, every trial of it resolved. Nothing is run before everything is known to be valid.
    ///
    /// # Errors
    /// A key is unknown, a value of the wrong type or impossible: the message names file, line and key.
    pub fn resolve(&self, overrides: &Overrides) -> Result<Work, Error> {
        let file = file::read(self, overrides)?;
        if file.task == parts::Task::Inverse {
            return inverse::resolve(file).map(Work::Inverting);
        }
        let file::File { name, data_dir, checkpoint, target, order, arms, axes, search, sets, mut warnings, .. } = file;
        let space = search.as_ref().map_or(&[][..], |search| &search.space);
        let trials_of = |arms: &[parts::Arm], warnings: &mut Vec<String>| {
            sweep::trials(arms, &axes, space, &sets, Contents::of(&self.path, overrides.on_count), warnings)
        };
        let mut trials = trials_of(&arms, &mut warnings)?;
        let tuned = search.as_ref().and_then(|search| search.tuned(&arms));
        let tuned = tuned.map(|arms| trials_of(&arms, &mut Vec::new())).transpose()?;
        let whole = tuned.map(|tuned| std::mem::replace(&mut trials, tuned)).unwrap_or_default();
        search.iter().try_for_each(|search| search.has_its_target(target.is_some()))?;
        let search = search.map(|drawn| Search::new(drawn, order, &mut trials, whole).map(Box::new)).transpose()?;
        warnings.extend(search.iter().flat_map(|search| search.warnings(&trials)));
        let arms = arms.into_iter().map(|arm| arm.name).collect();
        let trials = order.arrange(trials);
        let target = target.map(|(target, origin)| reachable(target, &origin, &trials)).transpose()?;
        Ok(Work::Training(Experiment { name, data_dir, checkpoint, target, arms, trials, search, warnings }))
    }
}

/// A target is one number of one metric, and not beyond the best there is.
fn reachable(target: f64, origin: &config::Origin, trials: &[Trial]) -> Result<f64, config::Error> {
    let mut goals = trials.iter().map(|trial| train::Task::of(&trial.config).goal());
    let Some(goal) = goals.next() else { return Ok(target) };
    if let Some(other) = goals.find(|other| *other != goal) {
        let message =
            format!("`target` is one number, but some trials are judged by {}, others by {}", goal.title, other.title);
        return Err(config::Error::at(origin, message)
            .hint("without it time is measured to what half of the arms of each problem reach"));
    }
    if !goal.reaches(goal.gap.best, target) {
        let message = format!("`target` must be above 0 and at most 1 (got {target})");
        return Err(config::Error::at(origin, message).hint("target = 0.9 stands for 90 %"));
    }
    Ok(target)
}

/// Reads an experiment of either kind and [resolves](Source::resolve) it.
///
/// # Errors
/// It cannot be read, or something in it is wrong.
pub fn open(path: &Path, overrides: &Overrides) -> Result<Work, Error> {
    Source::read(path)?.resolve(overrides)
}

/// The same of an experiment that trains nets.
///
/// # Errors
/// As for [`open`], and the task is another.
pub fn read(path: &Path, overrides: &Overrides) -> Result<Experiment, Error> {
    match open(path, overrides)? {
        Work::Training(experiment) => Ok(experiment),
        Work::Inverting(_) => {
            let origin = config::Origin { source: path.shown().into(), line: None };
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
