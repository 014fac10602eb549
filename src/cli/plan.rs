use std::process::ExitCode;

use clap::Args;
use nkfac_bench::experiment::{self, Trial};

use super::inverses;
use super::output::line;
use super::selection::Selection;

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
        if let Some(comparison) = self.selection.comparison()? {
            inverses::plan(&comparison);
            return Ok(ExitCode::SUCCESS);
        }
        let experiment = self.selection.read()?;
        line(format_args!("{}: {} trials", experiment.name, experiment.trials.len()));
        let width = experiment.trials.iter().map(|trial| trial.arm.chars().count()).max().unwrap_or(0);
        for trial in &experiment.trials {
            line(format_args!("{}  {:<width$}  {}", trial.id, trial.arm, differences(trial)));
            if self.full {
                line(serde_json::to_string_pretty(&trial.json)?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `seed = 1, optimizer.precondition.inverse_every = 200`.
pub fn differences(trial: &Trial) -> String {
    experiment::listed(&trial.swept)
}
