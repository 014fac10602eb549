//! Tuning: what is drawn, what is chosen by what, and that nothing of it is lost on the way.

mod refused;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nkfac_bench::experiment::{self, Experiment, Overrides, TUNING, Trial};
use nkfac_bench::record::{self, Metric, Origin, Row, Scope, Status};
use nkfac_bench::runner::Standing;
use nkfac_bench::watch::Reader;

use super::program::{command, ran, run};
use super::sweep::folder;

const SEARCH: &str = r#"
name = "small"
[base]
epochs = 2
batch = 64
data = { kind = "digits", train_limit = 320, validation = 100 }
model = { kind = "mlp", hidden = [16] }
schedule = { kind = "constant" }
optimizer = { preset = "sgd" }
[[arm]]
name = "sgd"
[[arm]]
name = "adamw"
optimizer = { preset = "adamw" }
[search]
kind = "halton"
trials = 3
rerun = [11, 12]
[search.space]
"schedule.lr" = { from = 1e-4, to = 1.0, scale = "log" }
"optimizer.update.momentum" = [0.0, 0.5, 0.9]
"#;

fn plan(text: &str, seeds: Option<usize>) -> Result<Experiment, String> {
    let folder = folder(text);
    let overrides = Overrides { seeds, ..Overrides::default() };
    let error = |error: experiment::Error| error.to_string().replace(folder.path().to_str().unwrap(), "");
    experiment::read(&folder.path().join("x.toml"), &overrides).map_err(error)
}

fn parquet(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect()
}

fn ids(experiment: &Experiment) -> BTreeSet<String> {
    experiment.trials.iter().map(|trial| trial.id.clone()).collect()
}

#[test]
fn the_best_are_run_again_and_only_they_are_drawn() {
    let folder = folder(SEARCH);
    let planned = run(folder.path(), &["plan", "x.toml"]);
    assert!(planned.out.starts_with("small: 6 tuning trials, then 2 × 2 reruns (seeds 11, 12)\n"), "{}", planned.out);
    let lacking = "`optimizer.update.momentum` is not searched in the arms that have no such key: `adamw`";
    assert!(planned.err.contains(lacking), "{}", planned.err);
    let first = run(folder.path(), &["run", "x.toml"]);
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(first.out.contains("10 finished, 0 diverged, 0 already done"), "{}", first.out);
    assert_eq!(first.out.matches("chosen: ").count(), 2, "{}", first.out);
    let (results, tuning) = (folder.path().join("results/small"), folder.path().join("results/small/_tuning"));
    assert_eq!((parquet(&results).len(), parquet(&tuning).len()), (4, 6));

    let table = std::fs::read_to_string(results.join("_figures/table.md")).unwrap();
    let labels: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.split('|').nth(1).unwrap().trim())
        .collect();
    assert_eq!(labels.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from(["sgd", "adamw"]), "{table}");
    let report = run(folder.path(), &["report", "results/small", "--markdown", "--out", "-"]).out;
    let said = "each arm the best of 3 configurations by validation accuracy (halton, seed 1), rerun over fresh seeds";
    assert!(report.contains(said), "{report}");
    let report = run(folder.path(), &["report", "results/small/_tuning", "--markdown", "--out", "-"]).out;
    assert!(report.contains("each arm tried at 3 configurations (halton, seed 1)"), "{report}");

    // The second half follows from the first one's files.
    let names = || parquet(&results).into_iter().collect::<BTreeSet<_>>();
    let before = names();
    before.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    whoever_watches_goes_over_to_the_reruns(folder.path(), &tuning);
    let again = run(folder.path(), &["run", "x.toml"]);
    assert!(again.out.contains("4 finished, 0 diverged, 6 already done"), "{}", again.out);
    assert_eq!(names(), before);
    let status = run(folder.path(), &["status", "x.toml"]).out;
    assert!(status.contains("6 finished\nreruns\n") && status.ends_with("\n4 finished\n"), "{status}");
    let of_folder = run(folder.path(), &["status", "results/small"]).out;
    let lines = |status: &str| status.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(lines(&of_folder), lines(&status));

    let other = &mut plan(SEARCH, None).unwrap().trials[0];
    other.config.seed = 11;
    write(&results, other, [0.5; 3], Status::Finished);
    let warned = run(folder.path(), &["run", "x.toml"]);
    assert!(warned.err.contains("left out: 1 other trial in `results/small`"), "{}", warned.err);
    let table = std::fs::read_to_string(results.join("_figures/table.md")).unwrap();
    assert_eq!(table.lines().filter(|line| line.starts_with('|')).count(), 4, "{table}");
}

