//! The program: parses the command line, runs it, and prints what went wrong.

#![warn(clippy::print_stdout, clippy::print_stderr, reason = "these panic where a disk is full or a terminal is gone")]

mod cli;

use std::process::ExitCode;

use cli::output::say;
use nkfac_bench::cause;
use nkfac_bench::text::spelled;

/// Fresh large buffers every step: the system's allocator would spend as long on page faults as on some layers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    nkfac_bench::kernel::memory::keep_freed();
    match cli::execute() {
        Ok(code) => code,
        Err(error) => {
            // Names in files and folders may hold what steers a terminal.
            let message = cause::chain(error.as_ref());
            say(format_args!("error: {}", message.lines().map(spelled).collect::<Vec<_>>().join("\n")));
            ExitCode::FAILURE
        }
    }
}
