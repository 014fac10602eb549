//! Standard output and standard error. Every write can fail: losing results is an error, losing remarks is not.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;
use console::Term;

/// Prints a line. A closed pipe (`plan | head`) is not an error.
pub fn line(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    heard(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// How wide the terminal is that stdout is; `None` where it is none.
pub fn columns() -> Option<usize> {
    let terminal = Term::stdout();
    terminal.is_term().then(|| terminal.size_checked()).flatten().map(|(_, columns)| usize::from(columns))
}

/// Remarks something on standard error. If that fails, because a window was closed for example, the work continues.
pub fn say(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints what clap has to say: help and version, or what is wrong with the command line.
pub fn answer(answer: &clap::Error) -> anyhow::Result<ExitCode> {
    let printed = answer.print().and_then(|()| io::stdout().lock().flush());
    if !answer.use_stderr() {
        heard(printed)?;
    }
    Ok(u8::try_from(answer.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn heard(printed: io::Result<()>) -> anyhow::Result<()> {
    match printed {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to stdout"),
    }
}

/// What a sweep prints. A sweep does not stop because its output cannot be written: it takes longer than making room. The failure is
/// reported at its end.
#[derive(Default)]
pub struct Transcript {
    failed: Option<anyhow::Error>,
}

impl Transcript {
    /// Prints a line.
    pub fn line(&mut self, text: impl Display) {
        let failed = line(text).err();
        self.failed = self.failed.take().or(failed);
    }

    /// The first line that failed, if one did.
    pub fn end(self) -> anyhow::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }
}
