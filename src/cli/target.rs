//! Where the bars of a sweep are drawn: on standard error, for as long as that is there. indicatif panics where it cannot draw.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// As often as indicatif draws by itself.
const HERTZ: u8 = 20;

/// Standard error if it is a terminal, or else nothing.
pub fn stderr() -> ProgressDrawTarget {
    if !io::stderr().is_terminal() {
        return ProgressDrawTarget::hidden();
    }
    // It asks standard output, which may be a file.
    console::set_colors_enabled(console::colors_enabled_stderr());
    let stderr = Mortal { term: Term::buffered_stderr(), gone: AtomicBool::new(false) };
    ProgressDrawTarget::term_like_with_hz(Box::new(stderr), HERTZ)
}

/// A terminal that may be closed. From then on nothing is drawn.
#[derive(Debug)]
struct Mortal {
    term: Term,
    gone: AtomicBool,
}

impl Mortal {
    fn draw(&self, with: impl FnOnce(&Term) -> io::Result<()>) -> io::Result<()> {
        if !self.gone.load(Ordering::Relaxed) && with(&self.term).is_err() {
            self.gone.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl TermLike for Mortal {
    fn width(&self) -> u16 {
        TermLike::width(&self.term)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.term)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.draw(|term| term.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.draw(|term| term.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.draw(|term| term.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.draw(|term| term.move_cursor_left(n))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.draw(|term| term.write_line(text))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(|term| term.write_str(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw(Term::clear_line)
    }

    fn flush(&self) -> io::Result<()> {
        self.draw(Term::flush)
    }
}
