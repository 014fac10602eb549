//! What was run, on what machine, how long.

use std::collections::BTreeSet;

use polars::prelude::*;

use crate::figure::{Data, Round, digits};
use crate::record::{Goal, Status};
use crate::text::{plain, shell};

/// The circumstances of results.
pub struct Facts {
    pub experiment: String,
    /// `(name, value)`, in the order to be read.
    pub rows: Vec<(&'static str, String)>,
    /// Shell commands that give these results again.
    pub commands: Vec<String>,
}

impl Facts {
    /// Gathers them from the trials' origins.
    pub fn new(data: &Data) -> PolarsResult<Self> {
        let trials = &data.results.trials;
        let all = |name: &str| distinct(trials, name);
        let states = distinct_counts(trials, "status")?;
        let count = |status: Status| states.iter().filter(|state| **state == status.name()).count();
        let (finished, diverged) = (count(Status::Finished), count(Status::Diverged));
        let started = floats(trials, "started")?;
        let first = started.iter().copied().fold(f64::INFINITY, f64::min);
        let last = started.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let seconds: f64 = data.sums.iter().flat_map(|sums| &sums.epochs).sum();
        let load = floats(trials, "load")?.into_iter().fold(f64::NAN, f64::max);
        let missing = match data.results.missing {
            0 => String::new(),
            missing => format!(", {missing} of the experiment's file without a result yet"),
        };
        let mut rows = vec![
            ("data set", all("dataset")?),
            ("net", all("model")?),
            ("parameters", values(data.sums.iter().filter_map(|sums| sums.parameters))),
            ("training examples", values(data.sums.iter().filter_map(|sums| sums.images))),
            (if data.round == Round::Epoch { "epochs" } else { "evaluations" }, all("epochs")?),
            ("batch", all("batch")?),
            ("seeds", all("seed")?),
            ("trials", format!("{finished} finished, {diverged} diverged{missing}")),
            ("training time, all trials", duration(seconds)),
            ("started", format!("{} to {} UTC", date(first), date(last))),
            ("processor", all("cpu")?),
            ("device, threads", format!("{}, {}", all("device")?, all("threads")?)),
            ("numbers", all("dtype")?),
            ("host", all("host")?),
            ("version, commit", format!("{}, {}", all("version")?, all("commit")?)),
        ];
        rows.extend(tuning(data)?.map(|said| ("tuning", said)));
        if load.is_finite() {
            rows.push(("highest load at a start", digits(load)));
        }
        let experiment = all("experiment")?;
        Ok(Self { commands: commands(data, &experiment)?, rows, experiment })
    }
}

/// How many configurations the trials of each arm are of or were chosen from, where a search drew them.
fn tuning(data: &Data) -> PolarsResult<Option<String>> {
    let trials = &data.results.trials;
    let configs = trials.column("config")?.str()?.iter().zip(&data.sums);
    let mut all: Vec<(String, BTreeSet<&str>)> = Vec::new();
    for (arm, (config, sums)) in trials.column("arm")?.str()?.iter().zip(configs) {
        let goal = sums.goal.unwrap_or(data.goal);
        let said = config.map(|config| drawn_by(config, goal)).unwrap_or_default();
        let place = all.iter().position(|(known, _)| *known == said).unwrap_or(all.len());
        if place == all.len() {
            all.push((said, BTreeSet::new()));
        }
        all[place].1.extend(arm);
    }
    if let [(said, _)] = all.as_slice() {
        return Ok((!said.is_empty()).then(|| format!("each arm {said}")));
    }
    let said = |(said, arms): &(String, BTreeSet<&str>)| {
        let said = if said.is_empty() { "without a search" } else { said };
        format!("{} {said}", arms.iter().copied().collect::<Vec<_>>().join(", "))
    };
    Ok(Some(all.iter().map(said).collect::<Vec<_>>().join("; ")))
}

/// What a configuration says of the search that it is from; nothing if it is from none.
fn drawn_by(config: &str, goal: Goal) -> String {
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    let search = &config["search"];
    let text = |key: &str| search[key].as_str().unwrap_or_default();
    let (kind, trials, seed) = (text("kind"), &search["trials"], &search["seed"]);
    let with = search.get("base").map_or(String::new(), |base| format!(", tuned with {base}"));
    match text("phase") {
        "rerun" => format!(
            "the best of {trials} configurations by {} ({kind}, seed {seed}{with}), rerun over fresh seeds",
            if search["by"] == "target" {
                "steps to the target on the validation set".to_owned()
            } else {
                format!("validation {}", goal.title)
            }
        ),
        "tuning" => format!("tried at {trials} configurations ({kind}, seed {seed}{with})"),
        _ => String::new(),
    }
}

/// A run with the same code, device and threads gives the same bits.
fn commands(data: &Data, experiment: &str) -> PolarsResult<Vec<String>> {
    let trials = &data.results.trials;
    let (commit, device, threads) =
        (distinct(trials, "commit")?, distinct(trials, "device")?, distinct(trials, "threads")?);
    let clean = commit.trim_end_matches("-dirty");
    let word = |path: String| shell(plain(&path));
    let [file, folder] = data
        .again
        .clone()
        .unwrap_or_else(|| [word(format!("experiments/{experiment}.toml")), word(format!("results/{experiment}"))]);
    let note = if clean == commit { "" } else { "   # and edits that were not committed" };
    Ok(vec![
        format!("git checkout {clean}{note}"),
        "cargo build --release".to_owned(),
        format!("target/release/nkfac-bench run {file} --device {device} --threads {threads}"),
        format!("target/release/nkfac-bench report {folder}"),
    ])
}

/// The different values of a column, the first eight of them.
fn distinct(frame: &DataFrame, name: &str) -> PolarsResult<String> {
    let mut seen: Vec<String> = Vec::new();
    for value in distinct_counts(frame, name)? {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen.sort_by_key(|value| value.parse::<u64>().ok());
    Ok(abridged(seen))
}

fn abridged(mut all: Vec<String>) -> String {
    const MOST: usize = 8;
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    all.join(", ") + &rest
}

fn distinct_counts(frame: &DataFrame, name: &str) -> PolarsResult<Vec<String>> {
    let column = frame.column(name)?.cast(&DataType::String)?;
    Ok(column.str()?.iter().map(|value| value.unwrap_or_default().to_owned()).collect())
}

fn floats(frame: &DataFrame, name: &str) -> PolarsResult<Vec<f64>> {
    Ok(frame.column(name)?.f64()?.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

/// The different whole numbers among `values`.
fn values(values: impl Iterator<Item = f64>) -> String {
    let values: BTreeSet<u64> = values.map(|value| value as u64).collect();
    if values.is_empty() { "–".to_owned() } else { abridged(values.into_iter().map(grouped).collect()) }
}

/// Digits in groups of three.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let group = |(i, digit): (usize, char)| {
        let gap = i > 0 && (digits.len() - i).is_multiple_of(3);
        gap.then_some('\u{202f}').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

/// Seconds as a person says them.
pub fn duration(seconds: f64) -> String {
    match seconds {
        7200.0.. => format!("{} hours", digits(seconds / 3600.0)),
        120.0.. => format!("{} minutes", digits(seconds / 60.0)),
        _ => format!("{} seconds", digits(seconds)),
    }
}

/// `2026-11-24 13:49` of seconds since 1970, UTC (H. Hinnant, "chrono-compatible low-level date algorithms": days to civil).
fn date(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "–".to_owned();
    }
    let (days, rest) = ((seconds / 86400.0).floor() as i64, seconds.rem_euclid(86400.0) as i64);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", rest / 3600, rest / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::{date, duration, grouped};

    #[test]
    fn times_and_numbers_are_written_for_people() {
        // date -u -d @1795528156
        assert_eq!(date(1_795_528_156.0), "2026-11-24 13:49");
        assert_eq!(date(951_782_400.0), "2000-02-29 00:00");
        assert_eq!([3.0, 200.0, 9000.0].map(duration), ["3.00 seconds", "3.33 minutes", "2.50 hours"]);
        assert_eq!([7, 1437, 11_173_962].map(grouped), ["7", "1\u{202f}437", "11\u{202f}173\u{202f}962"]);
    }
}
