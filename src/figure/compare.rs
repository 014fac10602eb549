//! Two lines of trials against each other, seed by seed: the same seed is the same start and the same batches.

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::*;

use super::gather::{Lines, Member};
use super::{Data, Error, Round, counts, group, ink, summary, sums, table, texts};
use crate::catalog;
use crate::record::Goal;
use crate::stats::{self, ENOUGH, Paired, Verdict};

/// What lines are compared by.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Its name for programs, that of the table's CSV.
    pub name: String,
    pub title: String,
    /// What its values are in.
    pub unit: &'static str,
    /// What a difference is in: points, nats, seconds or milliseconds.
    pub points: &'static str,
    /// How many of these units make one.
    pub units: f64,
    /// Decimals that are shown.
    pub decimals: usize,
    /// Whether it is a time, which is compared as a ratio.
    pub is_time: bool,
    /// Whether more is better.
    pub more: bool,
    /// Where it is among the sums of a trial.
    place: usize,
}

impl Measure {
    /// Every measure of trials that are judged by `goal` after each `round`, the one that matters most first.
    #[must_use]
    pub fn all(goal: Goal, round: Round) -> Vec<Self> {
        let places = |name: &str| sums::MEASURES.iter().position(|known| *known == name);
        let of_goal = |which: &str| Self {
            name: goal.key(which),
            title: format!("{which} test {}", goal.title),
            unit: goal.unit,
            points: goal.points,
            units: goal.units,
            decimals: goal.decimals,
            is_time: false,
            more: goal.more,
            place: places(which).unwrap_or_default(),
        };
        let time = |(name, title, unit, units): (&str, &str, &'static str, f64)| Self {
            name: name.to_owned(),
            title: title.replace("epoch", &round.to_string()),
            unit,
            points: unit,
            units,
            decimals: 2,
            is_time: true,
            more: false,
            place: places(name).unwrap_or_default(),
        };
        ["final", "best"].into_iter().map(of_goal).chain(TIMES.into_iter().map(time)).collect()
    }
}

/// Times: name, title, unit, and how many of it make a second.
const TIMES: [(&str, &str, &str, f64); 4] = [
    ("train_seconds", "training time", "s", 1.0),
    ("epoch_seconds", "time per epoch", "s", 1.0),
    ("added_step_seconds", "added per step", "ms", 1e3),
    ("inverse_seconds", "damping and inversion", "s", 1.0),
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
    /// In the order of [`Measure::all`].
    pub differences: Vec<Difference>,
    /// How the points of swept arms were chosen, where an arm was named without one.
    pub chosen: Option<String>,
}

impl Comparison {
    /// Compares the lines labelled `a` and `b` in each problem that has both, with the problem's name where there are several.
    ///
    /// # Errors
    /// There is no such line in any of them: the message names the nearest or all.
    pub fn of_each_problem(data: &Data, a: &str, b: &str) -> Result<Vec<(Option<String>, Self)>, Error> {
        let compared: Vec<_> = data.problems().map(|(name, part)| (name, Self::new(part, a, b))).collect();
        if compared.iter().all(|(_, compared)| compared.is_err()) {
            return compared.into_iter().map(|(_, compared)| compared.map(|compared| (None, compared))).collect();
        }
        let named =
            |(name, compared): (Option<&str>, Result<Self, Error>)| Some((name.map(str::to_owned), compared.ok()?));
        Ok(compared.into_iter().filter_map(named).collect())
    }

    /// Compares the lines labelled `a` and `b` of one problem.
    ///
    /// # Errors
    /// There is no such line: the message names the nearest or all.
    pub fn new(data: &Data, a: &str, b: &str) -> Result<Self, Error> {
        let query = |source| Error::Query { figure: "compare", source };
        let lines = group::lines(data, None).map_err(query)?;
        let labels = texts(&lines, "label").map_err(query)?;
        let arms = counts(&lines, "arm").map_err(query)?;
        let arms: Vec<&str> = arms.iter().map(|&arm| data.results.arms[arm].as_str()).collect();
        let drawn = summary::drawn(data).map_err(query)?;
        let find = |name: &str| {
            place_of(&labels, name)
                .or_else(|| only_of(name, &labels, &arms, &drawn))
                .ok_or_else(|| unknown(name, &labels, &arms))
        };
        let (names, [a, b]) = ([a, b], [find(a)?, find(b)?]);
        let is_chosen = names.into_iter().zip([a, b]).any(|(name, place)| name == arms[place] && name != labels[place]);
        let chosen = if is_chosen { summary::undrawn(data).map_err(query)? } else { None };
        let names = [a, b].map(|place| labels[place].clone());
        let measures = Measure::all(data.goal, data.round);
        let trials = [of_line(data, &lines, a, &measures)?, of_line(data, &lines, b, &measures)?];
        let [a_trials, b_trials] = &trials;
        let seeds: Vec<u64> = a_trials.0.keys().filter(|seed| b_trials.0.contains_key(seed)).copied().collect();
        let unpaired = trials.iter().map(|(_, all)| all - seeds.len()).sum();
        let difference = |(i, measure): (usize, Measure)| {
            let values = |of: &BTreeMap<u64, Vec<f64>>| -> Vec<f64> {
                seeds.iter().map(|seed| measure.units * of[seed][i]).collect()
            };
            let (a, b) = (values(&a_trials.0), values(&b_trials.0));
            let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
            let ratios: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (a / b).ln()).collect();
            let has_ratio = measure.is_time && !ratios.is_empty() && ratios.iter().all(|ratio| ratio.is_finite());
            let ratio = has_ratio.then(|| Paired::new(&ratios));
            Difference { measure, a: stats::mean(&a), b: stats::mean(&b), paired: Paired::new(&differences), ratio }
        };
        let differences = measures.into_iter().enumerate().map(difference).collect();
        let [a, b] = names;
        Ok(Self { a, b, seeds, unpaired, differences, chosen })
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

