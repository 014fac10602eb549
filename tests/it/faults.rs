//! What can go wrong in a sweep costs minutes and loses nothing that is finished.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use allocation_counter::measure;
use candle_core::Device;
use nkfac_bench::experiment::{self, Overrides, Trial};
use nkfac_bench::runner::{self, Event, Reporter, Settings, Shard, Summary};
use proptest::prelude::*;

use super::program::{command, run};
use super::sweep::{SMALL, folder, numbers, results};

/// Trials that take long enough to be met alive.
pub fn long() -> String {
    SMALL.replace("epochs = 2", "epochs = 150")
}

pub fn plan(folder: &Path) -> experiment::Experiment {
    experiment::read(&folder.join("x.toml"), &Overrides::default()).unwrap()
}

pub fn settings(folder: &Path) -> Settings {
    Settings {
        folder: folder.join("results/small"),
        device: Device::Cpu,
        device_name: "cpu".into(),
        threads: 1,
        save_weights: false,
        stop: Arc::<AtomicBool>::default(),
        retry: false,
        parent: None,
    }
}

/// Panics in a trial of this arm, at its first epoch.
struct Clumsy {
    arm: &'static str,
    failures: Vec<(String, bool)>,
}

impl Reporter for Clumsy {
    fn event(&mut self, trial: &Trial, event: &Event) {
        match event {
            Event::Epoch { .. } => assert!(trial.arm != self.arm, "clumsy me"),
            Event::Failed { error, again } => self.failures.push((error.clone(), *again)),
            _ => {}
        }
    }
}

#[test]
fn a_panic_is_tried_three_times_and_does_not_stop_the_rest() {
    let folder = folder(SMALL);
    let (plan, mut settings) = (plan(folder.path()), settings(folder.path()));
    let once = |arm, settings: &Settings| {
        let mut reporter = Clumsy { arm, failures: Vec::new() };
        (runner::run(&plan, settings, &mut reporter).unwrap(), reporter.failures)
    };
    let (summary, failures) = once("sgd", &settings);
    assert_eq!(summary, Summary { finished: 2, failed: 2, ..Summary::default() });
    let again: Vec<bool> = failures.iter().map(|(_, again)| *again).collect();
    assert_eq!(again, [true, true, false, true, true, false]);
    assert!(failures[0].0.contains("panicked: clumsy me"), "{failures:?}");
    let (summary, failures) = once("nobody", &settings);
    assert_eq!(summary, Summary { skipped: 2, failed: 2, ..Summary::default() }, "given up");
    assert!(failures[0].0.contains("given up after 3 failures; the last: the trial panicked: clumsy me"));
    settings.retry = true;
    assert_eq!(once("nobody", &settings).0, Summary { skipped: 2, finished: 2, ..Summary::default() });
    assert!(!settings.folder.join("_unfinished").exists());
}

#[test]
fn what_lies_in_a_results_place_is_named_and_left_alone() {
    let folder = folder(SMALL);
    run(folder.path(), &["run", "x.toml"]);
    let ids: Vec<String> = plan(folder.path()).trials.into_iter().map(|trial| trial.id).collect();
    let place = |i: usize| folder.path().join(format!("results/small/{}.parquet", ids[i]));
    let mut damaged = std::fs::read(place(0)).unwrap();
    damaged[100] ^= 1;
    std::fs::write(place(0), &damaged).unwrap();
    std::fs::write(place(1), "mine").unwrap();
    std::fs::remove_file(place(2)).unwrap();
    let ran = run(folder.path(), &["run", "x.toml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("is left alone: its checksum is wrong: it is damaged\nhint: move it away"), "{}", ran.err);
    assert!(ran.err.contains("is left alone: it is cut short, damaged, or not written by this program"), "{}", ran.err);
    assert!(ran.out.ends_with("1 finished, 0 diverged, 1 already done, 2 failed\n"), "{}", ran.out);
    assert_eq!((std::fs::read(place(0)).unwrap(), std::fs::read(place(1)).unwrap()), (damaged, b"mine".to_vec()));
    let status = run(folder.path(), &["status", "x.toml"]);
    assert!(status.out.ends_with("2 finished, 2 broken\n"), "{}", status.out);
}

/// The first trial that a process with `--json` says has started, and the rest of what it says.
pub fn first_started(child: &mut Child) -> (String, impl Iterator<Item = String> + use<>) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let started = lines.by_ref().find(|line| line.contains("\"started\"")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&started).unwrap();
    (line["trial"].as_str().unwrap().to_owned(), lines)
}

pub fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap().success());
}

