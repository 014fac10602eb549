use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::output::line;
use anyhow::bail;
use clap::{Args, ValueEnum};
use nkfac_bench::experiment::TUNING;
use nkfac_bench::figure::{self, COLUMN, Data, PAGE, Style, Table, Theme};
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
    /// As wide as a paper's page (7 inches) or as one of its two columns (3⅜ inches)
    #[arg(long, value_enum, default_value_t = Width::Page)]
    width: Width,
    /// Light ink on dark ground
    #[arg(long)]
    dark: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Width {
    Column,
    Page,
}

impl Figure {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let width = match self.width {
            Width::Column => COLUMN,
            Width::Page => PAGE,
        };
        let theme = if self.dark { Theme::Dark } else { Theme::Light };
        draw(&self.folder, &self.names, Style { width, theme }, true)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Draws into `folder/figures`; with `show`, prints the table and says where the figures are.
pub fn draw(folder: &Path, names: &[String], style: Style, show: bool) -> anyhow::Result<()> {
    let data = read(folder)?;
    let written = figure::render(folder, &data, names, style)?;
    if show {
        line(format_args!("\n{}", Table::new(&data)?.terminal()));
        line(format_args!("{} figures and tables in {}", written.len(), folder.join("figures").display()));
    }
    Ok(())
}

/// Reads a folder of results; what had to be skipped goes to standard error.
pub fn read(folder: &Path) -> anyhow::Result<Data> {
    let results = match record::read(folder) {
        Err(record::Error::Empty { .. }) if folder.join(TUNING).is_dir() => bail!(
            "only tuning trials are in `{0}`, and no reruns of the best yet\nhint: `nkfac-bench run` runs them when all tuning trials are done; `{0}/{TUNING}` is a results folder, too",
            folder.display()
        ),
        other => other?,
    };
    for skipped in &results.skipped {
        eprintln!("warning: {skipped}");
    }
    Ok(Data::new(results)?)
}
