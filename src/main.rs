//! The program: parses the command line, runs it, and prints what went wrong.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use nkfac_bench::cause;
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
            eprintln!("error: {}", cause::chain(error.as_ref()).lines().map(spelled).collect::<Vec<_>>().join("\n"));
            ExitCode::FAILURE
        }
    }
}
