use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use nkfac_bench::runner;

use super::output::line;

/// Remove what is unfinished in a results folder: checkpoints, marks of failure, files half written
///
/// Results are never touched, nor is what a process is running. It asks first.
#[derive(Debug, Args)]
pub struct Clean {
    /// A results folder, such as results/quickstart
    folder: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Clean {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        if !self.folder.is_dir() {
            bail!("`{}` is no folder of results\nhint: name one such as results/quickstart", self.folder.display());
        }
        let paths = runner::leftovers(&self.folder)
            .with_context(|| format!("cannot read folder `{}`", self.folder.display()))?;
        if paths.is_empty() {
            line("nothing is unfinished");
            return Ok(ExitCode::SUCCESS);
        }
        for path in &paths {
            line(path.display());
        }
        if !self.yes && !asked(paths.len())? {
            line("nothing is removed");
            return Ok(ExitCode::SUCCESS);
        }
        let mut removed = 0;
        for path in &paths {
            let gone = runner::discard(path).with_context(|| format!("cannot remove `{}`", path.display()))?;
            removed += usize::from(gone);
        }
        line(format_args!("{removed} removed"));
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether the person at the terminal wants it.
fn asked(count: usize) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody is there to ask\nhint: `--yes` removes the {count} without asking");
    }
    eprint!("remove {count}, with all training since their start? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
