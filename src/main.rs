//! The program: parses the command line, runs it, and prints what went wrong.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use nkfac_bench::text::spelled;

/// Fresh large buffers every step: the system's allocator would spend as long on page faults as on some layers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    nkfac_bench::kernel::memory::keep_freed();
    match cli::Cli::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            // Names in files and folders may hold what steers a terminal.
            eprintln!("error: {}", message(&error).lines().map(spelled).collect::<Vec<_>>().join("\n"));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, less those that an error around them has told already.
fn message(error: &anyhow::Error) -> String {
    error
        .chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |told, cause| if told.contains(&cause) { told } else { format!("{told}: {cause}") })
}
