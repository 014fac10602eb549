//! The settings of a recorded run, and how they are spelt here.

use serde::Deserialize;

use super::{Error, net::Model, trace::Trace, words::Words};

/// What a trace says of itself.
#[derive(Debug, Deserialize)]
pub struct Spec {
    pub model: Model,
    /// Absent from traces of one pass of a full-size model.
    pub optimizer: Option<Words>,
    /// What was recorded, if neither of these.
    pub task: Option<String>,
    #[serde(default)]
    pub steps: usize,
    /// How many numbers the reference trains, if recorded.
    pub parameters: Option<usize>,
}

/// The trace's settings; `None` if it has none, as the primitives.
pub fn read(trace: &Trace) -> Result<Option<Spec>, Error> {
    let Some(text) = &trace.spec else { return Ok(None) };
    let spec = serde_json::from_str(text).map_err(|error| trace.error(format!("`spec`: {error}")))?;
    Ok(Some(spec))
}
