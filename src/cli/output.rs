//! Standard output. That its reader has gone away (`plan | head`) ends no sweep and is no error.

use std::fmt::Display;
use std::io::Write;

/// Prints a line.
pub fn line(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
