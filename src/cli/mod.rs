//! The command line: one file a subcommand. This is the only place that prints.

mod bench;
mod child;
mod choice;
mod clean;
mod compare;
mod completions;
mod data;
mod engine;
mod evaluate;
mod export;
mod figure;
mod inverses;
mod lines;
mod list;
mod machine;
mod man;
pub mod output;
mod place;
mod plan;
mod progress;
mod report;
mod run;
mod same;
mod schema;
mod selection;
mod signals;
mod status;
mod submit;
mod target;
mod verify;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Benchmark second-order optimizers against first-order ones, honestly timed.
///
/// An experiment is a TOML file: a base, arms that overlay it, axes that multiply both. Every trial becomes one Parquet file, and
/// the files become figures and tables. What is finished is never run again.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Plan(plan::Plan),
    Status(status::Status),
    Watch(watch::Watch),
    Clean(clean::Clean),
    Submit(submit::Submit),
    Figure(figure::Figure),
    Report(report::Report),
    Compare(compare::Compare),
    Same(same::Same),
    Export(export::Export),
    Evaluate(evaluate::Evaluate),
    List(list::List),
    Bench(bench::Bench),
    Data(data::Data),
    Verify(verify::Verify),
    Schema(schema::Schema),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Does what the command line asks; the exit code says whether all of it went well.
pub fn execute() -> anyhow::Result<ExitCode> {
    Cli::try_parse().map_or_else(|answer| output::answer(&answer), Cli::execute)
}

impl Cli {
    fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(run) => run.execute(),
            Command::Plan(plan) => plan.execute(),
            Command::Status(status) => status.execute(),
            Command::Watch(watch) => watch.execute(),
            Command::Clean(clean) => clean.execute(),
            Command::Submit(submit) => submit.execute(),
            Command::Figure(figure) => figure.execute(),
            Command::Report(report) => report.execute(),
            Command::Compare(compare) => compare.execute(),
            Command::Same(same) => same.execute(),
            Command::Export(export) => export.execute(),
            Command::Evaluate(evaluate) => evaluate.execute(),
            Command::List(list) => list.execute(),
            Command::Bench(bench) => bench.execute(),
            Command::Data(data) => data.execute(),
            Command::Verify(verify) => verify.execute(),
            Command::Schema(schema) => schema.execute(),
            Command::Man(man) => man.execute(),
            Command::Completions(completions) => completions.execute(),
        }
    }
}
