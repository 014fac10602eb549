use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use clap::Args;
use nkfac_bench::experiment;
use nkfac_bench::runner;
use nkfac_bench::text::Shown;
use nkfac_bench::watch::{Reader, Screen, View, draw, notice};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::disable_raw_mode;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::selection::Changes;

/// Watch a sweep on the terminal: trials, curves, time left
///
/// Reads the results folder once a second, whichever process or machine runs the trials; writes nothing. Of an
/// experiment it shows every trial, those of a search and then its reruns; of a results folder those that have begun. The time left follows
/// from how long trials took so far and how much others have to compute.
///
/// Keys: q, Esc, Ctrl-C or Ctrl-D quits; arrows, PgUp, PgDn, Home and End scroll; Tab switches between what trials are judged by on the test set, accuracy or loss, and the training loss.
/// It ends with its terminal, and on SIGHUP, SIGINT and SIGTERM.
#[derive(Debug, Args)]
pub struct Watch {
    /// An experiment (a TOML file) or a results folder [default: the folder in which something happened last]
    place: Option<PathBuf>,
    /// The folder for results, where an experiment or nothing is named
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    #[command(flatten)]
    changes: Changes,
}

/// Between two looks into the folder.
const EVERY: Duration = Duration::from_secs(1);

/// How long a signal or a new look may wait for the screen.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long it may take from then on until the terminal is as it was.
const GRACE: Duration = Duration::from_secs(1);

impl Watch {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        if !io::stdout().is_terminal() {
            let place = self.place.as_ref().map_or("results/NAME".into(), |place| place.to_string_lossy());
            bail!(
                "`watch` draws on a terminal, and stdout is not a terminal\nhint: `nkfac-bench status {place}` prints it once"
            );
        }
        let (title, reader) = self.reader()?;
        let stop = stop_on_signals().context("cannot listen for signals")?;
        let looks = look_again_and_again(reader);
        let terminal = Terminal::new();
        end_anyway(terminal, stop.clone());
        let mut drawn = ratatui::try_init().context("cannot draw on the terminal")?;
        let outcome = show(&mut drawn, &title, &looks, &stop);
        let _ = drawn.show_cursor();
        let _ = ratatui::try_restore();
        // Dropped, it panics where neither standard output nor standard error is there any more.
        std::mem::forget(drawn);
        if terminal.is_there() { outcome.map(|()| ExitCode::SUCCESS) } else { Ok(ExitCode::SUCCESS) }
    }

    /// Who reads, and the sweep's name.
    fn reader(&self) -> anyhow::Result<(String, Reader)> {
        let place = match &self.place {
            Some(place) => place.clone(),
            None => latest(&self.out).with_context(|| {
                format!("no results in `{}`\nhint: name an experiment or a results folder", self.out.shown())
            })?,
        };
        if place.is_dir() {
            self.changes.refuse_for(&place)?;
            let name = place.file_name().unwrap_or(place.as_os_str()).to_string_lossy().into_owned();
            return Ok((name, Reader::new(place, None)?));
        }
        let experiment = experiment::read(&place, &self.changes.overrides())?;
        let (name, folder) = (experiment.name.clone(), experiment.folder(&self.out));
        Ok((name, Reader::new(folder, Some(experiment))?))
    }
}

/// The folder in `out` in which something happened last: a trial ended, was taken up, or told how far it is.
fn latest(out: &Path) -> Option<PathBuf> {
    let children = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let changed = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let happened = |folder: &Path| -> Option<SystemTime> {
        let unfinished = folder.join(runner::UNFINISHED);
        let paths = [folder.to_owned(), unfinished.clone()].into_iter().chain(children(&unfinished));
        paths.filter_map(|path| changed(&path)).max()
    };
    let folders = children(out).flat_map(|folder| [folder.join(experiment::TUNING), folder]);
    folders.filter(|path| path.is_dir()).max_by_key(|folder| happened(folder))
}

fn stop_on_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGHUP, stop.clone())?;
    Ok(stop)
}

/// What is drawn on, and what keys are read from.
#[derive(Debug, Clone, Copy)]
struct Terminal {
    /// Otherwise keys come from the process's own terminal, for all that the library knows.
    has_stdin: bool,
}

impl Terminal {
    fn new() -> Self {
        Self { has_stdin: io::stdin().is_terminal() }
    }

    /// False once it was hung up, with or without a signal: what is left of it is no terminal.
    fn is_there(self) -> bool {
        io::stdout().is_terminal() && (!self.has_stdin || io::stdin().is_terminal())
    }
}

