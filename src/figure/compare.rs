//! Two lines of trials against each other, seed by seed: the same seed is the same start and the same batches.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::gather::{Lines, Member};
use super::{Data, Error, counts, group, ink, summary, texts};
use crate::catalog;
use crate::stats::{self, Paired, Verdict};

/// What lines are compared by.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Its column in the sums of a trial.
    pub name: &'static str,
    pub title: &'static str,
    /// What a difference is in: points or seconds.
    pub unit: &'static str,
    /// How many of these units make one.
    pub units: f64,
    /// Whether more is better.
    pub more: bool,
}

/// Every measure, the one that matters most first.
pub const MEASURES: [Measure; 5] = [
    Measure { name: "final_accuracy", title: "final test accuracy", unit: "points", units: 100.0, more: true },
    Measure { name: "best_accuracy", title: "best test accuracy", unit: "points", units: 100.0, more: true },
    Measure { name: "train_seconds", title: "training time", unit: "s", units: 1.0, more: false },
    Measure { name: "epoch_seconds", title: "time per epoch", unit: "s", units: 1.0, more: false },
    Measure { name: "inverse_seconds", title: "damping and inversion", unit: "s", units: 1.0, more: false },
];

/// One measure of both lines, over the seeds that finished in both.
#[derive(Debug, Clone)]
pub struct Difference {
    pub measure: Measure,
    /// Means, in the measure's unit.
    pub a: f64,
    pub b: f64,
    /// Of *a* − *b*.
    pub paired: Paired,
    /// Of ln(*a* / *b*), where these are times.
    pub ratio: Option<Paired>,
}

/// Two lines compared.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub a: String,
    pub b: String,
    /// The seeds that finished in both.
    pub seeds: Vec<u64>,
    /// How many trials have no partner: diverged, or of a seed that the other line has not.
    pub unpaired: usize,
    /// In the order of [`MEASURES`].
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Compares the lines labelled `a` and `b`.
    ///
    /// # Errors
    /// There is no such line: the message names the nearest or all.
    pub fn new(data: &Data, a: &str, b: &str) -> Result<Self, Error> {
        let query = |source| Error::Query { figure: "compare", source };
        let lines = group::lines(data, None).map_err(query)?;
        let labels = texts(&lines, "label").map_err(query)?;
        let (a, b) = (place_of(&labels, a)?, place_of(&labels, b)?);
        let names = [a, b].map(|place| labels[place].clone());
        let trials = [of_line(data, &lines, a)?, of_line(data, &lines, b)?];
        let [a_trials, b_trials] = &trials;
        let seeds: Vec<u64> = a_trials.0.keys().filter(|seed| b_trials.0.contains_key(seed)).copied().collect();
        let unpaired = trials.iter().map(|(_, all)| all - seeds.len()).sum();
        let difference = |(i, &measure): (usize, &Measure)| {
            let values = |of: &BTreeMap<u64, [f64; MEASURES.len()]>| -> Vec<f64> {
                seeds.iter().map(|seed| measure.units * of[seed][i]).collect()
            };
            let (a, b) = (values(&a_trials.0), values(&b_trials.0));
            let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
            let ratios: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (a / b).ln()).collect();
            let is_time = !measure.more && !ratios.is_empty() && ratios.iter().all(|ratio| ratio.is_finite());
            let ratio = is_time.then(|| Paired::new(&ratios));
            Difference { measure, a: stats::mean(&a), b: stats::mean(&b), paired: Paired::new(&differences), ratio }
        };
        let differences = MEASURES.iter().enumerate().map(difference).collect();
        let [a, b] = names;
        Ok(Self { a, b, seeds, unpaired, differences })
    }
}

