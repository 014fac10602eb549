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
use crate::text::plain;
use facts::Facts;
pub use serve::{Asked, Server};
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
    parts: Vec<Part>,
    figures: Vec<Drawn>,
    /// In the order of their colours.
    arms: Vec<String>,
}

/// What it says of one problem, a data set and a net.
struct Part {
    /// Its name, where there are several.
    problem: Option<String>,
    /// Sentences, the one that matters most first.
    answer: Vec<String>,
    table: Table,
    differences: Differences,
    verdicts: Vec<Verdict>,
}

/// A figure for wide screens and paper, and for narrow ones.
struct Drawn {
    entry: Entry,
    wide: Canvas,
    narrow: Canvas,
    /// The same with the test error on a logarithmic axis, or without it: wide and narrow.
    switched: Option<[Canvas; 2]>,
}

impl Report {
    /// Gathers everything that these results tell.
    pub fn new(data: &Data, scales: Scales) -> Result<Self, Error> {
        let part = |(problem, data): (Option<&str>, &Data)| {
            let (table, differences) = (Table::new(data)?, figure::differences(data)?);
            Ok(Part {
                problem: problem.map(str::to_owned),
                answer: answer::sentences(data, &table)?,
                verdicts: verdict::verdicts(data, &differences, scales)?,
                table,
                differences,
            })
        };
        Ok(Self {
            facts: Facts::new(data)?,
            arms: data.results.arms.clone(),
            parts: data.problems().map(part).collect::<Result<_, Error>>()?,
            figures: figure::ALL.par_iter().map(|&figure| draw(figure, data)).collect::<Result<_, _>>()?,
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

    /// The columns of the main tables, each once.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = Vec::new();
        for column in self.parts.iter().flat_map(|part| &part.table.columns) {
            if !keys.contains(&column.key.as_str()) {
                keys.push(&column.key);
            }
        }
        keys
    }

    /// These columns of the main tables, as far as each has them, or all but the interval, for a paper (package `booktabs`).
    #[must_use]
    pub fn latex(&self, columns: &[String]) -> String {
        let table = |part: &Part| {
            let problem = part.problem.as_deref().map(|problem| format!("% {}\n", plain(problem)));
            problem.unwrap_or_default() + &latex::table(&part.table, columns)
        };
        self.parts.iter().map(table).collect::<Vec<_>>().join("\n")
    }
}

fn draw(figure: &dyn figure::Figure, data: &Data) -> Result<Drawn, figure::Error> {
    let ([wide, narrow], switched) = figure::draw_both(figure, data, [PAGE, COLUMN])?;
    Ok(Drawn { entry: figure.entry(), wide, narrow, switched })
}
