//! Published figures beside measured ones.
//!
//! Levels compare only at one scale, differences between two settings travel further: so each setting is told by its difference to the
//! first of its table that was measured, and everything in which the scales differ is spelled out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Error;
use crate::figure::{Comparison, Data, Difference, Differences};
use crate::record::{Goal, Metric};
use crate::stats;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    table: Vec<PublishedTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedTable {
    name: String,
    source: String,
    runs: usize,
    /// What its figures are of.
    #[serde(default = "accuracy")]
    metric: Metric,
    scale: BTreeMap<String, String>,
    row: Vec<PublishedRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedRow {
    setting: String,
    when: BTreeMap<String, String>,
    /// In the unit of the table's goal: percent, or nats.
    value: f64,
    sd: Option<f64>,
    seconds: Option<f64>,
}

const fn accuracy() -> Metric {
    Metric::Accuracy
}

/// One published table of which at least two settings were measured.
#[derive(Debug)]
pub struct Verdict {
    pub name: String,
    pub source: String,
    /// In what the scale differs: `data.kind: digits instead of cifar100`.
    pub scale: Vec<String>,
    pub rows: Vec<Row>,
    /// What the figures are in.
    pub unit: &'static str,
}

/// One setting; texts are ready to be read, empty where there is nothing to say.
#[derive(Debug)]
pub struct Row {
    pub setting: String,
    pub line: String,
    pub published: String,
    pub measured: String,
    pub published_difference: String,
    pub measured_difference: String,
    pub seconds: String,
    pub verdict: &'static str,
}

/// Every published table that these results have something to say about.
pub fn verdicts(data: &Data, differences: &Differences, scales: Scales) -> Result<Vec<Verdict>, Error> {
    let published: Published = toml::from_str(include_str!("published.toml"))?;
    let configs: Vec<BTreeMap<&str, &str>> =
        (0..differences.labels.len()).map(|line| config(differences, line)).collect();
    let mut verdicts = Vec::new();
    for table in published.table.iter().filter(|table| table.metric == data.goal.metric) {
        let measured: Vec<(&PublishedRow, usize)> =
            table.row.iter().filter_map(|row| Some((row, nearest(&configs, table, row, scales)?))).collect();
        let mut lines: Vec<usize> = measured.iter().map(|(_, line)| *line).collect();
        lines.dedup();
        // Two settings of one line would compare it with itself.
        if measured.len() > 1 && lines.len() == measured.len() {
            verdicts.push(verdict(data, differences, &configs, table, &measured)?);
        }
    }
    Ok(verdicts)
}

/// The configuration of one line by dotted key.
fn config(differences: &Differences, line: usize) -> BTreeMap<&str, &str> {
    let common = differences.common.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let own = differences.differing.iter().map(|(key, values)| (key.as_str(), values[line].as_str()));
    common.chain(own).filter(|(_, value)| !value.is_empty() && *value != "null").collect()
}

fn value<'a>(config: &BTreeMap<&str, &'a str>, key: &str) -> &'a str {
    config.get(key).copied().unwrap_or_default()
}

/// The keys of the table's scale in which a line differs.
fn unlike<'a>(config: &BTreeMap<&str, &str>, table: &'a PublishedTable, row: &PublishedRow) -> Vec<(&'a str, &'a str)> {
    let scale = table.scale.iter().map(|(key, wanted)| (key.as_str(), wanted.as_str()));
    // A scale of a preconditioner does not concern those that have none.
    let concerns = |key: &str| {
        !key.starts_with("optimizer.precondition.")
            || config.keys().any(|key| key.starts_with("optimizer.precondition"))
    };
    scale
        .filter(|(key, wanted)| !row.when.contains_key(*key) && concerns(key) && value(config, key) != *wanted)
        .collect()
}

/// Which published figures are set beside measured ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scales {
    /// Those of the same data set and net.
    Same,
    /// Any, with what differs spelled out.
    Any,
}

/// Of the lines with the setting the one whose scale is nearest. Several that are equally near are points of a sweep, of which nothing says which
/// one is meant: none then.
fn nearest(
    configs: &[BTreeMap<&str, &str>],
    table: &PublishedTable,
    row: &PublishedRow,
    scales: Scales,
) -> Option<usize> {
    let has = |config: &BTreeMap<&str, &str>| row.when.iter().all(|(key, wanted)| value(config, key) == wanted);
    let alike = |config: &BTreeMap<&str, &str>| {
        scales == Scales::Any
            || !unlike(config, table, row).iter().any(|(key, _)| ["data.kind", "model.kind"].contains(key))
    };
    let fitting = configs.iter().enumerate().filter(|(_, config)| has(config) && alike(config));
    let distances: Vec<(usize, usize)> =
        fitting.map(|(line, config)| (unlike(config, table, row).len(), line)).collect();
    let (least, line) = distances.iter().min().copied()?;
    (distances.iter().filter(|(distance, _)| *distance == least).count() == 1).then_some(line)
}

