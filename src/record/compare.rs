//! Whether two folders hold the same numbers: all that a seed decides, which time and memory are not.

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::*;

use super::{Error, Metric, Results, read};

/// Trial, epoch, step, scope and metric of a number, and which it is where there are several.
type Key = (String, u32, u64, String, String, usize);

/// The first number that the results in two folders differ in, in words, and how many they have in common.
///
/// # Errors
/// A folder cannot be read or holds a file that is no result.
pub fn compare(one: &Path, other: &Path) -> Result<(Option<String>, usize), Error> {
    let (first, second) = (numbers(one)?, numbers(other)?);
    let shown = |value: Option<&f64>| value.map_or("missing".to_owned(), f64::to_string);
    let differ =
        |key: &&Key| first.get(key).map(|value| value.to_bits()) != second.get(key).map(|value| value.to_bits());
    let difference = first.keys().chain(second.keys()).find(differ).map(|key| {
        let (trial, epoch, step, scope, metric, _) = key;
        let (a, b) = (shown(first.get(key)), shown(second.get(key)));
        format!("trial {trial}, epoch {epoch}, step {step}: {scope} {metric} is {a} and {b}")
    });
    let common = first.keys().filter(|key| !differ(key)).count();
    Ok((difference, common))
}

/// Every number of a folder that does not depend on time or memory.
fn numbers(folder: &Path) -> Result<BTreeMap<Key, f64>, Error> {
    let results = read(folder)?;
    if let Some(skipped) = results.skipped.first() {
        let (folder, count) = (folder.to_owned(), results.skipped.len());
        return Err(Error::NoneReadable { folder, count, first: skipped.to_string() });
    }
    table(&results).map_err(|source| Error::Stack { folder: folder.to_owned(), source })
}

fn table(results: &Results) -> PolarsResult<BTreeMap<Key, f64>> {
    let mut numbers = BTreeMap::new();
    let trials = results.trials.column("trial")?.str()?;
    for (trial, rows) in trials.iter().flatten().zip(&results.rows) {
        add(&mut numbers, trial, rows)?;
    }
    Ok(numbers)
}

fn add(numbers: &mut BTreeMap<Key, f64>, trial: &str, rows: &DataFrame) -> PolarsResult<()> {
    let (scopes, metrics) = (rows.column("scope")?.str()?, rows.column("metric")?.str()?);
    let (epochs, steps, values) =
        (rows.column("epoch")?.u32()?, rows.column("step")?.u64()?, rows.column("value")?.f64()?);
    for i in 0..rows.height() {
        let text = |column: &StringChunked| column.get(i).unwrap_or_default().to_owned();
        let metric = text(metrics);
        let is_machine = metric == Metric::Neighbours.name() || metric.ends_with("_bytes");
        if is_machine || metric.contains("seconds") || metric.starts_with("phase_") {
            continue;
        }
        let (epoch, step) = (epochs.get(i).unwrap_or_default(), steps.get(i).unwrap_or_default());
        let mut key = (trial.to_owned(), epoch, step, text(scopes), metric, 0);
        while numbers.contains_key(&key) {
            key.5 += 1;
        }
        numbers.insert(key, values.get(i).unwrap_or(f64::NAN));
    }
    Ok(())
}
