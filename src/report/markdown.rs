//! The answer and the tables as Markdown.

use super::verdict::Verdict;
use super::{Part, Report};
use crate::figure::markdown as escape;

pub fn text(report: &Report) -> String {
    let facts: String =
        report.facts.rows.iter().map(|(name, value)| format!("| {name} | {} |\n", escape(value))).collect();
    let answers: String = report.parts.iter().map(answer).collect();
    let verdicts: String = report.parts.iter().flat_map(|part| &part.verdicts).map(verdict).collect();
    format!(
        "# {}\n\n{answers}Mean ± standard deviation over seeds; 95 % interval of the mean (Student’s t; bootstrap from six seeds on).\n\n{verdicts}\
         ## What was run\n\n| | |\n| --- | --- |\n{facts}\n## Reproduce\n\n```console\n{}\n```\n",
        escape(&report.facts.experiment),
        report.facts.commands.join("\n")
    )
}

fn answer(part: &Part) -> String {
    let problem = part.problem.as_deref().map(|problem| format!("## {}\n\n", escape(problem)));
    let sentences: String = part.answer.iter().map(|sentence| format!("- {}\n", escape(sentence))).collect();
    format!("{}{sentences}\n{}\n", problem.unwrap_or_default(), part.table.markdown())
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
    let unit = verdict.unit;
    format!(
        "## {}\n\n{}. Differences in scale: {scale}.\n\n\
         | setting | arm | published ({unit}) | measured ({unit}) | published difference | measured difference | damping and inversion | verdict |\n\
         | --- | --- | ---: | ---: | ---: | ---: | --- | --- |\n{rows}\n",
        verdict.name, verdict.source
    )
}
