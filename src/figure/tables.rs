//! The tables of several problems, one below the other.

use polars::prelude::{Column, DataFrame, DataType, PlSmallStr, PolarsResult};

use super::{Data, Table, markdown};
use crate::record::csv;

/// A table for each problem, with its name where there are several.
#[derive(Debug)]
pub struct Tables(Vec<(Option<String>, Table)>);

impl Tables {
    /// Sums up all results of an experiment.
    ///
    /// # Errors
    /// polars fails.
    pub fn new(data: &Data) -> PolarsResult<Self> {
        let table = |(name, part): (Option<&str>, &Data)| Ok((name.map(str::to_owned), Table::new(part)?));
        Ok(Self(data.problems().map(table).collect::<PolarsResult<_>>()?))
    }

    /// In columns, for a terminal of so many, or as wide as it comes.
    #[must_use]
    pub fn terminal(&self, columns: Option<usize>) -> String {
        self.each(|name| format!("{name}\n"), |table| table.terminal(columns))
    }

    /// As Markdown tables that are aligned as text too.
    #[must_use]
    pub fn markdown(&self) -> String {
        self.each(|name| format!("**{}**\n\n", markdown(name)), Table::markdown)
    }

    /// As one CSV (RFC 4180) with all digits, in the units of the columns' names; accuracies are fractions. It has the columns of all tables:
    /// of lines that are judged by a loss the accuracy is empty.
    ///
    /// # Errors
    /// polars fails.
    pub fn csv(&self) -> PolarsResult<String> {
        let mut names: Vec<&PlSmallStr> = Vec::new();
        for name in self.0.iter().flat_map(|(_, table)| table.frame().get_column_names()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut all = DataFrame::empty();
        for (_, table) in &self.0 {
            let mut frame = table.frame().clone();
            for name in &names {
                if frame.column(name).is_err() {
                    let missing = Column::full_null((*name).clone(), frame.height(), &DataType::Float64);
                    frame.with_column(missing)?;
                }
            }
            let frame = frame.select(names.iter().map(|name| name.as_str()))?;
            all = if all.width() == 0 { frame } else { all.vstack(&frame)? };
        }
        Ok(csv(&all))
    }

    fn each(&self, title: impl Fn(&str) -> String, text: impl Fn(&Table) -> String) -> String {
        let one =
            |(name, table): &(Option<String>, Table)| name.as_deref().map(&title).unwrap_or_default() + &text(table);
        self.0.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}
