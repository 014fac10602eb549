//! A sweep from a file to Parquet: what is run, what is recorded, what is skipped.

use std::path::Path;

use polars::prelude::*;

use super::program::{repository, run};

pub const SMALL: &str = r#"
name = "small"
[base]
epochs = 2
batch = 64
data = { kind = "digits", train_limit = 320, validation = 100 }
model = { kind = "mlp", hidden = [16] }
schedule = { kind = "cosine", lr = 0.05, floor = 0.001, warmup = 1 }
optimizer = { preset = "nkfac", precondition = { factor_every = 1, inverse_every = 1 } }
[[arm]]
name = "nkfac"
[[arm]]
name = "sgd"
optimizer = { preset = "sgd" }
[sweep]
seed = [1, 2]
"#;

pub fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.toml"), text).unwrap();
    folder
}

/// All rows of the results, single steps too, in the order of the files' names.
pub fn results(folder: &Path) -> DataFrame {
    let entries = std::fs::read_dir(folder.join("results/small")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| ParquetReader::new(std::fs::File::open(path).unwrap()).finish().unwrap();
    let mut frames = paths.iter().map(read);
    let first = frames.next().unwrap();
    frames.fold(first, |all, frame| all.vstack(&frame).unwrap())
}

fn texts(rows: &DataFrame, column: &str) -> Vec<String> {
    rows.column(column).unwrap().str().unwrap().iter().map(|text| text.unwrap().to_owned()).collect()
}

/// Everything that does not depend on the time of day.
pub fn numbers(rows: &DataFrame) -> Vec<(String, String, String, u64)> {
    let values = rows.column("value").unwrap().f64().unwrap();
    let names = texts(rows, "trial").into_iter().zip(texts(rows, "scope")).zip(texts(rows, "metric"));
    let timed = |metric: &str| {
        metric.contains("seconds") || metric.contains("phase") || metric.contains("bytes") || metric == "neighbours"
    };
    names
        .zip(values.iter())
        .filter(|((_, metric), _)| !timed(metric))
        .map(|(((trial, scope), metric), value)| (trial, scope, metric, value.unwrap().to_bits()))
        .collect()
}

#[test]
fn a_sweep_is_run_once_and_its_rows_are_complete() {
    let folder = folder(SMALL);
    let ran = run(folder.path(), &["run", "x.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("4 finished, 0 diverged, 0 already done, 0 failed"), "{}", ran.out);
    let rows = results(folder.path());
    let metrics = texts(&rows, "metric");
    for metric in
        ["loss", "accuracy", "lr", "phase_forward", "phase_other", "step_seconds", "step_seconds_p99", "parameters"]
    {
        assert!(metrics.iter().any(|found| found == metric), "{metric}");
    }
    let scopes = texts(&rows, "scope");
    for scope in ["train", "validation", "test", "step", "fc1/a", "fc2/g"] {
        assert!(scopes.iter().any(|found| found == scope), "{scope}");
    }
    let again = run(folder.path(), &["run", "x.toml"]);
    assert!(again.out.contains("0 finished, 0 diverged, 4 already done, 0 failed"), "{}", again.out);
    assert_eq!(numbers(&rows), numbers(&results(folder.path())));
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let (one, other) = (folder(SMALL), folder(SMALL));
    run(one.path(), &["run", "x.toml"]);
    run(other.path(), &["run", "x.toml"]);
    let numbers_of = |folder: &tempfile::TempDir| numbers(&results(folder.path()));
    assert!(numbers_of(&one).len() > 80);
    assert_eq!(numbers_of(&one), numbers_of(&other));
    // Control: another seed gives other bits.
    let seeds = folder(&SMALL.replace("seed = [1, 2]", "seed = [3, 4]"));
    run(seeds.path(), &["run", "x.toml"]);
    let values = |folder: &tempfile::TempDir| numbers_of(folder).into_iter().map(|row| row.3).collect::<Vec<_>>();
    assert_ne!(values(&one), values(&seeds));
}

#[test]
fn folders_are_compared_number_by_number() {
    let (one, other) = (folder(SMALL), folder(SMALL));
    run(one.path(), &["run", "x.toml", "--threads", "1"]);
    run(other.path(), &["run", "x.toml", "--threads", "1"]);
    let compare = || run(one.path(), &["same", "results/small", &other.path().join("results/small").to_string_lossy()]);
    let same = compare();
    assert_eq!(same.code, 0, "{}", same.out);
    assert!(same.out.starts_with("the same: ") && same.out.ends_with(" numbers, bit for bit\n"), "{}", same.out);
    run(other.path(), &["run", "x.toml", "--threads", "1", "--set", "seed=3"]);
    let different = compare();
    assert_eq!(different.code, 1, "{}", different.out);
    assert!(different.out.contains("is missing and "), "{}", different.out);
}

#[test]
fn arms_of_one_seed_see_the_same_batches() {
    let folder = folder(&SMALL.replace("epochs = 2", "epochs = 1"));
    let ran = run(folder.path(), &["run", "x.toml", "--set", "schedule.lr=1e-12", "--set", "schedule.warmup=0"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = results(folder.path());
    let losses: Vec<f64> = texts(&rows, "metric")
        .iter()
        .zip(texts(&rows, "scope"))
        .zip(rows.column("value").unwrap().f64().unwrap().iter())
        .filter(|((metric, scope), _)| *metric == "loss" && scope == "train")
        .map(|(_, value)| value.unwrap())
        .collect();
    let mut distinct = losses.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup_by(|a, b| (*a - *b).abs() < 1e-6);
    assert_eq!((losses.len(), distinct.len()), (4, 2), "{losses:?}");
}

#[test]
fn divergence_is_a_result_and_the_sweep_goes_on() {
    let folder = folder(
        &SMALL.replace("lr = 0.05", "lr = 1e30").replace("name = \"sgd\"", "name = \"calm\"\nschedule.lr = 0.05"),
    );
    let ran = run(folder.path(), &["run", "x.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("2 finished, 2 diverged, 0 already done, 0 failed"), "{}", ran.out);
    let rows = results(folder.path());
    let status: std::collections::HashSet<(String, String)> =
        texts(&rows, "arm").into_iter().zip(texts(&rows, "status")).collect();
    let expected = [("nkfac", "diverged"), ("calm", "finished")];
    assert_eq!(status, expected.map(|(arm, status)| (arm.to_owned(), status.to_owned())).into());
}

#[test]
fn overrides_change_what_is_run() {
    let folder = folder(SMALL);
    let plan = |args: &[&str]| run(folder.path(), &[&["plan", "x.toml"], args].concat()).out;
    assert!(plan(&[]).starts_with("small: 4 trials"));
    assert!(plan(&["--seeds", "1"]).starts_with("small: 2 trials"));
    assert!(plan(&["--seeds", "5"]).starts_with("small: 10 trials"));
    assert!(plan(&["--set", "seed=9"]).starts_with("small: 2 trials"));
    assert_ne!(plan(&["--set", "epochs=3"]), plan(&[]));
    assert_eq!(plan(&["--set", "epochs=2"]), plan(&[]), "the same configuration is the same trial");
}

#[test]
fn different_configurations_are_never_averaged_as_seeds() {
    let folder = folder(SMALL);
    run(folder.path(), &["run", "x.toml", "--set", "epochs=3"]);
    run(folder.path(), &["run", "x.toml"]);
    let ran = run(folder.path(), &["figure", "results/small"]);
    let lines: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("sgd")).collect();
    assert_eq!(lines.len(), 2, "{}", ran.out);
    assert!(lines.iter().all(|line| line.contains("epochs = ")), "{}", ran.out);
}

#[test]
fn nothing_is_learned_at_a_rate_of_zero() {
    let losses = |rate: &str| -> Vec<Vec<u64>> {
        let folder = folder(&SMALL.replace("lr = 0.05", rate));
        let ran = run(folder.path(), &["run", "x.toml", "--seeds", "1"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let all = numbers(&results(folder.path()));
        let of_test = |row: &&(String, String, String, u64)| row.1 == "test" && row.2 == "loss";
        let of_test: Vec<_> = all.iter().filter(of_test).collect();
        of_test.chunk_by(|a, b| a.0 == b.0).map(|rows| rows.iter().map(|row| row.3).collect()).collect()
    };
    let still = losses("lr = 0.0");
    assert!(still.len() == 2 && still.iter().all(|epochs| epochs.len() == 2 && epochs[0] == epochs[1]), "{still:?}");
    assert!(losses("lr = 0.05").iter().all(|epochs| epochs[0] != epochs[1]), "control");
}

#[test]
fn a_name_that_leaves_the_results_folder_is_refused() {
    let folder = folder(&SMALL.replace("\"small\"", "\"../up\""));
    let ran = run(folder.path(), &["plan", "x.toml"]);
    assert_eq!(ran.err, "error: x.toml:2: `name` must be the name of a folder (got `../up`)\n");
}

#[test]
fn scripts_get_a_line_of_json_for_each_event() {
    let folder = folder(SMALL);
    let ran = run(folder.path(), &["run", "x.toml", "--json", "--out", "elsewhere"]);
    let events: Vec<String> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    let count = |event: &str| events.iter().filter(|found| *found == event).count();
    assert_eq!((count("started"), count("epoch"), count("ended"), count("summary")), (4, 8, 4, 1), "{}", ran.out);
    assert!(folder.path().join("elsewhere/small").is_dir());
}

#[test]
fn every_shipped_experiment_is_valid() {
    let mut count = 0;
    for entry in std::fs::read_dir(repository("experiments")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let ran = run(&repository("."), &["plan", &path.to_string_lossy()]);
            assert_eq!(ran.code, 0, "{}: {}", path.display(), ran.err);
            assert!(!ran.err.contains("Newton's iteration never runs"), "{}: {}", path.display(), ran.err);
            count += 1;
        }
    }
    assert!(count >= 6);
}

#[test]
fn every_kind_of_fisher_trains_and_they_differ() {
    let kinds = "[sweep]\n\"optimizer.precondition.fisher\" = [\"empirical\", \"sampled\", \"exact\"]\n";
    let arm = SMALL.split("[[arm]]").next().unwrap();
    let folder = folder(&format!("{arm}{kinds}"));
    let ran = run(folder.path(), &["run", "x.toml"]);
    assert!(ran.out.contains("3 finished, 0 diverged"), "{}{}", ran.out, ran.err);
    let rows = results(folder.path());
    let last: std::collections::HashSet<u64> = numbers(&rows)
        .into_iter()
        .filter(|(_, scope, metric, _)| scope == "train" && metric == "loss")
        .map(|(.., bits)| bits)
        .collect();
    assert_eq!(last.len(), 6, "two epochs of three kinds");
}

/// The sum over a trial of one metric of the training scope.
fn sum(rows: &DataFrame, metric: &str) -> f64 {
    let values = rows.column("value").unwrap().f64().unwrap();
    texts(rows, "metric")
        .iter()
        .zip(values.iter())
        .filter(|(name, _)| *name == metric)
        .map(|(_, value)| value.unwrap())
        .sum()
}

#[test]
fn phases_add_up_to_the_wall_and_little_is_left_over() {
    let text = r#"
name = "small"
[base]
epochs = 1
batch = 32
data = { kind = "synthetic", train_limit = 320, augment = ["crop", "flip"] }
model = { kind = "resnet18", width = 8 }
schedule = { kind = "constant", lr = 0.05 }
optimizer = { preset = "nkfac", precondition = { factor_every = 2, inverse_every = 2 } }
"#;
    let folder = folder(text);
    let ran = run(folder.path(), &["run", "x.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = results(folder.path());
    let phases =
        ["data", "forward", "backward", "moments", "damping", "inversion", "preconditioning", "update", "other"];
    let phases = phases.map(|phase| sum(&rows, &format!("phase_{phase}")));
    let (wall, steps) = (sum(&rows, "epoch_seconds"), sum(&rows, "step_seconds"));
    assert!((phases.iter().sum::<f64>() - wall).abs() < 1e-6 * wall, "{phases:?} of {wall}");
    assert!((0.97..=1.0).contains(&(steps / wall)), "steps took {steps} of {wall}");
    assert!(phases[8] < 0.02 * wall, "{phases:?} of {wall}");
    assert!(phases.iter().all(|&seconds| seconds > 0.0), "{phases:?}");
}
