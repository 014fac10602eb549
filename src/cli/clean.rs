use std::io::{IsTerminal, Write};
use std::mem;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use nkfac_bench::runner::{self, Entry, Standing};
use nkfac_bench::text::Shown;

use super::output::{line, say};
use super::place::Place;
use super::selection::Changes;

/// Remove what is unfinished in a results folder: checkpoints, failure records, partial files
///
/// Results are never touched, nor is what a process is running. With --stale it removes instead the results that the experiment's file no
/// longer has. It asks first.
#[derive(Debug, Args)]
pub struct Clean {
    /// A results folder, such as results/quickstart; with --stale, an experiment (a TOML file)
    place: PathBuf,
    /// Remove the results of trials that the experiment's file does not have (any more), tuning trials excepted
    #[arg(long)]
    stale: bool,
    /// The folder for results, where an experiment is named
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

impl Clean {
    pub fn execute(mut self) -> anyhow::Result<ExitCode> {
        let paths = if self.stale { self.stale()? } else { self.leftovers()? };
        if paths.is_empty() {
            line(if self.stale { "nothing is stale" } else { "nothing is unfinished" })?;
            return Ok(ExitCode::SUCCESS);
        }
        for path in &paths {
            line(path.shown())?;
        }
        if !self.yes && !asked(paths.len(), self.stale)? {
            line("nothing is removed")?;
            return Ok(ExitCode::SUCCESS);
        }
        let (mut removed, mut kept) = (0, 0);
        for path in &paths {
            match runner::discard(path) {
                Ok(gone) => removed += usize::from(gone),
                Err(error) => {
                    say(format_args!("error: cannot remove `{}`: {error}", path.shown()));
                    kept += 1;
                }
            }
        }
        line(format_args!("{removed} removed"))?;
        Ok(if kept == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn leftovers(&self) -> anyhow::Result<Vec<PathBuf>> {
        let place = self.place.shown();
        if !self.place.is_dir() {
            bail!("`{place}` is not a results folder\nhint: name one such as results/quickstart");
        }
        runner::leftovers(&self.place).with_context(|| format!("cannot read folder `{place}`"))
    }

    /// The files of trials that have ended and that the experiment's file does not have.
    fn stale(&mut self) -> anyhow::Result<Vec<PathBuf>> {
        if self.place.is_dir() {
            let place = self.place.shown();
            bail!("`{place}` is a folder, and only an experiment's file says what is stale\nhint: name the TOML file");
        }
        let place = Place::of(self.place.clone(), self.results.clone(), mem::take(&mut self.changes));
        let (folder, names) = place.names()?;
        let Some(names) = names else { return Ok(Vec::new()) };
        let known = |trial: &str| names.trials.iter().any(|name| name.trial == trial);
        let entries =
            runner::survey(&folder, None).with_context(|| format!("cannot read folder `{}`", folder.shown()))?;
        let ended = |entry: &&Entry| matches!(entry.standing, Standing::Finished | Standing::Diverged);
        let stale = entries.iter().filter(ended).filter(|entry| !known(&entry.trial));
        let files = |entry: &Entry| ["parquet", "safetensors"].map(|end| folder.join(&entry.trial).with_extension(end));
        Ok(stale.flat_map(files).filter(|path| path.exists()).collect())
    }
}

/// Whether the person at the terminal wants it.
fn asked(count: usize, stale: bool) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("cannot ask for confirmation: stdin is not a terminal\nhint: `--yes` removes the {count} without asking");
    }
    let cost = if stale { "which only training again brings back" } else { "with all training since their start" };
    write!(std::io::stderr(), "remove {count}, {cost}? [y/N] ").context("cannot ask for confirmation")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