    /// The two means, to be read: `97.64 and 96.53 %`, `0.229 and 0.127 s`.
    #[must_use]
    pub fn means(&self) -> String {
        let Measure { unit, decimals, is_time, .. } = &self.measure;
        let shown = |mean: f64| if *is_time { table::digits(mean) } else { format!("{mean:.decimals$}") };
        format!("{} and {} {unit}", shown(self.a), shown(self.b)).trim_end().to_owned()
    }

    /// What the bootstrap says of the same, where there are pairs enough for it.
    #[must_use]
    pub fn resampled(&self) -> Option<String> {
        let (paired, decimals) = (self.ratio.as_ref().unwrap_or(&self.paired), self.measure.decimals);
        let interval = paired.bootstrap.filter(|_| paired.pairs >= ENOUGH)?;
        Some(match self.ratio {
            Some(_) => format!("bootstrap of the ratio {:.2} to {:.2}", interval.low.exp(), interval.high.exp()),
            None => {
                let points = self.measure.points;
                format!(
                    "bootstrap of the difference {:+.decimals$} to {:+.decimals$} {points}",
                    interval.low, interval.high
                )
            }
        })
    }

    /// Whether neither line spends any time on it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.measure.is_time && self.a == 0.0 && self.b == 0.0
    }

    /// Size and interval of a difference.
    fn points(&self) -> (String, String) {
        let (paired, decimals) = (&self.paired, self.measure.decimals);
        let unit = if self.measure.points.is_empty() { String::new() } else { format!(" {}", self.measure.points) };
        let size = match paired.mean {
            0.0 => "equal".to_owned(),
            mean => format!("{} by {:.decimals$}{unit}", if mean < 0.0 { "lower" } else { "higher" }, mean.abs()),
        };
        let interval =
            paired.student.map(|of| format!(", 95 % interval {:+.decimals$} to {:+.decimals$}{unit}", of.low, of.high));
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
    measures: &[Measure],
) -> Result<(BTreeMap<u64, Vec<f64>>, usize), Error> {
    let query = |source| Error::Query { figure: "compare", source };
    let line = counts(lines, "line").map_err(query)?[place] as u32;
    let lines = Lines::new(lines).map_err(query)?;
    let mut members = lines.members(data).map_err(query)?;
    members.retain(|member| member.line == line);
    let row = |member: &Member| {
        let sums = data.sums[member.place].measures;
        (member.seed, measures.iter().map(|measure| sums[measure.place].unwrap_or(f64::NAN)).collect())
    };
    Ok((members.iter().filter(|member| member.finished).map(row).collect(), members.len()))
}

/// Where a line stands among the labels, however its numbers are typed: `lr = 1e-7` is `lr = 10⁻⁷`.
fn place_of(labels: &[String], label: &str) -> Option<usize> {
    let exact = labels.iter().position(|known| known == label);
    exact.or_else(|| labels.iter().position(|known| typed(known) == typed(label)))
}

/// Where the only line of an arm stands that is drawn: its best point, where several arms are swept.
fn only_of(arm: &str, labels: &[String], arms: &[&str], drawn: &BTreeSet<String>) -> Option<usize> {
    let of_arm = (0..labels.len()).filter(|&place| arms[place] == arm && drawn.contains(&labels[place]));
    let mut places: Vec<usize> = of_arm.collect();
    places.dedup_by_key(|place| &labels[*place]);
    if let [only] = places[..] { Some(only) } else { None }
}

/// There is no such line, or an arm has several.
fn unknown(name: &str, labels: &[String], arms: &[&str]) -> Error {
    let lines = |is_asked: &dyn Fn(&str) -> bool| {
        let mut lines: Vec<&str> =
            labels.iter().zip(arms).filter(|(_, arm)| is_asked(arm)).map(|(label, _)| label.as_str()).collect();
        lines.dedup();
        lines
    };
    if arms.contains(&name) {
        let hint = format!("name one: `{}`", lines(&|arm| arm == name).join("`, `"));
        return Error::SeveralLines { name: name.to_owned(), hint };
    }
    let known = lines(&|_| true);
    let hint = match catalog::nearest(name, known.iter().chain(arms).copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("there are `{}`", known.join("`, `")),
    };
    Error::UnknownLine { name: name.to_owned(), hint }
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
