use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};

use nkfac_bench::text::Shown;

use super::output::line;

/// Print the man page, or write one for every subcommand into a folder
///
/// For man nkfac-bench and man nkfac-bench-run: nkfac-bench man ~/.local/share/man/man1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Man {
    /// The folder for all pages; it must exist
    folder: Option<PathBuf>,
}

impl Man {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let command = super::Cli::command();
        if let Some(folder) = self.folder {
            clap_mangen::generate_to(command, &folder)
                .with_context(|| format!("cannot write man pages into `{}`", folder.shown()))?;
        } else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            line(String::from_utf8_lossy(&page).trim_end())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
