//! What `watch` sees of folders, at the program's boundary.

use std::process::Stdio;

use nkfac_bench::experiment::{self, Overrides};
use nkfac_bench::runner::{self, Standing};
use nkfac_bench::watch::{Found, Reader, Screen};

use super::faults::until_none_runs;
use super::program::{Alive, command, run};
use super::report::sample;
use super::sweep::{SMALL, folder};

#[test]
fn without_a_terminal_there_is_a_hint_in_place_of_a_screen() {
    let folder = sample();
    let ran = run(folder.path(), &["watch", "."]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("stdout is not a terminal\nhint: `nkfac-bench status .` prints it once"), "{}", ran.err);
}

#[test]
fn a_folder_of_results_is_read_once_and_what_changes_again() {
    let folder = sample();
    let mut reader = Reader::new(folder.path().to_owned(), None).unwrap();
    let found = reader.look().unwrap();
    let screen = Screen::new(&found, &reader.arms(), runner::now());
    let left = screen.left.map(|left| left.seconds);
    assert_eq!((screen.counts.as_slice(), left, screen.epochs), (&[(8, Standing::Finished)][..], Some(0.0), 20));
    let labels: Vec<&str> = screen.lines.iter().map(|line| line.label.as_str()).collect();
    assert_eq!(labels, ["sgd", "adamw", "kfac", "nkfac"], "in the order of the experiment");
    assert!(screen.lines.iter().all(|line| line.test.len() == 20 && line.loss.len() == 20));
    assert!(screen.lines.iter().all(|line| line.test.last().unwrap().1 > 0.9));

    let path = folder.path().join(format!("{}.parquet", found[0].entry.trial));
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    let garbage = vec![0; std::fs::metadata(&path).unwrap().len() as usize];
    std::fs::write(&path, garbage).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(modified).unwrap();
    let standing = |found: &[Found]| found[0].entry.standing;
    assert_eq!(standing(&reader.look().unwrap()), Standing::Finished, "it looks as it did, so it is not read");
    file.set_modified(modified + std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(standing(&reader.look().unwrap()), Standing::Broken);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(reader.look().unwrap().len(), 7);
}

#[test]
fn a_trial_that_runs_elsewhere_is_seen_to_advance() {
    let folder = folder(&SMALL.replace("epochs = 2", "epochs = 100000"));
    let plan = experiment::read(&folder.path().join("x.toml"), &Overrides::default()).unwrap();
    let mut reader = Reader::new(folder.path().join("results/small"), Some(plan)).unwrap();
    let waiting = reader.look().unwrap();
    assert!(waiting.iter().all(|trial| trial.entry.standing == Standing::Waiting && trial.epochs == Some(100_000)));
    assert_eq!(waiting[0].cost, 2.0 * waiting[2].cost, "curvature counts double");
    let mut command = command(folder.path(), &["run", "x.toml", "--json", "--threads", "1"]);
    let mut process = Alive(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    // It is told of once a second, for as long as it runs: that is days.
    let mut seen = |step: usize| loop {
        let found = reader.look().unwrap();
        let progress = found[0].progress.as_ref().filter(|progress| progress.step > step);
        if let Some(progress) = progress {
            break (progress.clone(), found);
        }
        assert!(process.0.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let (first, _) = seen(0);
    let (second, found) = seen(first.step);
    assert_eq!((second.epochs, found[0].entry.standing), (100_000, Standing::Running));
    assert!(second.seconds > first.seconds && second.share() > 0.0);
    assert_eq!(second.milestones.len(), second.step / second.steps, "every epoch that has ended");
    let screen = Screen::new(&found, &reader.arms(), runner::now());
    assert_eq!(screen.counts, [(1, Standing::Running), (3, Standing::Waiting)]);
    assert!(screen.left.is_some_and(|left| left.seconds > second.seconds) && screen.elapsed.is_some());
    drop(process);
    until_none_runs(folder.path());
    let left = run(folder.path(), &["clean", "results/small", "--yes"]);
    assert!(left.out.ends_with("1 removed\n"), "{}", left.out);
}
