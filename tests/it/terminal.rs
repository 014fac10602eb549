//! Terminals that go away, and signals to those who draw on them. `script` has a terminal of its own, which closes when it is killed.

#![cfg(target_os = "linux")]

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::faults::{first_started, long, signal};
use super::program::{Alive, command, run};
use super::report::sample;
use super::sweep::folder;

/// Runs a line of the shell on a terminal, `$program` being ours; `None` where there is no `script`. What is drawn goes to `drawn`.
fn on_terminal(folder: &Path, line: &str) -> Option<Alive> {
    let program = command(folder, &[]);
    // The shell of the terminal dies when that is closed, and the system then hangs up what it ran.
    let line = format!("stty rows 24 cols 80; {line}; exit");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--flush", "--command", &line, "drawn"]).current_dir(folder);
    script.env("SHELL", "/bin/sh").env("TERM", "xterm").env("program", program.get_program());
    let child = script.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    if child.is_err() {
        println!("skipped: there is no `script` here");
    }
    child.ok().map(Alive)
}

/// Waits until it is so; a minute is for ever.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text(folder: &Path, name: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(folder.join(name)).unwrap_or_default()).into_owned()
}

fn is_drawn(folder: &Path) -> bool {
    text(folder, "drawn").contains("scroll")
}

fn ended(child: &mut Child) -> Option<i32> {
    until("it has not ended", || child.try_wait().unwrap().is_some());
    child.wait().unwrap().code()
}

fn pid(folder: &Path) -> u32 {
    text(folder, "pid").trim().parse().unwrap()
}

#[test]
fn watch_ends_with_its_terminal_whether_or_not_a_signal_says_so() {
    // In a session of its own it has no terminal to be told of, and the library reads for ever from one that is gone.
    for session in ["", "setsid --wait "] {
        let folder = sample();
        let line = format!("{session}sh -c 'trap : HUP; \"$program\" watch . 2> said; echo $? > code'");
        let Some(mut script) = on_terminal(folder.path(), &line) else { return };
        until("nothing is drawn", || is_drawn(folder.path()));
        script.0.kill().unwrap();
        until("it goes on without a terminal", || text(folder.path(), "code").ends_with('\n'));
        assert_eq!((text(folder.path(), "code"), text(folder.path(), "said")), ("0\n".into(), String::new()));
    }
}

#[test]
fn watch_ends_on_signals_and_at_the_end_of_input_and_leaves_the_terminal_as_it_was() {
    for how in ["HUP", "INT", "TERM", "end of input"] {
        let folder = sample();
        let Some(mut script) = on_terminal(folder.path(), "echo $$ > pid; exec \"$program\" watch .") else { return };
        until("nothing is drawn", || is_drawn(folder.path()));
        if how == "end of input" {
            script.0.stdin.take().unwrap().write_all(b"\x04").unwrap();
        } else {
            signal(pid(folder.path()), how);
        }
        assert_eq!(ended(&mut script.0), Some(0), "{how}");
        assert!(text(folder.path(), "drawn").contains("\x1b[?1049l"), "{how}: the screen is still the other one");
    }
}

#[test]
fn watch_ends_on_sigterm_where_the_terminal_takes_no_more_output() {
    let folder = sample();
    let line =
        "kill -STOP $PPID; timeout 1 yes; \"$program\" watch . < /dev/tty & echo $! > pid; wait $!; echo $? > code";
    let line = line.replacen("; \"", "; : > full; \"", 1);
    let Some(mut script) = on_terminal(folder.path(), &line) else { return };
    until("the terminal takes all", || folder.path().join("full").exists());
    until("it is not started", || !text(folder.path(), "pid").is_empty());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(text(folder.path(), "code"), "", "it has ended by itself");
    signal(pid(folder.path()), "TERM");
    until("it waits for the terminal for ever", || text(folder.path(), "code").ends_with('\n'));
    assert_eq!(text(folder.path(), "code"), "0\n");
    signal(script.0.id(), "CONT");
    ended(&mut script.0);
}

#[test]
fn every_trial_that_runs_has_a_bar_and_the_sweep_says_how_long_it_takes() {
    for more in ["", " --jobs 2"] {
        let folder = folder(&long());
        let line = format!("\"$program\" run x.toml --threads 2{more}");
        let Some(mut script) = on_terminal(folder.path(), &line) else { return };
        let drawn = || text(folder.path(), "drawn");
        until("it draws no bars", || drawn().contains("examples/s") && drawn().contains("/4 trials"));
        until("it says no time left", || drawn().contains(" s left"));
        // Before an epoch has ended it is a guess.
        let first = drawn().split(" left").next().unwrap().to_owned();
        assert!(first.ends_with(" s") && first.rsplit("· ").next().unwrap().starts_with("about "), "{first}");
        script.0.kill().unwrap();
        script.0.wait().unwrap();
    }
}

#[test]
fn a_sweep_whose_terminal_is_closed_saves_and_goes_on_later() {
    for jobs in ["", " --jobs 2"] {
        let folder = folder(&long());
        let line = format!("sh -c 'trap : HUP; \"$program\" run x.toml --threads 1{jobs}; echo $? > code'");
        let Some(mut script) = on_terminal(folder.path(), &line) else { return };
        let saved = || run(folder.path(), &["status", "x.toml"]).out.contains("running");
        until("no trial runs", saved);
        script.0.kill().unwrap();
        until("it goes on without a terminal", || text(folder.path(), "code").ends_with('\n'));
        assert_eq!(text(folder.path(), "code"), "3\n", "{jobs}");
        let status = run(folder.path(), &["status", "x.toml"]).out;
        assert!(status.contains("  stopped") && status.contains("saved after step "), "{jobs}: {status}");
        let ran = run(folder.path(), &["run", "x.toml", "--threads", "1"]);
        assert!(ran.code == 0 && ran.err.contains("resuming after step "), "{jobs}: {}", ran.err);
    }
}

#[test]
fn a_hang_up_stops_a_sweep_once_however_often_it_comes_and_none_that_nohup_started() {
    let folder = folder(&long());
    let args = ["run", "x.toml", "--json", "--threads", "1", "--seeds", "1"];
    for nohup in [false, true] {
        let ours = command(folder.path(), &args);
        let mut command = Command::new(if nohup { "nohup".as_ref() } else { ours.get_program() });
        command.args(nohup.then_some(ours.get_program())).args(args).current_dir(folder.path());
        let mut child = Alive(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let (_, lines) = first_started(&mut child.0);
        for _ in 0..3 {
            signal(child.0.id(), "HUP");
        }
        let said: Vec<String> = lines.collect();
        assert_eq!(child.0.wait().unwrap().code(), Some(if nohup { 0 } else { 3 }), "{said:?}");
    }
}
