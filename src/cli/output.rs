//! Standard output and standard error. Every write can fail: of results that is an error, of remarks nobody is left to tell.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;

/// Prints a line. That its reader has gone away (`plan | head`) is no error.
pub fn line(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    heard(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// Remarks something on standard error. Where that fails, as behind a window that was closed, the work goes on.
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

/// What a sweep prints. It does not end because it cannot be printed: it takes longer than making room. That is an error when it has ended.
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