/// Of a search whose tuning trials have ended, and none of whose four reruns has begun.
fn whoever_watches_goes_over_to_the_reruns(folder: &Path, tuning: &Path) {
    let experiment = || experiment::read(&folder.join("x.toml"), &Overrides::default()).unwrap();
    let reader = || Reader::new(tuning.to_owned(), Some(experiment())).unwrap();
    let ended = reader().look().unwrap();
    let reruns = reader().reruns(&ended).unwrap().look().unwrap();
    assert!(reruns.len() == 4 && reruns.iter().all(|trial| trial.entry.standing == Standing::Waiting));
    // Control: not while a tuning trial waits.
    let path = tuning.join(format!("{}.parquet", ended[0].entry.trial));
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    assert!(reader().reruns(&reader().look().unwrap()).is_none());
    std::fs::rename(&away, &path).unwrap();
}

#[test]
fn shards_wait_for_each_other_and_come_to_the_same() {
    let folder = folder(SEARCH);
    let shard = |part: &str| run(folder.path(), &["run", "x.toml", "--threads", "1", "--shard", part]);
    let first = shard("1/2");
    assert_eq!(first.code, 4, "{}", first.err);
    assert!(first.err.contains("3 of 6 tuning trials have no result yet (of "), "{}", first.err);
    assert!(
        first.err.contains("the reruns wait for them\nhint: run the same command once they are there"),
        "{}",
        first.err
    );
    let status = run(folder.path(), &["status", "x.toml"]).out;
    assert!(status.contains("3 finished, 3 waiting\nreruns\n3 of 6 tuning trials"), "{status}");
    let drawn = run(folder.path(), &["figure", "results/small"]);
    assert!(drawn.code == 1 && drawn.err.contains("only tuning trials are in `results/small`"), "{}", drawn.err);
    // The last to tune begins with the reruns of its part.
    let second = shard("2/2");
    assert_eq!((second.code, parquet(&folder.path().join("results/small")).len()), (0, 2), "{}", second.err);
    assert_eq!(shard("1/2").code, 0);

    let jobs = run(folder.path(), &["run", "x.toml", "--threads", "2", "--jobs", "2", "--out", "jobs"]);
    assert_eq!(jobs.code, 0, "{}", jobs.err);
    assert!(jobs.out.contains("10 finished, 0 diverged, 0 already done"), "{}", jobs.out);
    for part in ["small", "small/_tuning"] {
        let same = run(folder.path(), &["same", &format!("results/{part}"), &format!("jobs/{part}")]);
        assert_eq!(same.code, 0, "{}", same.out);
    }
}

/// Writes a result whose last epoch has this accuracy and loss on validation images, and this accuracy on test images.
fn write(folder: &Path, trial: &Trial, [accuracy, loss, test]: [f64; 3], status: Status) {
    std::fs::create_dir_all(folder).unwrap();
    let origin = Origin {
        experiment: "small".into(),
        trial: trial.id.clone(),
        arm: trial.arm.clone(),
        dataset: "digits".into(),
        model: "mlp".into(),
        optimizer: trial.optimizer.clone(),
        inverter: String::new(),
        seed: trial.config.seed,
        status,
        swept: "{}".into(),
        config: trial.json.to_string(),
        dtype: "f32".into(),
        batch: 64,
        epochs: 2,
        host: "h".into(),
        cpu: "c".into(),
        device: "cpu".into(),
        threads: 1,
        version: "0.1.0".into(),
        commit: "abc".into(),
        started: 0.0,
        load: None,
    };
    let row = |epoch, scope, metric, value| Row { epoch, step: 5, seconds: 1.0, scope, metric, value };
    let rows = [
        // An earlier epoch is no reason, however good.
        row(1, Scope::Validation, Metric::Loss, 0.0),
        row(1, Scope::Validation, Metric::Accuracy, if accuracy < 0.5 { 1.0 } else { 0.0 }),
        row(2, Scope::Validation, Metric::Loss, loss),
        row(2, Scope::Validation, Metric::Accuracy, accuracy),
        row(2, Scope::Test, Metric::Loss, 1.0 - test),
        row(2, Scope::Test, Metric::Accuracy, test),
    ];
    record::write(&folder.join(format!("{}.parquet", trial.id)), &origin, &rows).unwrap();
}