/// Ends the process when the terminal is gone, or if it has not stopped a while after being asked to: the library reads from a terminal
/// that was hung up without end, and a terminal that takes no more output blocks the drawing.
fn end_anyway(terminal: Terminal, stop: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        while terminal.is_there() && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(PATIENCE);
        }
        stop.store(true, Ordering::Relaxed);
        std::thread::sleep(GRACE);
        let _ = disable_raw_mode();
        std::process::exit(0)
    });
}

type Look = Result<Screen, String>;

/// Reads in a thread of its own: keys are answered however many files there are. It ends with its listener.
fn look_again_and_again(mut reader: Reader) -> Receiver<Look> {
    let (sender, looks) = mpsc::channel();
    std::thread::spawn(move || {
        let mut look = || {
            let failed = |error| format!("cannot read the folder: {error}");
            let mut found = reader.look().map_err(failed)?;
            if let Some(reruns) = reader.reruns(&found) {
                reader = reruns;
                found = reader.look().map_err(failed)?;
            }
            Ok(Screen::new(&found, &reader.arms(), runner::now()))
        };
        while sender.send(look()).is_ok() {
            std::thread::sleep(EVERY);
        }
    });
    looks
}

fn show(terminal: &mut DefaultTerminal, title: &str, looks: &Receiver<Look>, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut view = View::default();
    let mut look = Err("reading …".to_owned());
    while !stop.load(Ordering::Relaxed) {
        terminal.draw(|frame| match &look {
            Ok(screen) => draw(frame, title, screen, &mut view),
            Err(text) => notice(frame, title, text),
        })?;
        // Nothing is drawn again before there is something new.
        while !stop.load(Ordering::Relaxed) {
            if event::poll(PATIENCE)? {
                if let Event::Key(key) = event::read()?
                    && press(key, &mut view, look.as_ref().map_or(1, |screen| screen.goals.len()))
                {
                    return Ok(());
                }
                break;
            }
            match looks.try_recv() {
                Ok(next) => {
                    look = next;
                    break;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => bail!("whoever read the folder has died"),
            }
        }
    }
    Ok(())
}

/// Does what a key stands for, of trials that are judged by so many `goals`; whether that is to quit.
fn press(key: KeyEvent, view: &mut View, goals: usize) -> bool {
    const PAGE: isize = 10;
    if key.kind == KeyEventKind::Release {
        return false;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
        KeyCode::Tab | KeyCode::BackTab => view.curve = view.curve.next(goals),
        KeyCode::Up => view.scroll(-1),
        KeyCode::Down => view.scroll(1),
        KeyCode::PageUp => view.scroll(-PAGE),
        KeyCode::PageDown => view.scroll(PAGE),
        KeyCode::Home => view.top = 0,
        KeyCode::End => view.top = usize::MAX,
        _ => {}
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use nkfac_bench::watch::Curve;

    #[test]
    fn keys_quit_scroll_and_change_the_curve() {
        let mut view = View::default();
        let mut key = |code, modifiers| (press(KeyEvent::new(code, modifiers), &mut view, 2), view);
        let none = KeyModifiers::NONE;
        for code in [KeyCode::Char('q'), KeyCode::Esc] {
            assert!(key(code, none).0);
        }
        for letter in ['c', 'd'] {
            assert!(key(KeyCode::Char(letter), KeyModifiers::CONTROL).0);
            assert!(!key(KeyCode::Char(letter), none).0);
        }
        for curve in [Curve::Test(1), Curve::Loss, Curve::Test(0)] {
            assert_eq!(key(KeyCode::Tab, none).1.curve, curve);
        }
        assert_eq!(key(KeyCode::Up, none), (false, View::default()), "there is nothing above the first");
        assert_eq!(key(KeyCode::Down, none).1.top, 1);
        assert_eq!(key(KeyCode::PageDown, none).1.top, 11);
        assert_eq!(key(KeyCode::PageUp, none).1.top, 1);
        assert_eq!(key(KeyCode::End, none).1.top, usize::MAX);
        assert_eq!(key(KeyCode::Home, none).1.top, 0);
    }

    #[test]
    fn the_folder_in_which_something_happened_last_is_found() {
        let out = tempfile::tempdir().unwrap();
        assert_eq!(latest(out.path()), None);
        let at = |path: &str, second| {
            let path = out.path().join(path);
            std::fs::create_dir_all(&path).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            std::fs::File::open(path).unwrap().set_modified(time).unwrap();
        };
        at("old", 10);
        at("new", 20);
        assert_eq!(latest(out.path()), Some(out.path().join("new")));
        at("old/_unfinished/x", 30);
        at("old/_unfinished", 10);
        at("old", 10);
        assert_eq!(latest(out.path()), Some(out.path().join("old")), "a trial of it runs");
    }
}
