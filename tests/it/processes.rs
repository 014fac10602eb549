//! A process for every trial: what it takes with it, and what it leaves alone.

use std::process::Stdio;

use super::faults::{first_started, long, plan, signal};
use super::program::{command, run};
use super::sweep::{SMALL, folder, results};

#[test]
fn a_sweep_that_is_killed_goes_on_at_once_though_its_last_trial_has_not_ended_yet() {
    let folder = folder(&long());
    let mut child = command(folder.path(), &["run", "x.toml", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let (_, lines) = first_started(&mut child);
    signal(child.id(), "KILL");
    let ran = run(folder.path(), &["run", "x.toml", "--json"]);
    drop(lines);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.contains("\"event\":\"taken\""), "{}", ran.out);
    let status = run(folder.path(), &["status", "x.toml"]);
    assert!(status.out.ends_with("\n4 finished\n"), "{}", status.out);
}

#[test]
fn a_file_that_is_edited_or_removed_while_it_runs_changes_nothing() {
    for remove in [false, true] {
        let folder = folder(&long().replace("epochs = 150", "epochs = 40"));
        let planned = plan(folder.path()).trials.len();
        let mut child = command(folder.path(), &["run", "x.toml", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let (_, lines) = first_started(&mut child);
        let file = folder.path().join("x.toml");
        if remove {
            std::fs::remove_file(file).unwrap();
        } else {
            std::fs::write(file, "epochs =").unwrap();
        }
        let ended = lines.filter(|line| line.contains("\"ended\"")).count();
        assert_eq!((child.wait().unwrap().code(), ended), (Some(0), planned));
    }
}

/// The peaks of memory of the small net's trials, which run behind those of a large one.
fn small_peaks(more: &[&str]) -> Vec<f64> {
    let text = SMALL.replace("hidden = [16]", "hidden = [4096, 2048]").replace("seed = [1, 2]", "seed = [1]");
    let text = text.replace(
        "optimizer = { preset = \"sgd\" }",
        "optimizer = { preset = \"sgd\" }\nmodel = { kind = \"mlp\", hidden = [4] }",
    );
    let text = text
        .replace("preset = \"nkfac\", precondition = { factor_every = 1, inverse_every = 1 }", "preset = \"adamw\"");
    let folder = folder(&text);
    let ran = run(folder.path(), &[&["run", "x.toml", "--threads", "1"], more].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = results(folder.path());
    let column = |name: &str| rows.column(name).unwrap().str().unwrap().clone();
    let (arms, metrics, values) =
        (column("arm"), column("metric"), rows.column("value").unwrap().f64().unwrap().clone());
    (0..rows.height())
        .filter(|&i| arms.get(i) == Some("sgd") && metrics.get(i) == Some("peak_rss_bytes"))
        .map(|i| values.get(i).unwrap() / f64::from(1 << 20))
        .collect()
}

#[test]
fn the_peak_of_memory_does_not_depend_on_what_ran_before() {
    let (own, shared) = (small_peaks(&[]), small_peaks(&["--in-process"]));
    assert_eq!((own.len(), shared.len()), (1, 1));
    assert!(own[0] > 10.0, "{own:?}");
    assert!(shared[0] > own[0] + 10.0, "control: {shared:?} MiB where all trials share a process, {own:?} MiB alone");
}
