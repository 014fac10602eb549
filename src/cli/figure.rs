use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use nkfac_bench::figure::{self, COLUMN, Data, PAGE, Style, Table, Theme};

use super::output::line;
use super::place::Place;

/// Redraw the figures of an experiment
///
/// They go to figures/ in the folder of its results, as SVG and PNG, with the table as Markdown and CSV beside them.
#[derive(Debug, Args)]
pub struct Figure {
    #[command(flatten)]
    place: Place,
    /// Only these figures [default: all; see `list figures`]
    names: Vec<String>,
    /// As wide as a paper's page (7 inches) or as one of its two columns (3⅜ inches)
    #[arg(long, value_enum, default_value_t = Width::Page)]
    width: Width,
    /// Light lines on a dark background
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
        let (folder, data) = self.place.read()?;
        draw(&folder, &data, &self.names, Style { width, theme }, true)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Draws into `folder/figures`; with `show`, prints the table and says where the figures are.
pub fn draw(folder: &Path, data: &Data, names: &[String], style: Style, show: bool) -> anyhow::Result<()> {
    let written = figure::render(folder, data, names, style)?;
    if show {
        line(format_args!("\n{}", Table::new(data)?.terminal()))?;
        line(format_args!("{} figures and tables in {}", written.len(), folder.join("figures").display()))?;
    }
    Ok(())
}
