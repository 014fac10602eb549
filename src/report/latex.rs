//! The main table for a paper.

use crate::figure::{Column, Table};

/// A `tabular` with the rules of `booktabs`: the best in bold, what cannot be told from it, paired by seed, underlined.
pub fn table(table: &Table) -> String {
    let columns: Vec<&Column> = table.columns.iter().filter(|column| column.head != "95 % interval").collect();
    let head: Vec<String> = columns.iter().map(|column| escape(column.head)).collect();
    let rows = (0..table.height()).map(|row| {
        let cells: Vec<String> = columns.iter().map(|column| cell(column, row)).collect();
        format!("{} \\\\\n", cells.join(" & "))
    });
    format!(
        "% Needs \\usepackage{{booktabs}}. Mean and standard deviation over seeds; bold: best; underlined: no significant difference from it, paired by seed (95 \\%).\n\
         \\begin{{tabular}}{{l{}}}\n\\toprule\n{} \\\\\n\\midrule\n{}\\bottomrule\n\\end{{tabular}}\n",
        "r".repeat(columns.len() - 1),
        head.join(" & "),
        rows.collect::<String>()
    )
}

fn cell(column: &Column, row: usize) -> String {
    let cell = &column.cells[row];
    if column.best.is_none() || cell.mean.is_nan() {
        return escape(&cell.text);
    }
    let number = cell.text.replace('±', "\\pm");
    match column.best() {
        Some(best) if best == row => format!("$\\mathbf{{{number}}}$"),
        _ if column.is_near(row) => format!("\\underline{{${number}$}}"),
        _ => format!("${number}$"),
    }
}

fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut all, c| {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => all.extend(['\\', c]),
            '\\' => all.push_str("\\textbackslash{}"),
            '~' => all.push_str("\\textasciitilde{}"),
            '^' => all.push_str("\\textasciicircum{}"),
            '–' => all.push_str("--"),
            _ => all.push(c),
        }
        all
    })
}
