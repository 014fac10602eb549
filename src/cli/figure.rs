use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use nkfac_bench::figure::{self, COLUMN, Data, FOLDER, PAGE, Style, Tables, Theme, View};
use nkfac_bench::text::Shown;

use super::output::{columns, line, say};
use super::place::Place;

/// Redraw the figures of an experiment
///
/// They go to _figures/ in the folder of its results, as SVG, PDF and PNG, with the table as Markdown and CSV beside them. Other widths, themes and
/// views go to files of their own, such as curves-column-dark.pdf.
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
    /// Draw every point of a sweep, not each arm at its best one alone
    #[arg(long)]
    all: bool,
    /// Draw these arms only; needs --out
    #[arg(long, value_name = "ARM", value_delimiter = ',', requires = "out")]
    only: Vec<String>,
    /// Call an arm something else; needs --out
    #[arg(long, value_name = "OLD=NEW", value_parser = renaming, requires = "out")]
    label: Vec<(String, String)>,
    /// The folder for figures and tables [default: _figures/ in the folder of the results]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Draw the test error on a logarithmic axis [default: where every line ends above 90 %]
    #[arg(long)]
    error: bool,
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
        let data = data.choose(&self.only, &self.label)?.with(View { all: self.all, error: self.error });
        let folder = self.out.unwrap_or_else(|| folder.join(FOLDER));
        draw(&folder, &data, &self.names, Style { width, theme }, true)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `OLD=NEW` apart.
fn renaming(text: &str) -> Result<(String, String), String> {
    let (old, new) = text.split_once('=').ok_or_else(|| format!("expected OLD=NEW, got `{text}`"))?;
    if new.is_empty() { Err("the new name is empty".into()) } else { Ok((old.to_owned(), new.to_owned())) }
}

/// Draws into `folder`; with `show`, prints the table and says where the figures are.
pub fn draw(folder: &Path, data: &Data, names: &[String], style: Style, show: bool) -> anyhow::Result<()> {
    let written = figure::render(folder, data, names, style)?;
    if show {
        for unequal in figure::unequal(data)? {
            say(format_args!("warning: {unequal}"));
        }
        line(format_args!("\n{}", Tables::new(data)?.terminal(columns())))?;
        if let Some(undrawn) = figure::undrawn(data)? {
            say(format_args!("figures show {undrawn} (`figure --all` draws every point)"));
        }
        line(format_args!("{} figures and tables in {}", written.len(), folder.shown()))?;
    }
    Ok(())
}
