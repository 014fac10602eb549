//! The order in which a reader meets arms.

use std::collections::HashMap;

use polars::prelude::*;

/// Arms in the order in which their first trials started, which is all that results alone can tell.
pub(super) fn arms(trials: &DataFrame) -> PolarsResult<Vec<String>> {
    let mut started: HashMap<&str, f64> = HashMap::new();
    for (arm, time) in trials.column("arm")?.str()?.iter().zip(trials.column("started")?.f64()?.iter()) {
        let (Some(arm), time) = (arm, time.unwrap_or(f64::INFINITY)) else { continue };
        let first = started.entry(arm).or_insert(time);
        *first = first.min(time);
    }
    let mut arms: Vec<(&str, f64)> = started.into_iter().collect();
    arms.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(b.0)));
    Ok(arms.into_iter().map(|(arm, _)| arm.to_owned()).collect())
}
