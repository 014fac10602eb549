use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use nkfac_bench::record;

use super::output::line;

/// Say whether two results folders hold the same numbers, bit for bit
///
/// Times and memory aside, the same trials give the same bits on the same kind of machine, however often they were interrupted. The
/// exit code is 1 if they differ.
#[derive(Debug, Args)]
pub struct Same {
    /// A results folder, such as results/quickstart
    one: PathBuf,
    /// Another one
    other: PathBuf,
}

impl Same {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let (difference, common) = record::compare(&self.one, &self.other)?;
        Ok(match difference {
            None => {
                line(format_args!("the same: {common} numbers, bit for bit"))?;
                ExitCode::SUCCESS
            }
            Some(difference) => {
                line(format_args!("different, with {common} numbers in common; the first: {difference}"))?;
                ExitCode::FAILURE
            }
        })
    }
}
