//! What a trial's process and its parent tell each other: the experiment's text and the order to stop go in, events come out.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use nkfac_bench::experiment::Trial;
use nkfac_bench::runner::{Event, Reporter};

use super::output::line;

/// What a child is given to read: how long the text is, and the text. The file may have changed since it was read.
pub fn input(text: &str) -> String {
    format!("{}\n{text}", text.len())
}

/// Reads that.
pub fn text() -> anyhow::Result<String> {
    let mut stdin = io::stdin().lock();
    let mut length = String::new();
    let mut text = Vec::new();
    stdin.read_line(&mut length)?;
    let bytes = length.trim().parse().context("`--only` is for processes that `run` starts itself")?;
    stdin.take(bytes).read_to_end(&mut text)?;
    Ok(String::from_utf8(text)?)
}

/// Raises the flag when standard input ends, which it does when the process at its other end dies, however it dies.
pub fn stop_with_input(stop: &Arc<AtomicBool>) {
    let stop = stop.clone();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        stop.store(true, Ordering::Relaxed);
    });
}

/// Between two steps that are told.
const EVERY: Duration = Duration::from_millis(50);

/// Prints events for the parent, if it is still there.
#[derive(Default)]
pub struct Teller {
    last: Option<Instant>,
}

impl Reporter for Teller {
    fn event(&mut self, _: &Trial, event: &Event) {
        if let Event::Step(_) = event {
            if self.last.is_some_and(|last| last.elapsed() < EVERY) {
                return;
            }
            self.last = Some(Instant::now());
        }
        if let Some(text) = event.line() {
            let _ = line(text);
        }
    }
}
