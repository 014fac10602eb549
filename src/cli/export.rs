use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use nkfac_bench::export::{self, Exported};

use nkfac_bench::text::{Shown, counted};

use super::output::{line, say};
use super::place::Place;

/// Write results for other programs: CSV, or event files for TensorBoard
///
/// CSV: trials.csv says where each trial's numbers come from, <trial>.csv holds them. TensorBoard: a folder for each trial, for
/// tensorboard --logdir. Every number is exported, those of single steps too.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Target {
    /// Write CSV to this folder
    #[arg(long, value_name = "DIR")]
    csv: Option<PathBuf>,
    /// Write event files to this folder
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
}

impl Export {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let (folder, names) = self.place.names()?;
        if let Some(to) = self.target.csv {
            tell(&export::to_csv(&folder, names.as_ref(), &to)?, &to)?;
        }
        if let Some(to) = self.target.tensorboard {
            tell(&export::to_tensorboard(&folder, names.as_ref(), &to)?, &to)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(exported: &Exported, to: &std::path::Path) -> anyhow::Result<()> {
    for skipped in &exported.skipped {
        say(format_args!("warning: {skipped}"));
    }
    line(format_args!("{} in {}", counted(exported.trials, "trial"), to.shown()))
}
