//! The command line: one file a subcommand. This is the only place that prints.

mod clean;
mod compare;
mod completions;
mod figure;
mod lines;
mod list;
mod output;
mod plan;
mod progress;
mod run;
mod selection;
mod status;
mod submit;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Benchmark second-order optimizers against first-order ones, honestly timed.
///
/// An experiment is a TOML file: a base, arms that overlay it, axes that multiply both. Every trial becomes one Parquet file, and
/// the files become figures and tables. What is finished is never run again.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Plan(plan::Plan),
    Status(status::Status),
    Clean(clean::Clean),
    Submit(submit::Submit),
    Figure(figure::Figure),
    Compare(compare::Compare),
    List(list::List),
    Verify(verify::Verify),
    Completions(completions::Completions),
}

impl Cli {
    /// Does what was asked; the exit code says whether all of it went well.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(run) => run.execute(),
            Command::Plan(plan) => plan.execute(),
            Command::Status(status) => status.execute(),
            Command::Clean(clean) => clean.execute(),
            Command::Submit(submit) => submit.execute(),
            Command::Figure(figure) => figure.execute(),
            Command::Compare(compare) => compare.execute(),
            Command::List(list) => list.execute(),
            Command::Verify(verify) => verify.execute(),
            Command::Completions(completions) => completions.execute(),
        }
    }
}