impl Difference {
    /// What it says, in a sentence without its end: `higher by 1.20 points, 95 % interval +0.50 to +1.90, 3 seeds`, and of times
    /// `1.42 times as long, 95 % interval 1.37 to 1.47, 3 seeds`.
    #[must_use]
    pub fn words(&self) -> String {
        let paired = self.ratio.as_ref().unwrap_or(&self.paired);
        let (size, interval) = if self.ratio.is_some() { times(paired) } else { self.points() };
        match paired.verdict() {
            _ if paired.pairs == 0 => "no seed finished in both, so nothing can be said".to_owned(),
            _ if paired.mean.is_nan() => "not recorded".to_owned(),
            Verdict::TooFew => format!("{size}; {} too few to tell", seeds_are(paired.pairs)),
            Verdict::Open { needed } => {
                let more = match needed {
                    Some(needed) => format!("; about {needed} seeds needed at this spread"),
                    None => String::new(),
                };
                format!("no significant difference with {} ({size}{interval}){more}", seeds(paired.pairs))
            }
            Verdict::Higher | Verdict::Lower => format!("{size}{interval}, {}", seeds(paired.pairs)),
        }
    }

    /// Size and interval of a difference.
    fn points(&self) -> (String, String) {
        let (unit, paired) = (self.measure.unit, &self.paired);
        let size = format!("{} by {:.2} {unit}", if paired.mean < 0.0 { "lower" } else { "higher" }, paired.mean.abs());
        let interval = paired.student.map(|of| format!(", 95 % interval {:+.2} to {:+.2} {unit}", of.low, of.high));
        (size, interval.unwrap_or_default())
    }
}

/// Size and interval of a ratio of times.
fn times(ratio: &Paired) -> (String, String) {
    let interval = ratio.student.map(|of| format!(", 95 % interval {:.2} to {:.2}", of.low.exp(), of.high.exp()));
    (format!("{:.2} times as long", ratio.mean.exp()), interval.unwrap_or_default())
}

fn seeds(count: usize) -> String {
    if count == 1 { "1 seed".to_owned() } else { format!("{count} seeds") }
}

fn seeds_are(count: usize) -> String {
    format!("{} {}", seeds(count), if count == 1 { "is" } else { "are" })
}

/// The measures of a line's finished trials by seed, and how many trials it has.
fn of_line(
    data: &Data,
    lines: &DataFrame,
    place: usize,
) -> Result<(BTreeMap<u64, [f64; MEASURES.len()]>, usize), Error> {
    let query = |source| Error::Query { figure: "compare", source };
    let line = counts(lines, "line").map_err(query)?[place] as u32;
    let lines = Lines::new(lines).map_err(query)?;
    let mut members = lines.members(data).map_err(query)?;
    members.retain(|member| member.line == line);
    let row = |member: &Member| {
        let measures = data.sums[member.place].measures();
        let of = |measure: &Measure| summary::MEASURES.iter().position(|known| *known == measure.name);
        (member.seed, MEASURES.each_ref().map(|measure| of(measure).and_then(|i| measures[i]).unwrap_or(f64::NAN)))
    };
    Ok((members.iter().filter(|member| member.finished).map(row).collect(), members.len()))
}

/// Where a line stands among the labels, however its numbers are typed: `lr = 1e-7` is `lr = 10⁻⁷`.
fn place_of(labels: &[String], label: &str) -> Result<usize, Error> {
    let exact = labels.iter().position(|known| known == label);
    exact.or_else(|| labels.iter().position(|known| typed(known) == typed(label))).ok_or_else(|| {
        let mut known: Vec<&str> = labels.iter().map(String::as_str).collect();
        known.dedup();
        Error::UnknownLine { name: label.to_owned(), hint: hint(label, &known) }
    })
}

/// A label with all its numbers in one form.
fn typed(label: &str) -> String {
    let part = |part: &str| {
        let (key, value) = part.rsplit_once(" = ")?;
        let number = value.trim_end_matches(')');
        Some(format!("{key} = {:e}{}", ink::parse(number)?, &value[number.len()..]))
    };
    label.split(", ").map(|text| part(text).unwrap_or_else(|| text.to_owned())).collect::<Vec<_>>().join(", ")
}

fn hint(name: &str, known: &[&str]) -> String {
    match catalog::nearest(name, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("there are `{}`", known.join("`, `")),
    }
}
