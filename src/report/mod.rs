//! A folder of results as an answer: which optimizer, by how much, how sure, and how it was found out.
//!
//! What a report says is gathered once and written as HTML, Markdown or LaTeX. It knows results and figures, not how trials run.

mod answer;

mod facts;

mod verdict;

mod html;

mod markdown;

mod latex;

mod serve;

#[cfg(test)]
mod tests;

use polars::prelude::PolarsError;
use rayon::prelude::*;

use crate::catalog::Entry;
use crate::figure::{self, COLUMN, Canvas, Data, Differences, PAGE, Table};
use facts::Facts;
pub use serve::Server;
pub use verdict::Scales;
use verdict::Verdict;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Figure(#[from] figure::Error),
    #[error("cannot make a report of these results: {0}")]
    Query(#[from] PolarsError),
    #[error("the table of published figures is broken: {0}")]
    Published(#[from] toml::de::Error),
}

/// All that a report says.
pub struct Report {
    facts: Facts,
    /// Sentences, the one that matters most first.
    answer: Vec<String>,
    table: Table,
    figures: Vec<Drawn>,
    differences: Differences,
    verdicts: Vec<Verdict>,
}

/// A figure for wide screens and paper, and for narrow ones.
struct Drawn {
    entry: Entry,
    wide: Canvas,
    narrow: Canvas,
}

impl Report {
    /// Gathers everything that these results tell.
    pub fn new(data: &Data, scales: Scales) -> Result<Self, Error> {
        let table = Table::new(data)?;
        let differences = figure::differences(data)?;
        Ok(Self {
            facts: Facts::new(data)?,
            answer: answer::sentences(data, &table)?,
            verdicts: verdict::verdicts(data, &differences, scales)?,
            figures: figure::ALL.par_iter().map(|&figure| draw(figure, data)).collect::<Result<_, _>>()?,
            table,
            differences,
        })
    }

    /// One file that needs nothing else: no network, no other file.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// The answer and the tables, for a README or an issue.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::text(self)
    }

    /// The main table for a paper (package `booktabs`).
    #[must_use]
    pub fn latex(&self) -> String {
        latex::table(&self.table)
    }
}

fn draw(figure: &dyn figure::Figure, data: &Data) -> Result<Drawn, figure::Error> {
    let entry = figure.entry();
    let failed = |source| figure::Error::Query { figure: entry.name, source };
    let numbers = figure.query(data).map_err(failed)?;
    let canvas = |width| figure.draw(&numbers, width).map_err(failed);
    Ok(Drawn { entry, wide: canvas(PAGE)?, narrow: canvas(COLUMN)? })
}
