//! What a configuration is chosen by.

use std::path::Path;

use super::read::read_file;
use super::{Metric, Scope, Status};

/// Accuracy and loss on the validation images after the last epoch of the trial in `path`; `None` if it diverged.
///
/// # Errors
/// The file is not there, damaged, of other origin, or of a trial without validation images: says so.
pub fn validation(path: &Path) -> Result<Option<[f64; 2]>, String> {
    let frame = read_file(path)?;
    let column = |name: &str| frame.column(name).map_err(|error| error.to_string());
    let text = |name: &str| column(name)?.str().map_err(|error| error.to_string());
    if text("status")?.first() != Some(Status::Finished.name()) {
        return Ok(None);
    }
    let (scopes, metrics) = (text("scope")?, text("metric")?);
    let values = column("value")?.f64().map_err(|error| error.to_string())?;
    let last = |metric: Metric| {
        let wanted = (Some(Scope::Validation.name()), Some(metric.name()));
        let place = (0..frame.height()).rev().find(|&row| (scopes.get(row), metrics.get(row)) == wanted);
        place.and_then(|row| values.get(row)).ok_or_else(|| format!("it has no {metric} on validation images"))
    };
    Ok(Some([last(Metric::Accuracy)?, last(Metric::Loss)?]))
}
