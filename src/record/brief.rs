//! What is to be known of a trial without its rows.

use std::path::Path;

use polars::prelude::*;

use super::Status;
use super::read::read_file;

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
    })
}
