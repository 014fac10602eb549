//! The table on a terminal.

use super::Table;
use super::table::{INTERVAL, pad, widths};
use crate::text::{plain, wrapped};

/// Blanks between two columns.
const GAP: usize = 2;

impl Table {
    /// In columns, for a terminal of so many, or as wide as it comes.
    ///
    /// Where it does not fit, columns that say the same of every line become a sentence beneath; then the interval goes, which the other
    /// tables have; then labels get lines of their own.
    #[must_use]
    pub fn terminal(&self, columns: Option<usize>) -> String {
        let texts = self.texts(plain);
        let (mut kept, mut remarks): (Vec<usize>, Vec<String>) = ((0..self.columns.len()).collect(), Vec::new());
        let room = columns.unwrap_or(usize::MAX);
        if across(&texts, &kept) > room && texts.len() > 2 {
            let is_same = |column: usize| texts[2..].iter().all(|row| row[column] == texts[1][column]);
            let (same, differing): (Vec<usize>, Vec<usize>) =
                kept.iter().partition(|&&column| column > 0 && is_same(column));
            kept = differing;
            let says = |&column: &usize| format!("{} {}", texts[0][column], texts[1][column]);
            remarks.extend(same.iter().map(says));
        }
        if across(&texts, &kept) > room {
            kept.retain(|&column| self.columns[column].head != INTERVAL);
        }
        let rows: Vec<Vec<String>> =
            texts.iter().map(|row| kept.iter().map(|&column| row[column].clone()).collect()).collect();
        let mut lines = if across(&texts, &kept) > room { stacked(&rows) } else { side_by_side(&rows) };
        if !remarks.is_empty() {
            lines.extend(wrapped(&format!("all: {}", remarks.join(", ")), room));
        }
        if let Some(note) = &self.disturbed {
            lines.extend(wrapped(&plain(note), room));
        }
        lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

/// How wide a table of these columns is.
fn across(texts: &[Vec<String>], kept: &[usize]) -> usize {
    let widths = widths(texts);
    kept.iter().map(|&column| widths[column] + GAP).sum::<usize>().saturating_sub(GAP)
}

fn side_by_side(rows: &[Vec<String>]) -> Vec<String> {
    let widths = widths(rows);
    rows.iter().map(|row| pad(row, &widths).join(&" ".repeat(GAP))).collect()
}

/// Every label on a line of its own, above its numbers.
fn stacked(rows: &[Vec<String>]) -> Vec<String> {
    let numbers: Vec<Vec<String>> = rows.iter().map(|row| [&[String::new()], &row[1..]].concat()).collect();
    let labels = rows.iter().map(|row| row[0].clone());
    let mut lines: Vec<String> =
        labels.zip(side_by_side(&numbers)).flat_map(|(label, numbers)| [label, numbers]).collect();
    // The head of the labels says nothing that they do not.
    lines.remove(0);
    lines
}
