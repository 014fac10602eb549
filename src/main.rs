//! The program: parses the command line, runs it, and prints what went wrong.

mod cli;

use std::process::ExitCode;

use clap::Parser;

/// Fresh large buffers every step: the system's allocator would spend as long on page faults as on some layers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::Cli::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
