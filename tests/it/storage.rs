//! Disks that are full or read-only, and data that go away: nothing finished is lost, and one message says what to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nkfac_bench::experiment::Trial;
use nkfac_bench::runner::{self, Event, Reporter, Standing, Summary};

use super::faults::{plan, settings};
use super::program::{Ran, ran, run};
use super::sweep::{SMALL, folder};

const ALL_DONE: &str = "4 finished, 0 diverged, 0 already done, 0 failed\n";
const REST_DONE: &str = "2 finished, 0 diverged, 2 already done, 0 failed\n";

/// A file system of its own, in memory, for results.
struct Disk(tempfile::TempDir);

impl Disk {
    /// None where mounting is not allowed.
    fn new() -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mounted = mount(&["-t", "tmpfs", "-o", "size=1m", "none"], disk.0.path());
        if !mounted {
            println!("skipped: no file system can be mounted here");
        }
        mounted.then_some(disk)
    }

    fn results(&self) -> PathBuf {
        self.0.path().join("small")
    }

    /// Fills it up but for so many bytes.
    fn fill(&self, left: u64) {
        let path = self.0.path().join("filler");
        // Writing goes as far as there is room, and fails.
        let _ = fs::write(&path, vec![1; 2 << 20]);
        let filler = fs::File::options().write(true).open(&path).unwrap();
        filler.set_len(filler.metadata().unwrap().len() - left).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
    }

    fn run(&self, experiment: &Path, more: &[&str]) -> Ran {
        let out = self.0.path().to_str().unwrap();
        run(experiment, &[&["run", "x.toml", "--out", out, "--threads", "1"], more].concat())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let status = Command::new("mount").args(arguments).arg(at).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The results in `folder`, byte for byte.
fn finished(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let results = paths.filter(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    results.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_disk_that_fills_up_stops_the_sweep_which_goes_on_once_there_is_room() {
    let folder = folder(&format!("checkpoint = {{ epochs = 1 }}\n{SMALL}"));
    // No room for a lock, for a result, and for weights: a page is 4 KiB.
    let cases = [(0, &[][..], "small"), (12 << 10, &[], ".parquet"), (4 << 10, &["--save-weights"], ".safetensors")];
    for (left, more, what) in cases {
        let Some(disk) = Disk::new() else { return };
        assert_eq!(disk.run(folder.path(), &["--seeds", "1"]).code, 0);
        let before = finished(&disk.results());
        assert_eq!(before.len(), 2);
        disk.fill(left);
        let full = disk.run(folder.path(), more);
        assert_eq!(full.code, 1, "{}{}", full.out, full.err);
        let error = full.err.lines().find(|line| line.starts_with("error: cannot write to `")).unwrap();
        assert!(error.contains(&format!("{what}`: No space left on device")), "{}", full.err);
        assert_eq!(full.err.matches("hint: make room, or choose").count(), 1, "{}", full.err);
        assert_eq!(finished(&disk.results()), before);
        disk.empty();
        let rest = disk.run(folder.path(), more);
        assert!(rest.out.ends_with(REST_DONE), "{left}: {}{}", rest.out, rest.err);
        assert!(before.iter().all(|(path, bytes)| fs::read(path).unwrap() == *bytes));
    }
}

#[test]
fn on_a_full_disk_no_process_is_begun_only_to_say_the_same() {
    let folder = folder(SMALL);
    let Some(disk) = Disk::new() else { return };
    fs::create_dir(disk.results()).unwrap();
    disk.fill(0);
    let full = disk.run(folder.path(), &[]);
    assert_eq!(full.code, 1, "{}{}", full.out, full.err);
    assert_eq!(full.err.matches("hint: make room").count(), 1, "{}", full.err);
    assert!(full.out.ends_with("0 finished, 0 diverged, 0 already done, 1 failed\n"), "{}", full.out);
    disk.empty();
    let rest = disk.run(folder.path(), &["--jobs", "2"]);
    assert!(rest.out.ends_with(ALL_DONE), "{}{}", rest.out, rest.err);
}

/// Runs half of a sweep, makes its folder read-only, and writable again.
fn read_only(experiment: &Path, out: &Path, protect: &dyn Fn(bool)) {
    let with = |more: &[&str]| run(experiment, &[&["run", "x.toml", "--out", out.to_str().unwrap()], more].concat());
    assert_eq!(with(&["--seeds", "1"]).code, 0);
    let results = out.join("small");
    let before = finished(&results);
    protect(true);
    for jobs in [&["--in-process"][..], &[]] {
        let stopped = with(jobs);
        assert_eq!(stopped.code, 1, "{}{}", stopped.out, stopped.err);
        assert!(stopped.err.contains("error: cannot write to `"), "{}", stopped.err);
        assert_eq!(stopped.err.matches("hint: make room, or choose another folder with `--out`").count(), 1);
    }
    let status = run(experiment, &["status", results.to_str().unwrap()]);
    assert!(status.code == 0 && status.out.ends_with("2 finished\n"), "{}{}", status.out, status.err);
    let drawn = run(experiment, &["figure", results.to_str().unwrap()]);
    assert!(drawn.code == 1 && drawn.err.contains("hint: no result is touched"), "{}", drawn.err);
    assert_eq!(finished(&results), before);
    protect(false);
    let rest = with(&[]);
    assert!(rest.out.ends_with(REST_DONE), "{}{}", rest.out, rest.err);
}

#[test]
fn a_read_only_disk_stops_the_sweep_and_nothing_is_lost() {
    let Some(disk) = Disk::new() else { return };
    let remount = |protect| {
        let options = if protect { "remount,ro" } else { "remount,rw" };
        assert!(mount(&["-o", options], disk.0.path()));
    };
    read_only(folder(SMALL).path(), disk.0.path(), &remount);
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission_stops_the_sweep_and_nothing_is_lost() {
    use std::os::unix::fs::PermissionsExt;
    let out = tempfile::tempdir().unwrap();
    let permit = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    permit(out.path(), 0o555);
    if fs::create_dir(out.path().join("x")).is_ok() {
        println!("skipped: the superuser may write everywhere");
        return;
    }
    permit(out.path(), 0o755);
    let protect = |protect| {
        let results = out.path().join("small");
        for path in [results.join("_figures"), results] {
            permit(&path, if protect { 0o555 } else { 0o755 });
        }
    };
    read_only(folder(SMALL).path(), out.path(), &protect);
}

/// Cuts a file to `left` bytes as soon as the first trial has ended.
struct Cutter<'a> {
    file: &'a Path,
    left: u64,
    ended: usize,
    failures: Vec<String>,
}

impl Reporter for Cutter<'_> {
    fn event(&mut self, _: &Trial, event: &Event) {
        match event {
            Event::Ended { .. } => {
                self.ended += 1;
                if self.ended == 1 {
                    resize(self.file, self.left);
                }
            }
            Event::Failed { error, .. } => self.failures.push(error.clone()),
            _ => {}
        }
    }
}

/// Bytes that are missing are zeros, which take no room.
fn resize(path: &Path, bytes: u64) {
    fs::File::options().create(true).truncate(false).write(true).open(path).unwrap().set_len(bytes).unwrap();
}

const CIFAR: &str = r#"
name = "small"
data_dir = "DATA"
[base]
epochs = 1
batch = 16
data = { kind = "cifar10", train_limit = 16 }
model = { kind = "mlp", hidden = [2] }
schedule = { kind = "constant", lr = 0.01 }
optimizer = { preset = "sgd" }
[[arm]]
name = "before"
[[arm]]
name = "others"
data = { kind = "digits", train_limit = 16 }
[[arm]]
name = "after"
data.train_limit = 32
[[arm]]
name = "last"
data = { kind = "digits", train_limit = 32 }
"#;

#[test]
fn data_cut_short_while_the_sweep_runs_fail_their_trials_alone() {
    let record = 3073;
    for (left, says) in [
        (5_000 * record, "45000 training images, but cifar10 has 50000\nhint: a file is cut short"),
        (
            5_000 * record - 1,
            "data_batch_3.bin` is broken: 15364999 bytes (must be whole records of 3073)\nhint: get it again",
        ),
    ] {
        let data = tempfile::tempdir().unwrap();
        let names = (1..=5).map(|i| format!("data_batch_{i}.bin")).chain(["test_batch.bin".into()]);
        let files: Vec<PathBuf> = names.map(|name| data.path().join(name)).collect();
        files.iter().for_each(|path| resize(path, 10_000 * record));
        let folder = folder(&CIFAR.replace("DATA", data.path().to_str().unwrap()));
        let (plan, settings) = (plan(folder.path()), settings(folder.path()));
        let mut cutter = Cutter { file: &files[2], left, ended: 0, failures: Vec::new() };
        let summary = runner::run(&plan, &settings, &mut cutter).unwrap();
        assert_eq!(summary, Summary { finished: 3, failed: 1, ..Summary::default() }, "{:?}", cutter.failures);
        assert!(cutter.failures[0].contains(says), "{:?}", cutter.failures);
        let standings = || -> Vec<(Standing, String)> {
            let entries = runner::survey(&settings.folder, Some(&plan)).unwrap();
            entries.into_iter().map(|entry| (entry.standing, entry.note)).collect()
        };
        let (standing, note) = &standings()[2];
        assert!(*standing == Standing::Failed && cutter.failures[0].starts_with(note), "{standing:?}: {note}");
        // With the file as it was the same sweep goes on.
        resize(&files[2], 10_000 * record);
        cutter.left = 10_000 * record;
        let summary = runner::run(&plan, &settings, &mut cutter).unwrap();
        assert_eq!(summary, Summary { finished: 1, skipped: 3, ..Summary::default() }, "{:?}", cutter.failures);
        assert!(standings().iter().all(|(standing, _)| *standing == Standing::Finished));
    }
}

#[test]
fn data_that_are_missing_are_said_before_anything_runs() {
    let arms = "[[arm]]\nname = \"mnist\"\ndata = { kind = \"mnist\" }\n[[arm]]\nname = \"sgd\"";
    let folder = folder(&SMALL.replacen("[[arm]]\nname = \"sgd\"", arms, 1));
    let ran = run(folder.path(), &["run", "x.toml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.is_empty() && ran.err.contains("error: no mnist in `"), "{}{}", ran.out, ran.err);
}

/// Files may not grow beyond so many KiB: writing fails as it does on a full disk.
fn run_with_room(folder: &Path, kibibytes: usize) -> Ran {
    let mut bash = Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$0\" run x.toml --threads 1");
    bash.args(["-c", &script, env!("CARGO_BIN_EXE_nkfac-bench")]).current_dir(folder);
    ran(&mut bash)
}

#[test]
fn a_full_disk_stops_the_sweep_and_says_what_to_do() {
    let folder = folder(&format!("checkpoint = {{ epochs = 1 }}\n{SMALL}"));
    let ran = run_with_room(folder.path(), 8);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("no checkpoint in `"), "{}", ran.err);
    assert!(ran.err.contains("error: cannot write to `"), "{}", ran.err);
    assert!(ran.err.contains("hint: make room, or choose another folder with `--out`"), "{}", ran.err);
    let ran = run(folder.path(), &["run", "x.toml"]);
    assert!(ran.out.ends_with("4 finished, 0 diverged, 0 already done, 0 failed\n"), "{}{}", ran.out, ran.err);
}

#[test]
fn results_that_cannot_be_written_are_said_before_anything_is_run() {
    let folder = folder(SMALL);
    std::fs::write(folder.path().join("results"), "a file").unwrap();
    let ran = run(folder.path(), &["run", "x.toml"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("cannot make the folder `results/small`"), "{}", ran.err);
}
