//! The page: everything inline, light and dark, for screens from 400 pixels on and for paper.

use super::verdict::Verdict;
use super::{Drawn, Part, Report};
use crate::figure::{Best, Canvas, Column, Differences, Table, Theme, escape, hue, svg};
use crate::record::Goal;

pub fn page(report: &Report) -> String {
    let sections = SECTIONS.map(|(id, title)| section(id, title, &body(report, id)));
    let contents: String = SECTIONS.iter().map(|(id, title)| format!("<a href=\"#{id}\">{title}</a>\n")).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{name} – nkfac-bench</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n<nav>\n{contents}</nav>\n{}</main>\n<script>\n{}</script>\n</body>\n</html>\n",
        include_str!("page.css"),
        sections.concat(),
        include_str!("page.js"),
        name = escape(&report.facts.experiment),
    )
}

/// Every section: its anchor and its title.
const SECTIONS: [(&str, &str); 7] = [
    ("answer", "The answer"),
    ("table", "Every arm"),
    ("figures", "Figures"),
    ("verdicts", "Published and measured"),
    ("configurations", "How the arms differ"),
    ("facts", "What was run"),
    ("again", "Reproduce"),
];

fn body(report: &Report, id: &str) -> String {
    match id {
        "answer" => each(report, |part| list(&part.answer)),
        "table" => each(report, |part| main_table(&part.table)),
        "figures" => figures(report),
        "verdicts" => each(report, |part| verdicts(&part.verdicts)),
        "configurations" => each(report, |part| configurations(&part.differences)),
        "facts" => facts(report),
        _ => {
            let commands: Vec<String> = report.facts.commands.iter().map(|command| escape(command)).collect();
            format!("<pre><code>{}</code></pre>", commands.join("\n"))
        }
    }
}

fn section(id: &str, title: &str, body: &str) -> String {
    format!("<section id=\"{id}\">\n<h2>{title}</h2>\n{body}</section>\n")
}

/// What there is to say of each problem, under its name where there are several.
fn each(report: &Report, body: impl Fn(&Part) -> String) -> String {
    let one = |part: &Part| {
        let name = part.problem.as_deref().map(|name| format!("<h3>{}</h3>\n", escape(name)));
        name.unwrap_or_default() + &body(part)
    };
    report.parts.iter().map(one).collect()
}

/// The first sentence is the answer, the others what it rests on.
fn list(sentences: &[String]) -> String {
    let rest: String = sentences.iter().skip(1).map(|sentence| format!("<li>{}</li>\n", escape(sentence))).collect();
    let first = sentences.first().map(|sentence| format!("<p class=\"lead\">{}</p>\n", escape(sentence)));
    let rest = if rest.is_empty() { rest } else { format!("<ul>\n{rest}</ul>\n") };
    first.unwrap_or_default() + &rest
}

