use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print a completion script for a shell
///
/// For bash: nkfac-bench completions bash > ~/.local/share/bash-completion/completions/nkfac-bench
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Completions {
    shell: Shell,
}

impl Completions {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        clap_complete::generate(self.shell, &mut super::Cli::command(), "nkfac-bench", &mut std::io::stdout());
        Ok(ExitCode::SUCCESS)
    }
}
