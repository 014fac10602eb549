//! The experiment's file is the question: what it asks is shown, under its names, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::program::run;

const FILE: &str = r#"
name = "mine"
[base]
epochs = 1
batch = 32
data = { kind = "digits", train_limit = 320 }
model = { kind = "mlp", hidden = [8] }
schedule = { kind = "constant", lr = 0.05 }
optimizer = { preset = "sgd" }
[[arm]]
name = "heavy"
optimizer.update.momentum = 0.9
[[arm]]
name = "plain"
optimizer.update.momentum = 0.0
[sweep]
seed = [1]
"#;

fn ask(folder: &Path, file: &str, args: &[&str]) -> String {
    fs::write(folder.join("x.toml"), file).unwrap();
    let ran = run(folder, &[&["run", "x.toml", "--threads", "1"], args].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out
}

/// Each arm's label and final accuracy, in the order of the table that `figure` leaves.
fn table(folder: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder.join("results/mine/_figures/table.csv")).unwrap();
    let cell = |line: &str, place: usize| line.split(',').nth(place).unwrap().to_owned();
    let head: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let accuracy = head.iter().position(|name| *name == "final_accuracy").unwrap();
    text.lines().skip(1).map(|line| (cell(line, 0), cell(line, accuracy))).collect()
}

#[test]
fn an_arm_is_called_what_its_file_calls_it_now() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ask(folder, FILE, &[]);
    let [(first, heavy), (second, plain)] = table(folder).try_into().unwrap();
    assert_eq!((first.as_str(), second.as_str()), ("heavy", "plain"));
    assert_ne!(heavy, plain, "control: names cannot be told apart by equal numbers");

    let swapped = FILE.replace("heavy", "x").replace("plain", "heavy").replace("\"x\"", "\"plain\"");
    ask(folder, &swapped, &[]);
    let expected = [("plain".to_owned(), heavy.clone()), ("heavy".to_owned(), plain.clone())];
    assert_eq!(table(folder), expected);
    let accuracy = |text: &str| format!("{:.2}", 100.0 * text.parse::<f64>().unwrap());
    let report = run(folder, &["report", "x.toml", "--markdown", "--out", "-"]).out;
    let of = |arm: &str| report.lines().find(|line| line.starts_with(&format!("| {arm}"))).unwrap().to_owned();
    assert!(of("plain").contains(&accuracy(&heavy)) && of("heavy").contains(&accuracy(&plain)), "{report}");
    let compared = run(folder, &["compare", "plain", "heavy", "x.toml"]).out;
    assert!(compared.lines().any(|line| line.contains(&accuracy(&heavy))), "{compared}");
    run(folder, &["export", "x.toml", "--csv", "csv"]);
    let exported = fs::read_to_string(folder.join("csv/trials.csv")).unwrap();
    assert!(exported.contains(r#""optimizer.update.momentum"#) || exported.contains(",plain,"), "{exported}");
}

#[test]
fn a_new_name_and_a_further_seed_make_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ask(folder, FILE, &[]);
    let more = FILE.replace("heavy", "momentum 0.9").replace("seed = [1]", "seed = [1, 2]");
    let told = ask(folder, &more, &[]);
    assert_eq!(table(folder).len(), 2, "{told}");
    let text = fs::read_to_string(folder.join("results/mine/_figures/table.csv")).unwrap();
    assert!(text.lines().nth(1).unwrap().starts_with("momentum 0.9,2,0,"), "{text}");
}

#[test]
fn what_the_file_has_no_more_is_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let swept = FILE.replace("[sweep]", "[sweep]\n\"schedule.lr\" = [0.05, 0.5]");
    ask(folder, &swept, &[]);
    assert_eq!(table(folder).len(), 4);
    ask(folder, FILE, &["--set", "epochs=2"]);
    fs::write(folder.join("results/mine/_figures/performance-profile.png"), "of another sweep").unwrap();
    fs::write(folder.join("results/mine/_figures/notes.txt"), "mine").unwrap();

    let again = run(folder, &["run", "x.toml", "--threads", "1"]);
    assert_eq!(table(folder).len(), 2, "{}", again.out);
    assert!(again.err.contains("left out: 4 other trials in `results/mine`"), "{}", again.err);
    let names: BTreeSet<String> = fs::read_dir(folder.join("results/mine/_figures"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!names.contains("performance-profile.png") && names.contains("notes.txt"), "{names:?}");

    let status = run(folder, &["status", "x.toml"]).out;
    assert!(status.contains("\n2 finished\nbesides, in `results/mine`: 4 finished"), "{status}");
    let all = run(folder, &["figure", "results/mine"]);
    assert!(
        all.err.contains("6 trials in `results/mine`, all that lie there") && table(folder).len() > 2,
        "{}",
        all.err
    );
    let drawn = run(folder, &["figure", "x.toml"]);
    assert!(drawn.code == 0 && table(folder).len() == 2, "{}", drawn.err);

    fs::write(folder.join("x.toml"), FILE.replace("seed = [1]", "seed = [1, 2]")).unwrap();
    let part = run(folder, &["report", "x.toml", "--markdown", "--out", "-"]);
    assert!(part.err.contains("not there yet: 2 of the 4 trials in the experiment's file"), "{}", part.err);
    assert!(
        part.out.contains("This is a part: 2 trials of the experiment's file without a result yet."),
        "{}",
        part.out
    );
    fs::write(folder.join("x.toml"), FILE).unwrap();

    let refused = run(folder, &["clean", "x.toml", "--stale"]);
    assert!(refused.code == 1 && refused.out.lines().count() == 4, "{}{}", refused.out, refused.err);
    let cleaned = run(folder, &["clean", "x.toml", "--stale", "--yes"]);
    assert!(cleaned.out.ends_with("4 removed\n"), "{}", cleaned.out);
    assert!(run(folder, &["status", "x.toml"]).out.ends_with("\n2 finished\n"));
    assert!(
        run(folder, &["clean", "results/mine", "--stale"]).err.contains("only an experiment's file says what is stale")
    );
}