fn main_table(table: &Table) -> String {
    let head = |column: &Column| {
        let first = if column.best == Some(Best::Most) { "descending" } else { "ascending" };
        format!(
            "<th scope=\"col\"><button type=\"button\" data-first=\"{first}\">{}</button></th>",
            escape(&column.head)
        )
    };
    let head: String = table.columns.iter().map(head).collect();
    let row = |row: usize| {
        let cells: String =
            table.columns.iter().enumerate().map(|(place, column)| cell(column, row, place == 0)).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = (0..table.height()).map(row).collect();
    let disturbed = table.disturbed.as_ref().map(|note| format!(" {}.", escape(note))).unwrap_or_default();
    let (chosen, title) = (if table.validated { "validation" } else { "test" }, table.goal.title);
    format!(
        "<div class=\"scroll\"><table class=\"sortable\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n\
         <p class=\"note\">Mean ± standard deviation over finished trials; 95 % interval of the mean final {title} (Student’s t; bootstrap from six seeds on). Bold: \
         best, of three seeds or more; underlined: no significant difference from it, paired by seed (95 %). Best epochs are chosen on the {chosen} set. Added: what the optimizer \
         does beside forward and backward pass, whose mean over all trials is 100 %.{disturbed} <span class=\"screen\">Click a column header to sort, the best first.</span></p>\n"
    )
}

fn cell(column: &Column, row: usize, is_label: bool) -> String {
    let cell = &column.cells[row];
    let text = escape(&cell.text);
    if is_label {
        return format!("<th scope=\"row\">{text}</th>");
    }
    let text = match column.best() {
        Some(best) if best == row => format!("<strong>{text}</strong>"),
        _ if column.is_near(row) => format!("<u>{text}</u>"),
        _ => text,
    };
    let key = if cell.mean.is_nan() { String::new() } else { cell.mean.to_string() };
    format!("<td data-key=\"{key}\">{text}</td>")
}

/// The arms to be shown or hidden in all figures, as far as each has a colour of its own.
fn arms(arms: &[String]) -> String {
    let own = (0..arms.len())
        .filter_map(|arm| Some((arm, hue(arm)?)))
        .take_while(|(arm, hue)| (0..*arm).all(|other| self::hue(other) != Some(*hue)));
    let key = |(arm, [red, green, blue]): (usize, [u8; 3])| {
        let name = escape(&arms[arm]);
        format!(
            "<label style=\"--arm: rgb({red} {green} {blue})\"><input type=\"checkbox\" data-arm=\"{arm}\" checked>{name}</label>\n"
        )
    };
    format!("<div class=\"arms screen\">\n{}</div>\n", own.map(key).collect::<String>())
}

/// A figure in the width of the screen.
fn drawing(wide: &Canvas, narrow: &Canvas) -> String {
    format!(
        "<div class=\"wide\">{}</div>\n<div class=\"narrow\">{}</div>\n",
        svg(wide, Theme::Page),
        svg(narrow, Theme::Page)
    )
}

/// What a figure is switched between: `accuracy / log error`; of problems that are judged differently the axes alone.
fn switch(report: &Report) -> String {
    let mut goals: Vec<Goal> = report.parts.iter().map(|part| part.table.goal).collect();
    goals.dedup();
    match goals.as_slice() {
        [Goal { title, gap, .. }] => format!("{title} / log {}", gap.title),
        _ => "linear / log axis".to_owned(),
    }
}

fn figures(report: &Report) -> String {
    let mut html = arms(&report.arms);
    let mut missing = String::new();
    let switch = format!("<button type=\"button\" data-switch>{}</button>", switch(report));
    for Drawn { entry, wide, narrow, switched } in &report.figures {
        if let Some(reason) = &wide.notice {
            missing += &format!("<li>{}: {}</li>\n", entry.name, escape(reason));
            continue;
        }
        let (drawn, help) = (drawing(wide, narrow), escape(entry.help));
        let (switched, switch) = match switched {
            None => (String::new(), ""),
            Some([wide, narrow]) => {
                (format!("<div class=\"drawing\" hidden>{}</div>\n", drawing(wide, narrow)), switch.as_str())
            }
        };
        html += &format!(
            "<figure id=\"{0}\">\n<div class=\"drawing\">{drawn}</div>\n{switched}<figcaption>{help}<span class=\"screen\">{switch}\
             <button type=\"button\" data-save=\"{0}\">save SVG</button></span></figcaption>\n</figure>\n",
            entry.name
        );
    }
    if missing.is_empty() {
        html
    } else {
        format!("{html}<p class=\"note\">Not drawn:</p>\n<ul class=\"note\">\n{missing}</ul>\n")
    }
}

fn verdicts(verdicts: &[Verdict]) -> String {
    if verdicts.is_empty() {
        return "<p class=\"note\">No published table has two settings that were measured here.</p>\n".to_owned();
    }
    verdicts.iter().map(verdict).collect()
}

fn verdict(verdict: &Verdict) -> String {
    let head = ["setting", "published difference", "measured difference (95 %)", "verdict", "damping and inversion"];
    let head: String = head
        .iter()
        .map(|title| (*title).to_owned())
        .chain(["published", "measured"].map(|title| format!("{title} ({})", verdict.unit)))
        .chain(["arm".to_owned()])
        .map(|title| format!("<th scope=\"col\">{title}</th>"))
        .collect();
    let row = |row: &super::verdict::Row| {
        let differences = [&row.published_difference, &row.measured_difference];
        let cells = differences.map(String::as_str).into_iter().chain([row.verdict, &row.seconds]);
        let cells = cells.chain([row.published.as_str(), &row.measured, &row.line]);
        let cells: String = cells.map(|text| format!("<td>{}</td>", escape(text))).collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(&row.setting))
    };
    let rows: String = verdict.rows.iter().map(row).collect();
    let scale = if verdict.scale.is_empty() {
        "<p>The scale is the published one.</p>".to_owned()
    } else {
        let items: String = verdict.scale.iter().map(|item| format!("<li>{}</li>", escape(item))).collect();
        format!("<p>Levels do not compare, because the scale differs:</p><ul class=\"scale\">{items}</ul>")
    };
    format!(
        "<h3>{}</h3>\n<p class=\"note\">{}</p>\n{scale}\n<div class=\"scroll\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\
         </tbody>\n</table></div>\n",
        escape(&verdict.name),
        escape(&verdict.source)
    )
}

/// Lines that a page can show beside each other.
const MOST_COLUMNS: usize = 16;

fn configurations(differences: &Differences) -> String {
    let shown = differences.labels.len().min(MOST_COLUMNS);
    let head: String =
        differences.labels[..shown].iter().map(|label| format!("<th scope=\"col\">{}</th>", escape(label))).collect();
    let row = |(key, values): &(String, Vec<String>)| {
        let cells: String = values[..shown].iter().map(|value| format!("<td>{}</td>", escape(value))).collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(key))
    };
    let differing: String = differences.differing.iter().map(row).collect();
    let common: String = differences
        .common
        .iter()
        .map(|(key, value)| format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(key), escape(value)))
        .collect();
    let omitted = match differences.labels.len() - shown {
        0 => String::new(),
        omitted => format!("<p class=\"note\">{omitted} more arms are left out here.</p>\n"),
    };
    format!(
        "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">key</th>{head}</tr></thead>\n<tbody>\n{differing}</tbody>\n\
         </table></div>\n{omitted}<details><summary>What all arms share</summary>\n<div class=\"scroll\"><table>\n<tbody>\n{common}\
         </tbody>\n</table></div></details>\n"
    )
}

fn facts(report: &Report) -> String {
    let row =
        |(name, value): &(&str, String)| format!("<tr><th scope=\"row\">{name}</th><td>{}</td></tr>\n", escape(value));
    let rows: String = report.facts.rows.iter().map(row).collect();
    format!("<div class=\"scroll\"><table class=\"facts\">\n<tbody>\n{rows}</tbody>\n</table></div>\n")
}
