//! What is to be known of a trial without its rows.

use std::path::Path;

use polars::prelude::*;

use super::disturbance::{disturbance, last};
use super::read::read_file;
use super::{Goal, Metric, Scope, Status};

/// What a list of trials says of one that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    pub trial: String,
    pub arm: String,
    /// The swept keys and their values, as a JSON object.
    pub swept: String,
    pub seed: u64,
    pub status: Status,
    /// Epochs that were asked for.
    pub epochs: u32,
    pub host: String,
    pub device: String,
    pub threads: u32,
    /// Seconds since 1970, UTC.
    pub started: f64,
    /// Training seconds.
    pub seconds: f64,
    /// Wall-clock seconds, where they were recorded: loading, evaluation and checkpoints included.
    pub wall: Option<f64>,
    /// The last value on the test set of what it is judged by.
    pub test: Option<(Goal, f64)>,
    /// What disturbed its times, if anything did.
    pub disturbance: Option<String>,
}

impl Brief {
    /// How long such a trial takes, if this one ran to its end.
    #[must_use]
    pub fn took(&self) -> Option<f64> {
        (self.status == Status::Finished).then(|| self.wall.unwrap_or(self.seconds))
    }
}

/// The trial in `path`, in brief.
///
/// # Errors
/// The file cannot be read, is damaged or of other origin: says so.
pub fn brief(path: &Path) -> Result<Brief, String> {
    of(&read_file(path)?)
}

/// The trial whose rows these are, in brief.
pub(super) fn of(frame: &DataFrame) -> Result<Brief, String> {
    let column = |name: &str| frame.column(name).map_err(|_| format!("it has no column `{name}`"));
    let text = |name: &str| {
        let texts = column(name)?.str().map_err(|error| error.to_string())?;
        Ok::<_, String>(texts.last().ok_or("it has no rows")?.to_owned())
    };
    let number = |name: &str| {
        let numbers = column(name)?.cast(&DataType::Float64).map_err(|error| error.to_string())?;
        let last = numbers.f64().map_err(|error| error.to_string())?.last();
        last.ok_or_else(|| "it has no rows".to_owned())
    };
    let seed = column("seed")?.u64().map_err(|error| error.to_string())?.last().ok_or("it has no rows")?;
    let status = text("status")?;
    Ok(Brief {
        trial: text("trial")?,
        arm: text("arm")?,
        swept: text("swept")?,
        seed,
        status: Status::from_name(&status).ok_or_else(|| format!("its status is `{status}`"))?,
        epochs: number("epochs")? as u32,
        host: text("host")?,
        device: text("device")?,
        threads: number("threads")? as u32,
        started: number("started")?,
        seconds: number("seconds")?,
        wall: last(frame, Metric::WallSeconds).map_err(|error| error.to_string())?,
        test: test(frame).map_err(|error| error.to_string())?,
        disturbance: disturbance(frame).map_err(|error| error.to_string())?,
    })
}

fn test(frame: &DataFrame) -> PolarsResult<Option<(Goal, f64)>> {
    let names = frame.column("scope")?.str()?.iter().zip(frame.column("metric")?.str()?.iter());
    let tested: Vec<(&str, f64)> = names
        .zip(frame.column("value")?.f64()?.iter())
        .filter(|((scope, _), _)| *scope == Some(Scope::Test.name()))
        .filter_map(|((_, metric), value)| metric.zip(value))
        .collect();
    let goal = Goal::among(tested.iter().map(|(metric, _)| *metric));
    let last = |goal: Goal| tested.iter().rfind(|(metric, _)| *metric == goal.metric.name()).map(|(_, value)| *value);
    Ok(goal.and_then(|goal| Some((goal, last(goal)?))))
}
