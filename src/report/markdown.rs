//! The answer and the tables as Markdown.

use super::Report;
use super::verdict::Verdict;
use crate::figure::markdown as escape;

pub fn text(report: &Report) -> String {
    let answer: String = report.answer.iter().map(|sentence| format!("- {}\n", escape(sentence))).collect();
    let facts: String =
        report.facts.rows.iter().map(|(name, value)| format!("| {name} | {} |\n", escape(value))).collect();
    let verdicts: String = report.verdicts.iter().map(verdict).collect();
    format!(
        "# {}\n\n{answer}\n{}\nMean ± standard deviation over seeds; 95 % interval of the mean (Student’s t; bootstrap from six seeds on).\n\n{verdicts}\
         ## What was run\n\n| | |\n| --- | --- |\n{facts}\n## Reproduce\n\n```console\n{}\n```\n",
        escape(&report.facts.experiment),
        report.table.markdown(),
        report.facts.commands.join("\n")
    )
}

fn verdict(verdict: &Verdict) -> String {
    let rows: String = verdict
        .rows
        .iter()
        .map(|row| {
            let cells = [
                &row.setting,
                &row.line,
                &row.published,
                &row.measured,
                &row.published_difference,
                &row.measured_difference,
                &row.seconds,
            ];
            let cells: Vec<String> = cells.into_iter().map(|text| escape(text)).collect();
            format!("| {} | {} |\n", cells.join(" | "), row.verdict)
        })
        .collect();
    let scale = if verdict.scale.is_empty() { "none".to_owned() } else { verdict.scale.join("; ") };
    format!(
        "## {}\n\n{}. Differences in scale: {scale}.\n\n\
         | setting | arm | published (%) | measured (%) | published difference | measured difference | damping and inversion | verdict |\n\
         | --- | --- | ---: | ---: | ---: | ---: | --- | --- |\n{rows}\n",
        verdict.name, verdict.source
    )
}
