use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use nkfac_bench::experiment::{Experiment, Trial, Work};
use nkfac_bench::runner;
use nkfac_bench::text::counted;

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
}

impl Plan {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let experiment = match self.selection.open()? {
            Work::Training(experiment) => experiment,
            Work::Inverting(comparison) => {
                inverses::plan(&comparison)?;
                return Ok(ExitCode::SUCCESS);
            }
        };
        warn(&experiment);
        for missing in experiment.missing_data(&experiment.folder(Path::new("results"))) {
            say(format_args!("warning: {missing}"));
        }
        line(head(&experiment))?;
        let width = experiment.trials.iter().map(|trial| trial.arm.chars().count()).max().unwrap_or(0);
        for trial in &experiment.trials {
            line(format_args!("{}  {:<width$}  {}", trial.id, trial.arm, differences(trial)))?;
            if self.full {
                line(serde_json::to_string_pretty(&trial.json)?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
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