/// Waits for the process of a trial whose sweep was killed: it saves, and ends.
pub fn until_none_runs(folder: &Path) {
    while run(folder, &["status", "results/small"]).out.contains("  running") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_sweep_that_is_asked_to_stop_saves_and_goes_on() {
    let (folder, whole) = (folder(&long()), folder(&long()));
    let mut child =
        command(folder.path(), &["run", "x.toml", "--json", "--threads", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let (trial, lines) = first_started(&mut child);
    signal(child.id(), "TERM");
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{said:?}");
    assert!(said.iter().any(|line| line.contains("\"stopped\"") && line.contains("\"saved\":true")), "{said:?}");
    let status = run(folder.path(), &["status", "results/small"]);
    assert!(status.out.contains(&format!("{trial}  stopped")), "{}", status.out);
    assert!(status.out.contains("saved after step "), "{}", status.out);
    let ran = run(folder.path(), &["run", "x.toml", "--threads", "1"]);
    assert!(ran.err.contains("resuming after step "), "{}", ran.err);
    run(whole.path(), &["run", "x.toml", "--threads", "1"]);
    assert_eq!(numbers(&results(folder.path())), numbers(&results(whole.path())));
    assert!(!folder.path().join("results/small/_unfinished").exists());
}

#[test]
fn a_signal_that_is_sent_twice_at_once_is_one() {
    let folder = folder(&long());
    let mut child =
        command(folder.path(), &["run", "x.toml", "--json", "--threads", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let (_, lines) = first_started(&mut child);
    // `timeout` sends it to its child, and to the child's group.
    let pid = child.id().to_string();
    assert!(Command::new("sh").args(["-c", "kill -INT $0; kill -INT $0", &pid]).status().unwrap().success());
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{said:?}");
    assert!(said.iter().any(|line| line.contains("\"stopped\"")), "{said:?}");
}

#[test]
fn a_comparison_of_inverters_that_is_asked_to_stop_goes_on_later() {
    let folder = folder(
        "name = \"small\"\ntask = \"inverse\"\n[base]\norder = 200\nrounds = 20\ndamping = 0.001\nperturbation = 0.1\n\
         inverter = \"newton-pure\"\n[sweep]\nseed = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]\n",
    );
    for name in ["TERM", "HUP"] {
        let mut run = command(folder.path(), &["run", "x.toml", "--json"]);
        let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.next().unwrap().contains("\"ended\""));
        signal(child.id(), name);
        assert!(lines.last().unwrap().contains("\"stopped\":true"));
        assert_eq!(child.wait().unwrap().code(), Some(3), "{name}");
    }
    let rest = run(folder.path(), &["run", "x.toml"]);
    assert!(rest.code == 0 && !rest.out.contains(" 0 already done"), "{}{}", rest.out, rest.err);
    let status = run(folder.path(), &["status", "results/small"]);
    assert!(status.out.ends_with("\n24 finished\n"), "{}", status.out);
    let table = fs::read_to_string(folder.path().join("results/small/_figures/table.md")).unwrap();
    let head: Vec<&str> =
        table.lines().next().unwrap().split('|').map(str::trim).filter(|head| !head.is_empty()).collect();
    assert_eq!(head, ["arm", "residual, last round", "seeds", "diverged"]);
}

#[test]
fn a_trial_killed_for_its_memory_takes_nobody_with_it() {
    let folder = folder(&long());
    let arguments = ["run", "x.toml", "--json", "--jobs", "2", "--threads", "2"];
    let mut child = command(folder.path(), &arguments).stdout(Stdio::piped()).spawn().unwrap();
    let (trial, lines) = first_started(&mut child);
    let status = run(folder.path(), &["status", "x.toml"]);
    assert!(status.out.contains(&format!("{trial}  running")), "{}", status.out);
    let lock = std::fs::read(folder.path().join(format!("results/small/_unfinished/{trial}/lock"))).unwrap();
    let holder: serde_json::Value = serde_json::from_slice(&lock).unwrap();
    signal(u32::try_from(holder["pid"].as_u64().unwrap()).unwrap(), "KILL");
    let said: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
    let failed = |line: &&String| line.contains("\"failed\"") && line.contains("signal: 9") && line.contains(&trial);
    assert_eq!(said.iter().filter(failed).count(), 1, "{said:?}");
    let status = run(folder.path(), &["status", "x.toml"]);
    assert!(status.out.ends_with("\n4 finished\n"), "{}", status.out);
}

#[test]
fn many_processes_on_one_folder_run_every_trial_once() {
    for processes in [2, 8] {
        let folder = folder(&SMALL.replace("seed = [1, 2]", "seed = [1, 2, 3, 4, 5, 6]"));
        let arguments = ["run", "x.toml", "--json", "--threads", "1"];
        let children: Vec<_> = (0..processes)
            .map(|_| command(folder.path(), &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
            .collect();
        let mut ended = Vec::new();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            for line in String::from_utf8(output.stdout).unwrap().lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                if line["event"] == "ended" {
                    ended.push(line["trial"].as_str().unwrap().to_owned());
                }
            }
        }
        let distinct: BTreeSet<&String> = ended.iter().collect();
        assert_eq!((ended.len(), distinct.len()), (12, 12));
        let status = run(folder.path(), &["status", "x.toml"]);
        assert!(status.out.ends_with("\n12 finished\n"), "{}", status.out);
    }
}

#[test]
fn cleaning_removes_what_is_unfinished_and_asks_before() {
    let folder = folder(&long());
    let mut child =
        command(folder.path(), &["run", "x.toml", "--json", "--seeds", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let (trial, lines) = first_started(&mut child);
    let running = run(folder.path(), &["clean", "results/small", "--yes"]);
    assert_eq!(running.out, "nothing is unfinished\n", "what runs is left alone");
    signal(child.id(), "KILL");
    assert_eq!(child.wait().unwrap().code(), None);
    lines.for_each(drop);
    until_none_runs(folder.path());
    let asked = run(folder.path(), &["clean", "results/small"]);
    assert_eq!((asked.code, asked.out.as_str()), (1, format!("results/small/_unfinished/{trial}\n").as_str()));
    assert!(asked.err.contains("cannot ask for confirmation: stdin is not a terminal"), "{}", asked.err);
    let cleaned = run(folder.path(), &["clean", "results/small", "--yes"]);
    assert!(cleaned.out.ends_with("1 removed\n"), "{}", cleaned.out);
    assert_eq!(run(folder.path(), &["status", "results/small"]).out, "no trials\n");
}

#[test]
fn shards_are_a_partition_that_depends_on_the_plan_alone() {
    let folder = folder(&SMALL.replace("seed = [1, 2]", "seed = [1, 2, 3]\nepochs = [2, 3, 9]"));
    let ids = |trials: &[experiment::Trial]| trials.iter().map(|trial| trial.id.clone()).collect::<Vec<_>>();
    let part = |number, count| {
        let mut experiment = plan(folder.path());
        experiment.keep(Shard { number, count }).unwrap();
        experiment.trials
    };
    // Curvature counts double.
    let cost = |trial: &experiment::Trial| trial.config.rounds() * if trial.arm == "nkfac" { 2 } else { 1 };
    let all: BTreeSet<String> = ids(&plan(folder.path()).trials).into_iter().collect();
    for count in [1, 2, 5, 18, 20] {
        let parts: Vec<Vec<experiment::Trial>> = (1..=count).map(|number| part(number, count)).collect();
        let dealt: Vec<String> = parts.iter().flat_map(|trials| ids(trials)).collect();
        assert_eq!((dealt.len(), dealt.into_iter().collect::<BTreeSet<_>>()), (18, all.clone()), "{count} parts");
        assert!(parts.iter().all(|trials| trials.iter().map(cost).is_sorted_by(|a, b| a >= b)), "longest first");
    }
    let loads: Vec<usize> = (1..=2).map(|number| part(number, 2).iter().map(cost).sum()).collect();
    assert!(loads.iter().all(|load| (60..=66).contains(load)), "{loads:?} of 126");
    let ran = run(folder.path(), &["run", "x.toml", "--shard", "2/18", "--threads", "1"]);
    assert!(ran.out.ends_with("1 finished, 0 diverged, 0 already done, 0 failed\n"), "{}", ran.out);
    assert_eq!(run(folder.path(), &["run", "x.toml", "--shard", "3/2"]).code, 2);
}

#[test]
fn a_result_of_another_machine_is_done_and_said_to_be_so() {
    let folder = folder(SMALL);
    run(folder.path(), &["run", "x.toml", "--threads", "1"]);
    let ran = run(folder.path(), &["run", "x.toml", "--threads", "2"]);
    assert_eq!(ran.out.matches("already done, but on cpu, 1 threads").count(), 4, "{}", ran.out);
}

#[test]
fn how_often_to_save_is_checked_like_everything_else() {
    let message = |table: &str| {
        let folder = folder(&format!("checkpoint = {table}\n{SMALL}"));
        run(folder.path(), &["plan", "x.toml"]).err
    };
    assert_eq!(message("{ epochs = 0 }"), "error: x.toml:1: `checkpoint.epochs` must be at least 1 (got 0)\n");
    assert_eq!(message("{ minutes = -1 }"), "error: x.toml:1: `checkpoint.minutes` must be greater than 0 (got -1)\n");
    assert!(message("{ epoch = 1 }").contains("unknown key `epoch` in `checkpoint`\nhint: did you mean `epochs`?"));
}

#[test]
fn more_trials_than_there_is_memory_for_are_refused() {
    let values = (0..40).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let keys = ["batch", "epochs", "schedule.warmup", "optimizer.update.weight_decay"];
    let axes: String = keys.iter().map(|key| format!("\"{key}\" = [{values}]\n")).collect();
    let folder = folder(&format!("{SMALL}{axes}"));
    let mut refused = None;
    let memory = measure(|| refused = experiment::read(&folder.path().join("x.toml"), &Overrides::default()).err());
    let message = refused.unwrap().to_string();
    assert!(message.ends_with(":20: with the axis `optimizer.update.weight_decay` an arm has 2560000 trials or more, but at most 100000 are allowed"), "{message}");
    assert!(memory.bytes_max < 1 << 20, "{} bytes", memory.bytes_max);
}

#[test]
fn a_batch_script_can_be_read_before_it_is_submitted() {
    let folder = folder(SMALL);
    let arguments = ["submit", "x.toml", "--dry-run", "--partition", "long", "--array-max", "2"];
    let ran = run(folder.path(), &arguments);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for part in ["--array=1-4%2", "--partition=long", "--requeue", "--signal=B:USR1@120"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let gpus = run(folder.path(), &[&arguments[..], &["--gpus", "1"]].concat());
    if candle_core::utils::cuda_is_available() {
        assert!(gpus.out.contains("--gpus=1") && gpus.out.contains("--device cuda"), "{}", gpus.out);
    } else {
        assert_eq!((gpus.code, gpus.out.as_str()), (1, ""), "every task would fail");
        assert!(gpus.err.starts_with("error: this program was built without CUDA\nhint: "), "{}", gpus.err);
    }
    assert!(!folder.path().join("results").exists());
    let mut bash = Command::new("bash");
    bash.args(["-n", "-c", &ran.out]);
    assert_eq!(super::program::ran(&mut bash).err, "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn whatever_a_file_says_it_is_read_or_refused(
        text in prop::sample::select(vec![SMALL, include_str!("../../experiments/tuned.toml")]),
        at in any::<prop::sample::Index>(),
        length in 0usize..12,
        with in r#"[ -~\n]{0,12}|-?[0-9]{1,19}|nan|inf|\[\]|\{\}|"[a-z0-9./]{0,8}""#,
    ) {
        // In memory where there is such a place: 10,000 files on a disk take long.
        thread_local!(static FOLDER: tempfile::TempDir =
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap());
        let start = at.index(text.len());
        let end = text.len().min(start + length);
        let text = [&text.as_bytes()[..start], with.as_bytes(), &text.as_bytes()[end..]].concat();
        FOLDER.with(|folder| {
            let path = folder.path().join("x.toml");
            std::fs::write(&path, text).unwrap();
            let mut trials = 0;
            let memory = measure(|| {
                trials = experiment::read(&path, &Overrides::default()).map_or(0, |experiment| experiment.trials.len());
            });
            prop_assert!(memory.bytes_max < (1 << 20) + (trials as u64) * (64 << 10), "{} bytes", memory.bytes_max);
            Ok(())
        })?;
    }
}

#[test]
fn status_shows_the_experiment_as_it_is_run() {
    let folder = folder(&format!("{SMALL}[scale.laptop.sweep]\nseed = [7]\n"));
    let lines = |args: &[&str]| {
        let status = run(folder.path(), args);
        assert_eq!(status.code, 0, "{}", status.err);
        status.out.lines().count()
    };
    let (all, scaled) = (lines(&["status", "x.toml"]), lines(&["status", "x.toml", "--scale", "laptop"]));
    assert!(scaled < all, "{scaled} of {all}");
    assert_eq!(lines(&["status", "x.toml", "--seeds", "1"]), scaled);
    std::fs::create_dir(folder.path().join("results")).unwrap();
    let refused = run(folder.path(), &["status", "results", "--seeds", "1"]);
    assert_eq!(
        refused.err,
        "error: `results` is a results folder, and only an experiment can be changed\nhint: name the TOML file\n"
    );
}
