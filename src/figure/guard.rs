//! Whether times can be compared. They may have been disturbed; and the same net on the same batches takes the same time forward and
//! backward, whatever the optimizer makes of its gradients.

use std::collections::BTreeMap;

use polars::prelude::*;
use serde_json::Value;

use super::{Data, group, numbers, texts};
use crate::record::disturbance;
use crate::text::counted;

/// How far apart the times of equal work may be.
const MOST: f64 = 1.1;

/// Seconds of forward and backward passes from which on that can be told: of less, noise is a larger part.
const LEAST: f64 = 2.0;

/// A line for each net, data set and machine whose trials took more than a tenth longer for the same passes than the fastest did.
pub fn unequal(data: &Data) -> PolarsResult<Vec<String>> {
    let trials = &data.results.trials;
    let column = |name: &str| texts(trials, name);
    let (ids, arms, configs) = (column("trial")?, column("arm")?, column("config")?);
    let places = column("host")?.into_iter().zip(column("device")?).zip(numbers(trials, "threads")?);
    let (names, nets) = (column("dataset")?, column("model")?);
    let mut groups: BTreeMap<String, Vec<(f64, usize)>> = BTreeMap::new();
    for (i, ((host, device), threads)) in places.enumerate() {
        let sums = &data.sums[i];
        if sums.passes >= LEAST && !sums.epochs.is_empty() {
            let key = format!("{host} {device} {threads} {}", work(&configs[i]));
            groups.entry(key).or_default().push((sums.passes / sums.epochs.len() as f64, i));
        }
    }
    let mut lines = Vec::new();
    for mut group in groups.into_values() {
        group.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (Some(&(fastest, one)), Some(&(slowest, last))) = (group.first(), group.last()) else { continue };
        if slowest > MOST * fastest {
            let slow = group.iter().filter(|(seconds, _)| *seconds > MOST * fastest).count();
            lines.push(format!(
                "times of {}, {} are not on equal terms: the same forward and backward passes took {fastest:.2} to {slowest:.2} s per \
                 epoch ({} more than 10 % above the fastest; slowest {} of {})",
                names[one],
                nets[one],
                counted(slow, "trial"),
                ids[last],
                arms[last]
            ));
        }
    }
    Ok(lines)
}

/// How many trials of each line had their times disturbed, of how many, where any had: `(label, disturbed, trials)`.
pub fn disturbed(data: &Data) -> PolarsResult<Vec<(String, usize, usize)>> {
    let mut found: Vec<(String, usize, usize)> = Vec::new();
    for (problem, part) in data.problems() {
        let lines = group::lines(part, None)?;
        for (trial, label) in texts(&lines, "trial")?.into_iter().zip(texts(&lines, "label")?) {
            let Some(rows) = part.places.get(&trial).map(|&place| &part.results.rows[place]) else { continue };
            let count = usize::from(disturbance(rows)?.is_some());
            let label = problem.map_or(label.clone(), |problem| format!("{label} on {problem}"));
            match found.last_mut() {
                Some((last, disturbed, trials)) if *last == label => {
                    (*disturbed, *trials) = (*disturbed + count, *trials + 1);
                }
                _ => found.push((label, count, 1)),
            }
        }
    }
    found.retain(|(_, disturbed, _)| *disturbed > 0);
    Ok(found)
}

/// What decides how long a pass takes: the configuration less what makes a step of its gradients.
fn work(config: &str) -> String {
    let mut config: Value = serde_json::from_str(config).unwrap_or_default();
    if let Value::Object(keys) = &mut config {
        for key in ["optimizer", "schedule", "seed", "search", "init_from", "epochs", "label_smoothing", "probe"] {
            keys.remove(key);
        }
    }
    config.to_string()
}
