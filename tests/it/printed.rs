//! The tables of README and docs say what is in the Parquet files.
//!
//! A comment in front of a table says where its numbers come from:
//!
//! ```text
//! <!-- from results/studies/NAME
//! columns: MEASURE [of LABEL] ; …
//! rows: LABEL ; … -->
//! ```
//!
//! Measures are the columns of `table.csv`, and `step`: a step's time relative to that of `sgd`. A `*` in a label stands for the row's; `-` is
//! a column or row that is not compared. A cell is a mean, or `mean ± deviation`, and is compared to as many digits as it has.

use nkfac_bench::figure::{Data, Table};
use nkfac_bench::record;

use super::program::repository;

const FILES: [&str; 2] = ["README.md", "docs/results.md"];

/// Tables that have such a comment.
const TABLES: usize = 7;

/// The means and deviations of a study, by label and measure.
struct Study(Table);

impl Study {
    fn new(folder: &str) -> Self {
        let data = Data::new(record::read(&repository(folder)).unwrap()).unwrap();
        Self(Table::new(&data).unwrap())
    }

    fn number(&self, measure: &str, label: &str) -> f64 {
        let frame = self.0.frame();
        let labels = frame.column("label").unwrap().str().unwrap();
        let place = labels.iter().position(|known| known == Some(label));
        let place = place.unwrap_or_else(|| panic!("no line is called `{label}`"));
        let column = frame.column(measure).unwrap_or_else(|_| panic!("no measure is called `{measure}`"));
        column.f64().unwrap().get(place).unwrap_or(f64::NAN)
    }

    /// A cell as it is to be printed, with as many decimals as the one that is.
    fn cell(&self, measure: &str, label: &str, printed: &str) -> String {
        let show = |value: f64, like: &str| {
            let decimals = like.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            format!("{value:.decimals$}")
        };
        if measure == "step" {
            let step = |label| 1.0 + self.number("overhead", label);
            return show(step(label) / step("sgd"), printed);
        }
        let unit = if measure.contains("accuracy") { 100.0 } else { 1.0 };
        let mean = unit * self.number(measure, label);
        match printed.split_once(" ± ") {
            Some((like, deviation_like)) => {
                let deviation = unit * self.number(&format!("{measure}_sd"), label);
                format!("{} ± {}", show(mean, like), show(deviation, deviation_like))
            }
            None => show(mean, printed),
        }
    }
}

/// Compares every table of a text that says where it is from: how many there are, and what is printed wrong.
fn compare(text: &str) -> (usize, Vec<String>) {
    let (mut tables, mut wrong) = (0, Vec::new());
    for part in text.split("<!-- from ").skip(1) {
        let (comment, rest) = part.split_once("-->").unwrap();
        let mut lines = comment.lines();
        let study = Study::new(lines.next().unwrap().trim());
        let mut list = |name: &str| -> Vec<String> {
            let line = lines.next().unwrap().trim().strip_prefix(name).unwrap();
            line.split(" ; ").map(|item| item.trim().to_owned()).collect()
        };
        let (columns, rows) = (list("columns:"), list("rows:"));
        // Behind the head and the rule.
        let table = rest.trim_start().lines().take_while(|line| line.starts_with('|')).skip(2);
        let table: Vec<Vec<&str>> =
            table.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
        assert_eq!(table.len(), rows.len(), "{comment}");
        for (cells, row) in table.iter().zip(&rows).filter(|(_, row)| *row != "-") {
            assert_eq!(cells.len(), columns.len() + 1, "{cells:?}");
            for (printed, column) in cells[1..].iter().zip(&columns).filter(|(_, column)| *column != "-") {
                let (measure, label) = column.split_once(" of ").unwrap_or((column, "*"));
                let found = study.cell(measure, &label.replace('*', row), printed);
                if found != *printed {
                    wrong.push(format!("{measure} of {row}: printed {printed}, measured {found}"));
                }
            }
        }
        tables += 1;
    }
    (tables, wrong)
}

#[test]
fn every_number_of_a_table_is_the_one_that_was_measured() {
    let texts = FILES.map(|file| std::fs::read_to_string(repository(file)).unwrap());
    let mut tables = 0;
    for text in &texts {
        let (count, wrong) = compare(text);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        tables += count;
    }
    assert_eq!(tables, TABLES);
    // Control: a digit that is off is found, in a mean and in a deviation.
    for (right, other) in [("84.34 ±", "84.35 ±"), ("± 0.58", "± 0.57")] {
        assert!(texts[0].contains(right));
        assert_eq!(compare(&texts[0].replacen(right, other, 1)).1.len(), 1);
    }
}