fn verdict(
    data: &Data,
    differences: &Differences,
    configs: &[BTreeMap<&str, &str>],
    table: &PublishedTable,
    measured: &[(&PublishedRow, usize)],
) -> Result<Verdict, Error> {
    let (first, first_line) = measured[0];
    let mut scale: Vec<String> = Vec::new();
    for (row, line) in measured {
        for (key, wanted) in unlike(&configs[*line], table, row) {
            let (found, name) =
                (value(&configs[*line], key), key.rsplit_once("optimizer.").map_or(key, |(_, key)| key));
            let said = |value: &str| if value.is_empty() { "none".to_owned() } else { value.to_owned() };
            let difference = format!("{name}: {} instead of {}", said(found), said(wanted));
            if !scale.contains(&difference) {
                scale.push(difference);
            }
        }
    }
    let label = |line: usize| differences.labels[line].as_str();
    let mut rows = Vec::new();
    for (row, line) in measured {
        let comparison = Comparison::new(data, label(*line), label(first_line))?;
        rows.push(self::row(row, first, label(*line), &comparison, table.runs, data.goal));
    }
    Ok(Verdict { name: table.name.clone(), source: table.source.clone(), scale, rows, unit: data.goal.unit })
}

fn row(
    row: &PublishedRow,
    first: &PublishedRow,
    line: &str,
    comparison: &Comparison,
    runs: usize,
    Goal { decimals, .. }: Goal,
) -> Row {
    let is_first = std::ptr::eq(row, first);
    let differences = &comparison.differences;
    let (level, inversion) = (differences.first(), differences.iter().find(|of| of.measure.name == "inverse_seconds"));
    let published = match row.sd {
        Some(sd) => format!("{:.decimals$} ± {sd:.decimals$} (n = {runs})", row.value),
        None => format!("{:.decimals$}", row.value),
    };
    let measured = level
        .filter(|of| of.a.is_finite())
        .map_or("–".to_owned(), |of| format!("{:.decimals$} (n = {})", of.a, of.paired.pairs));
    let ratio = |a: f64, b: f64| if b > 0.0 { format!("{:.2}×", a / b) } else { "–".to_owned() };
    let seconds = match (row.seconds, first.seconds, inversion) {
        (Some(own), Some(reference), Some(of)) if !is_first => {
            format!("{} published, {} measured", ratio(own, reference), ratio(of.a, of.b))
        }
        _ => String::new(),
    };
    let mut told = Row {
        setting: row.setting.clone(),
        line: line.to_owned(),
        published,
        measured,
        published_difference: String::new(),
        measured_difference: String::new(),
        seconds,
        verdict: "reference",
    };
    if let Some(of) = level.filter(|_| !is_first) {
        let expected = row.value - first.value;
        told.published_difference = format!("{expected:+.decimals$}");
        let mean = of.paired.mean;
        told.measured_difference = match of.paired.student {
            Some(of) => format!("{mean:+.decimals$} ({:+.decimals$} to {:+.decimals$})", of.low, of.high),
            None => format!("{mean:+.decimals$}"),
        };
        told.verdict = judge(of, expected);
    }
    told
}

/// What a measured difference says of a published one.
fn judge(measured: &Difference, published: f64) -> &'static str {
    let paired = &measured.paired;
    let within = paired.student.is_some_and(|interval| (interval.low..=interval.high).contains(&published));
    match paired.verdict() {
        stats::Verdict::TooFew => "too few seeds to tell",
        stats::Verdict::Open { .. } if within => "no significant difference, nor from the published one",
        stats::Verdict::Open { .. } => "no significant difference; the published one is outside the interval",
        _ if within => "consistent",
        _ if (paired.mean > 0.0) == (published > 0.0) => "same direction, other size",
        _ => "opposite direction",
    }
}

#[cfg(test)]
mod tests {
    use super::{Published, judge};
    use crate::figure::{Difference, Measure, Round};
    use crate::record::Goal;
    use crate::stats::Paired;

    #[test]
    fn published_figures_can_be_read_and_no_setting_is_another_one() {
        let published: Published = toml::from_str(include_str!("published.toml")).unwrap();
        assert!(published.table.len() >= 6);
        for table in published.table {
            for (i, row) in table.row.iter().enumerate() {
                assert!(table.row[..i].iter().all(|other| other.when != row.when), "{}: {}", table.name, row.setting);
            }
        }
    }

    #[test]
    fn a_verdict_weighs_the_published_difference_against_the_interval() {
        let of = |differences: &[f64]| Difference {
            measure: Measure::all(Goal::ACCURACY, Round::Epoch).remove(0),
            a: 0.0,
            b: 0.0,
            paired: Paired::new(differences),
            ratio: None,
        };
        assert_eq!(judge(&of(&[1.0, 1.1]), 1.0), "too few seeds to tell");
        assert_eq!(judge(&of(&[1.0, 1.1, 0.9]), 1.05), "consistent");
        assert_eq!(judge(&of(&[1.0, 1.1, 0.9]), 5.0), "same direction, other size");
        assert_eq!(judge(&of(&[1.0, 1.1, 0.9]), -1.0), "opposite direction");
        assert_eq!(judge(&of(&[1.0, -1.1, 0.9]), 0.1), "no significant difference, nor from the published one");
    }
}
