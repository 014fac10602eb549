use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use nkfac_bench::experiment::{Experiment, Trial, Work};
use nkfac_bench::runner::{self, Pace, Phase};
use nkfac_bench::text::{self, Shown, counted, span};
use nkfac_bench::watch::{Found, Reader};
use serde_json::{Map, json};

use super::inverses;
use super::output::{line, say};
use super::selection::{Selection, warn};

/// Show the trials of an experiment without running them
///
/// Everything is resolved and checked as for a run: presets expanded, axes multiplied, impossible values refused.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    selection: Selection,
    /// Show every key of every trial
    #[arg(long)]
    full: bool,
    /// Print one JSON object per trial, with every key, for scripts
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let experiment = match self.selection.open()? {
            Work::Training(experiment) => experiment,
            Work::Inverting(comparison) => {
                inverses::plan(&comparison, self.json)?;
                return Ok(ExitCode::SUCCESS);
            }
        };
        let folder = experiment.folder(Path::new("results"));
        warn(&experiment);
        for obstacle in experiment.obstacles(&folder) {
            say(format_args!("warning: {obstacle}"));
        }
        if self.json {
            for Trial { id, arm, swept, config, json, .. } in &experiment.trials {
                let swept: Map<_, _> = swept.iter().cloned().collect();
                line(json!({ "trial": id, "arm": arm, "seed": config.seed, "swept": swept, "config": json }))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        line(head(&experiment))?;
        for data in own_data(&experiment) {
            line(data)?;
        }
        let width = experiment.trials.iter().map(|trial| text::width(&trial.arm)).max().unwrap_or(0);
        for trial in &experiment.trials {
            let text = format!("{}  {}  {}", trial.id, text::left(&trial.arm, width), differences(trial));
            line(text.trim_end())?;
            if self.full {
                line(serde_json::to_string_pretty(&trial.json)?)?;
            }
        }
        estimate(&experiment, folder)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What was counted of each set of one's own data.
fn own_data(experiment: &Experiment) -> Vec<String> {
    let mut lines = Vec::new();
    for data in experiment.trials.iter().map(|trial| &trial.config.data) {
        let Some((census, path)) = data.census.as_ref().zip(data.path.as_ref()) else { continue };
        let line = format!("`{}`: {}", path.shown(), census.summary());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// Says how long it takes yet, if enough of it has run here to tell.
fn estimate(experiment: &Experiment, folder: PathBuf) -> anyhow::Result<()> {
    let found = Reader::new(folder, Some(experiment.clone()))?.look().unwrap_or_default();
    let planned = found.iter().take(experiment.trials.len());
    let paces: Vec<Pace<'_>> = planned.map(Found::pace).collect();
    let told = paces.iter().filter(|pace| matches!(pace.phase, Phase::Ended(Some(_)))).count();
    match runner::left(&paces, 1) {
        Some(left) if told > 0 && left.seconds > 0.0 => {
            let (time, told) = (span(left.seconds), counted(told, "trial"));
            say(format_args!("about {time} left, one trial at a time, going by {told} that finished here"));
        }
        _ => {}
    }
    Ok(())
}

/// `quickstart: 8 trials`.
fn head(experiment: &Experiment) -> String {
    let Experiment { name, trials, search, .. } = experiment;
    let Some(search) = search else { return format!("{name}: {}", counted(trials.len(), "trial")) };
    let seeds: Vec<String> = search.config.rerun.iter().map(u64::to_string).collect();
    let (tuning, choices, seeds) = (counted(trials.len(), "tuning trial"), search.choices(trials), seeds.join(", "));
    format!("{name}: {tuning}, then {choices} × {} reruns (seeds {seeds})", search.config.rerun.len())
}

/// `seed = 1, optimizer.precondition.inverse_every = 200`.
pub fn differences(trial: &Trial) -> String {
    runner::listed(&trial.swept)
}
