use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use nkfac_bench::report;

use super::figure::read;
use super::output::line;

/// Write a report that answers the question: which optimizer, by how much, how sure
///
/// One HTML file that needs nothing else: the answer in words, a table to sort, every figure with values under the pointer, what differs
/// between the arms, published figures beside measured ones, and how to do it again.
#[derive(Debug, Args)]
pub struct Report {
    /// A results folder, such as results/quickstart
    folder: PathBuf,
    /// Where to write it, - for standard output [default: report.html in that folder, report.md or table.tex]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The answer and the tables as Markdown
    #[arg(long, conflicts_with = "latex")]
    markdown: bool,
    /// The main table as LaTeX (booktabs): the best in bold, what is within one deviation of it underlined
    #[arg(long)]
    latex: bool,
}

impl Report {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let report = report::Report::new(&read(&self.folder)?)?;
        let (text, name) = match (self.markdown, self.latex) {
            (true, _) => (report.markdown(), "report.md"),
            (_, true) => (report.latex(), "table.tex"),
            _ => (report.html(), "report.html"),
        };
        let path = self.out.unwrap_or_else(|| self.folder.join(name));
        if path.as_os_str() == "-" {
            line(text.trim_end());
        } else {
            std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
            line(path.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}
