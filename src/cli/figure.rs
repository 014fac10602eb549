use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::output::line;
use clap::Args;
use nkfac_bench::figure::{self, Table};
use nkfac_bench::record;

/// Draw the figures of a results folder again
///
/// They go to figures/ in that folder, as SVG and PNG, with the table as Markdown and CSV beside them.
#[derive(Debug, Args)]
pub struct Figure {
    /// A results folder, such as results/quickstart
    folder: PathBuf,
    /// Only these figures [default: all; see `list figures`]
    names: Vec<String>,
}

impl Figure {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        draw(&self.folder, &self.names, true)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Draws into `folder/figures`; with `show`, prints the table and says where the figures are.
pub fn draw(folder: &Path, names: &[String], show: bool) -> anyhow::Result<()> {
    let results = record::read(folder)?;
    for skipped in &results.skipped {
        eprintln!("warning: {skipped}");
    }
    let written = figure::render(folder, &results.rows, names)?;
    if show {
        line(format_args!("\n{}", Table::new(&results.rows)?.terminal()));
        line(format_args!("{} figures and tables in {}", written.len(), folder.join("figures").display()));
    }
    Ok(())
}