/// The places of the configurations that are chosen when the trials of the first arm score so, and all of the other one diverge.
fn chosen(scores: [[f64; 3]; 3]) -> Vec<usize> {
    chosen_of(SEARCH, scores)
}

fn chosen_of(search: &str, scores: [[f64; 3]; 3]) -> Vec<usize> {
    let folder = tempfile::tempdir().unwrap();
    let experiment = plan(search, None).unwrap();
    let place = experiment.folder(folder.path());
    assert_eq!(place, folder.path().join("small").join(TUNING));
    for (trial, score) in experiment.trials.iter().zip(scores) {
        write(&place, trial, score, Status::Finished);
    }
    assert_eq!(experiment.choose(&place).unwrap().unwrap_err().left.len(), 3);
    for trial in &experiment.trials[3..] {
        write(&place, trial, [1.0, 0.0, 1.0], Status::Diverged);
    }
    let choice = experiment.choose(&place).unwrap().unwrap();
    assert_eq!(choice.lost.iter().map(|trial| trial.arm.as_str()).collect::<Vec<_>>(), ["adamw"]);
    let seeds: Vec<u64> = choice.reruns.trials.iter().map(|trial| trial.config.seed).collect();
    assert_eq!(seeds, [11, 12].repeat(choice.best.len()));
    let place_of = |id: &str| experiment.trials.iter().position(|trial| trial.id == id).unwrap();
    choice.best.iter().map(|best| place_of(&best.trial.id)).collect()
}

#[test]
fn the_best_is_chosen_by_validation_accuracy_and_test_images_have_no_part_in_it() {
    let scores: [[f64; 3]; 3] = [[0.7, 0.9, 0.99], [0.9, 0.8, 0.5], [0.8, 0.1, 0.7]];
    let by_test = (0..3).max_by(|&a, &b| scores[a][2].total_cmp(&scores[b][2])).unwrap();
    assert_eq!((chosen(scores), by_test), (vec![1], 0));
    // Control: with the two accuracies changed about, the other one is chosen.
    assert_eq!(chosen(scores.map(|[validation, loss, test]| [test, loss, validation])), [0]);
}

#[test]
fn of_equals_the_lower_loss_is_chosen_and_then_the_first() {
    assert_eq!(chosen([[0.9, 0.4, 0.0], [0.9, 0.3, 0.0], [0.9, 0.5, 1.0]]), [1]);
    assert_eq!(chosen([[0.8, 0.3, 0.0], [0.9, 0.3, 0.0], [0.9, 0.3, 1.0]]), [1]);
}

#[test]
fn the_soonest_at_the_target_is_chosen_where_a_search_is_by_it() {
    let scores = [[0.9, 0.1, 0.9], [0.3, 0.1, 0.9], [0.4, 0.1, 0.9]];
    let by_target = SEARCH
        .replace("trials = 3", "trials = 3\nby = \"target\"")
        .replace("name = \"small\"", "name = \"small\"\ntarget = 0.95");
    // Of the second and third the first evaluation is above the target.
    assert_eq!(chosen_of(&by_target, scores), [2]);
    assert_eq!(chosen_of(&by_target.replace("by = \"target\"", ""), scores), [0], "by score");
    let none = plan(&SEARCH.replace("trials = 3", "trials = 3\nby = \"target\""), None).unwrap_err();
    assert!(none.contains("x.toml:15: `search.by` is `target`, but the file has no `target`\n"), "{none}");
}

#[test]
fn the_budget_is_recorded_and_part_of_a_reruns_name_alone() {
    let rerun = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let experiment = plan(text, None).unwrap();
        for (i, trial) in experiment.trials.iter().enumerate() {
            // The first is the best of its arm.
            write(folder.path(), trial, [1.0 / (i % 4 + 1) as f64, 0.1, 0.1], Status::Finished);
        }
        experiment.choose(folder.path()).unwrap().unwrap().reruns.trials.remove(0)
    };
    let (short, long) = (SEARCH.to_owned(), SEARCH.replace("trials = 3", "trials = 4"));
    let (few, many) = (plan(&short, None).unwrap(), plan(&long, None).unwrap());
    assert!(ids(&many).is_superset(&ids(&few)), "a longer search begins with the shorter one");
    assert_eq!((few.trials[0].id.as_str(), many.trials.len()), (many.trials[0].id.as_str(), 8));
    let search = |trial: &Trial| trial.json["search"].to_string();
    assert_eq!(search(&few.trials[1]), r#"{"kind":"halton","number":2,"phase":"tuning","seed":1,"trials":3}"#);
    let (few, many) = (rerun(&short), rerun(&long));
    assert_eq!(search(&few), r#"{"kind":"halton","number":1,"phase":"rerun","seed":1,"trials":3}"#);
    assert_eq!(few.config, many.config);
    assert_ne!(few.id, many.id);
    assert_eq!(few.swept, [("seed".to_owned(), 11.into())]);
}

#[test]
fn arms_may_be_tuned_otherwise_than_they_are_run() {
    let shorter = SEARCH.replace("trials = 3", "trials = 3\nbase = { epochs = 1, data.train_limit = 128 }");
    let folder = folder(&shorter);
    let ran = run(folder.path(), &["run", "x.toml", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let epochs = |part: &str| {
        let trials = record::read(&folder.path().join(part)).unwrap().trials;
        let epochs: Vec<u32> = trials.column("epochs").unwrap().u32().unwrap().iter().flatten().collect();
        let images: Vec<String> =
            trials.column("config").unwrap().str().unwrap().iter().flatten().map(str::to_owned).collect();
        (epochs, images.iter().filter(|config| config.contains("\"train_limit\":320")).count())
    };
    assert_eq!(epochs("results/small/_tuning"), (vec![1; 6], 0));
    assert_eq!(epochs("results/small"), (vec![2; 4], 4));
    let report = run(folder.path(), &["report", "x.toml", "--markdown", "--out", "-"]).out;
    assert!(
        report.contains("(halton, seed 1, tuned with {\"data\":{\"train_limit\":128},\"epochs\":1}), rerun"),
        "{report}"
    );
    // Control: it is another claim than of those that were tuned as they are run.
    let ids = |text: &str| {
        let reruns = tempfile::tempdir().unwrap();
        let experiment = plan(text, None).unwrap();
        experiment.trials.iter().for_each(|trial| write(reruns.path(), trial, [0.5, 0.1, 0.1], Status::Finished));
        ids(&experiment.choose(reruns.path()).unwrap().unwrap().reruns)
    };
    assert!(ids(&shorter).is_disjoint(&ids(SEARCH)));
}

#[test]
fn every_arm_is_tried_at_the_same_values_whatever_the_order_of_the_file() {
    for kind in ["halton", "random"] {
        let text = SEARCH.replace("halton", kind).replace("trials = 3", "trials = 20");
        let experiment = plan(&text, None).unwrap();
        let rates = |arm: &str| -> Vec<f64> {
            let trials = experiment.trials.iter().filter(|trial| trial.arm == arm);
            trials.map(|trial| trial.json["schedule"]["lr"].as_f64().unwrap()).collect()
        };
        assert_eq!(rates("sgd"), rates("adamw"));
        assert!(rates("sgd").iter().all(|rate| (1e-4..=1.0).contains(rate)));
        let below = rates("sgd").iter().filter(|&&rate| rate < 1e-2).count();
        assert!(kind == "random" || (9..=11).contains(&below), "half of them below the middle: {below}");
        let (head, space) = text.split_once("[search.space]\n").unwrap();
        let lines: Vec<&str> = space.lines().rev().collect();
        let turned = plan(&format!("{head}[search.space]\n{}\n", lines.join("\n")), None).unwrap();
        assert_eq!(ids(&experiment), ids(&turned));
        let other = plan(&text.replace("rerun", "seed = 2\nrerun"), None).unwrap();
        assert!(ids(&experiment).is_disjoint(&ids(&other)), "control: another seed draws others");
        assert_ne!(experiment.trials[0].swept, other.trials[0].swept);
        assert!(other.trials.iter().all(|trial| trial.config.seed == 2));
    }
}

#[test]
fn a_key_may_be_searched_in_some_arms_alone() {
    let decays = |line: &str, arm: &str| -> BTreeSet<String> {
        let experiment = plan(&format!("{SEARCH}\"optimizer.update.weight_decay\" = {line}\n"), None).unwrap();
        let trials = experiment.trials.iter().filter(|trial| trial.arm == arm);
        trials.map(|trial| trial.json["optimizer"]["update"]["weight_decay"].to_string()).collect()
    };
    for range in ["values = [0.1, 0.2, 0.3]", "from = 0.1, to = 0.3"] {
        let count = |arms: &str| ["adamw", "sgd"].map(|arm| decays(&format!("{{ {range}{arms} }}"), arm).len());
        assert!(count(", arms = [\"adamw\"]")[0] > 1 && count(", arms = [\"adamw\"]")[1] == 1, "{range}");
        // Control: without `arms` it is searched in both.
        assert!(count("").iter().all(|&count| count > 1), "{range}");
    }
}

#[test]
fn a_search_multiplies_the_grid_and_chooses_at_each_of_its_points() {
    let text = format!("{SEARCH}[sweep]\nlabel_smoothing = [0.0, 0.1]\n");
    let experiment = plan(&text, Some(1)).unwrap();
    let search = experiment.search.as_ref().unwrap();
    assert_eq!((experiment.trials.len(), search.choices(&experiment.trials)), (12, 4));
    assert_eq!(search.config.rerun, [11], "`--seeds` takes the first of them");
    // What is set is not searched: adamw has nothing else, and of three values sgd draws one twice.
    let folder = folder(SEARCH);
    let planned = run(folder.path(), &["plan", "x.toml", "--set", "schedule.lr=0.1"]);
    assert!(planned.out.starts_with("small: 3 tuning trials, then 2 × 2 reruns"), "{}", planned.out);
    let few = "arm `adamw`: the 3 configurations of the search are only 1 different ones";
    assert!(planned.err.contains(few), "{}", planned.err);
}

#[test]
fn on_a_cluster_the_reruns_stand_behind_the_tuning() {
    let folder = folder(SEARCH);
    let fake = "#!/bin/sh\necho \"$@\" >> asked\nwc -l < asked | tr -d ' '\n";
    let path = folder.path().join("sbatch");
    std::fs::write(&path, fake).unwrap();
    ran(std::process::Command::new("chmod").arg("+x").arg(&path));
    let paths = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let submitted = ran(command(folder.path(), &["submit", "x.toml", "--shards", "2"]).env("PATH", paths));
    assert_eq!(submitted.code, 0, "{}", submitted.err);
    assert!(submitted.out.contains("submitted job 2: ") && submitted.out.contains("after job 1"), "{}", submitted.out);
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    let dependencies: Vec<bool> = asked.lines().map(|line| line.contains("--dependency=afterany:1")).collect();
    assert_eq!(dependencies, [false, true], "{asked}");
}

#[test]
fn bare_names_stand_for_tables_in_the_space_too() {
    let text = SEARCH
        .replace("[[arm]]\nname = \"adamw\"\noptimizer = { preset = \"adamw\" }\n", "")
        .replace(r#""optimizer.update.momentum" = [0.0, 0.5, 0.9]"#, r#"optimizer = ["sgd", "adamw"]"#);
    let tried: BTreeSet<String> = plan(&text, None).unwrap().trials.into_iter().map(|trial| trial.optimizer).collect();
    assert_eq!(tried, BTreeSet::from(["sgd".to_owned(), "adamw".to_owned()]));
}
