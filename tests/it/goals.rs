//! Every output asks the task what is better: a text, judged by its loss, from `run` to the paper, alone and beside images.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nkfac_bench::figure::ALL;
use serde_json::Value;

use super::program::run;

/// A net that learns, and one that hardly does.
const TEXT: &str = r#"
name = "text"
target = 1.9
[base]
steps = 30
evaluate_every = 10
batch = 8
data = { kind = "text", path = "words.txt", context = 16 }
model = { kind = "gpt", layers = 1, heads = 2, width = 16 }
schedule = { kind = "constant", lr = 3e-2 }
optimizer = { preset = "adamw" }
[[arm]]
name = "slow"
schedule = { kind = "constant", lr = 1e-4 }
[[arm]]
name = "fast"
[sweep]
seed = [1, 2]
"#;

const DIGITS: &str = r#"
name = "digits"
[base]
epochs = 2
batch = 32
data = { kind = "digits", train_limit = 320 }
model = { kind = "mlp", hidden = [8] }
schedule = { kind = "constant", lr = 0.05 }
optimizer = { preset = "sgd" }
[[arm]]
name = "fast"
[[arm]]
name = "slow"
schedule = { kind = "constant", lr = 0.001 }
[sweep]
seed = [1, 2]
"#;

/// Words in an order that a net can learn something of.
pub fn words() -> String {
    const WORDS: [&str; 8] = ["the", "cat", "sat", "on", "a", "mat", "and", "ran"];
    (0..700).map(|i| WORDS[(i * i + i / 3) % WORDS.len()]).collect::<Vec<_>>().join(" ")
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("words.txt"), words()).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// What it printed, if it did not fail.
fn said(folder: &Path, args: &[&str]) -> String {
    let ran = run(folder, args);
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    ran.out
}

fn lines(json: &str) -> Vec<Value> {
    json.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The mean of each arm's last values on the test set, which `status` tells, all in this metric.
fn means(folder: &Path, place: &str, metric: &str) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for trial in lines(&said(folder, &["status", place, "--json"])) {
        assert_eq!((&trial["metric"], &trial["state"]), (&metric.into(), &"finished".into()), "{trial}");
        let (sum, count) = sums.entry(trial["arm"].as_str().unwrap().to_owned()).or_default();
        (*sum, *count) = (*sum + trial["test"].as_f64().unwrap(), *count + 1.0);
    }
    sums.into_iter().map(|(arm, (sum, count))| (arm, sum / count)).collect()
}

/// A column of a table in CSV, by label.
fn column(csv: &str, name: &str) -> Vec<(String, Option<f64>)> {
    let place = csv.lines().next().unwrap().split(',').position(|head| head == name).unwrap();
    let cell = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].to_owned(), cells[place].parse().ok())
    };
    csv.lines().skip(1).map(cell).collect()
}

#[test]
fn a_text_is_judged_by_its_loss_from_the_run_to_the_paper() {
    let folder = folder(&[("text.toml", TEXT)]);
    let folder = folder.path();
    let table = said(folder, &["run", "text.toml", "--threads", "1"]);
    for head in ["final loss (nats)", "best loss (nats)", "bits/char.", "10 steps (s)"] {
        assert!(table.contains(head), "{table}");
    }
    assert!(!table.contains('–') && !table.contains("acc."), "{table}");

    let means = means(folder, "text.toml", "loss");
    let (fast, slow) = (means["fast"], means["slow"]);
    assert!(fast + 0.1 < slow, "{fast} {slow}");
    let csv = fs::read_to_string(folder.join("results/text/_figures/table.csv")).unwrap();
    let close =
        |found: Option<f64>, wanted: f64| assert!((found.unwrap() - wanted).abs() < 1e-12, "{found:?} {wanted}");
    for (label, loss) in column(&csv, "final_loss") {
        close(loss, means[&label]);
    }
    for (label, bits) in column(&csv, "final_bits_per_character") {
        close(bits, means[&label] / std::f64::consts::LN_2);
    }

    let compared = lines(&said(folder, &["compare", "fast", "slow", "text.toml", "--json"]));
    let of_loss = compared.iter().find(|of| of["measure"] == "final_loss").unwrap();
    close(of_loss["difference"].as_f64(), fast - slow);
    assert_eq!(of_loss["unit"], "nats");
    let words = said(folder, &["compare", "fast", "slow", "text.toml"]);
    assert!(words.contains(&format!("final test loss: {fast:.4} and {slow:.4} nats (lower is better)")), "{words}");
    assert!(words.contains(&format!("  lower by {:.4} nats; 2 seeds are too few to tell", slow - fast)), "{words}");
    assert!(words.contains("time per 10 steps"), "{words}");

    let latex = said(folder, &["report", "text.toml", "--latex", "--columns", "label,final_loss", "--out", "-"]);
    let rows: Vec<&str> = latex.lines().filter(|line| line.contains(" & $")).collect();
    assert!(rows[0].starts_with("slow & $") && rows[1].starts_with("fast & $"), "{latex}");
    assert!(!latex.contains("mathbf"), "two seeds are no evidence: {latex}");
    let refused = run(folder, &["report", "text.toml", "--latex", "--columns", "final_accuracy", "--out", "-"]);
    assert!(
        refused.code == 1 && refused.err.contains("no table here has the column `final_accuracy`"),
        "{}",
        refused.err
    );
    let report = said(folder, &["report", "text.toml", "--markdown", "--out", "-"]);
    let answer = format!("- fast has the lowest final test loss, {fast:.4} ± ");
    assert!(report.contains(&answer) && report.contains(" nats over 2 seeds; it is "), "{report}");
    assert!(report.contains("Only fast reaches 1.90 nats in half of its trials, after "), "{report}");
    assert!(report.contains("chosen on the test set, which biases them downwards"), "{report}");
}

#[test]
fn every_figure_of_a_text_says_what_it_shows_and_a_served_report_sorts_the_best_first() {
    let folder = folder(&[("text.toml", TEXT)]);
    let folder = folder.path();
    said(folder, &["run", "text.toml", "--threads", "1"]);
    let names: Vec<&str> = ALL.iter().map(|figure| figure.entry().name).collect();
    said(folder, &[&["figure", "text.toml"], names.as_slice()].concat());
    let svg = |name: &str| fs::read_to_string(folder.join(format!("results/text/_figures/{name}.svg"))).unwrap();
    for name in &names {
        let svg = svg(name);
        assert!(
            svg.contains("polyline") || svg.contains("are no profile") || svg.contains("No ") || svg.contains("Fewer"),
            "{name}"
        );
        assert!(!svg.contains("accuracy (%)") && !svg.contains("NaN"), "{name}");
    }
    for (name, axis) in [
        ("curves", ">test loss (nats)<"),
        ("curves", ">step<"),
        ("pareto", ">final test loss (nats)<"),
        ("ablation", ">final test loss (nats)<"),
        ("ablation", ">time per 10 steps (s)<"),
        ("time-to-target", ">training time to a test loss of 1.90 nats (s)<"),
    ] {
        assert!(svg(name).contains(axis), "{name}: {axis}");
    }
    // The best is on top, although the file names it last.
    let rows = svg("ablation");
    assert!(rows.find(">fast<").unwrap() < rows.find(">slow<").unwrap());
    said(folder, &["report", "text.toml"]);
    let html = fs::read_to_string(folder.join("results/text/_figures/report.html")).unwrap();
    assert!(html.contains("data-first=\"ascending\">final loss (nats)<") && html.contains(">loss / log loss<"));
}

#[test]
fn images_and_text_in_one_folder_are_problems_with_goals_of_their_own() {
    let folder = folder(&[("text.toml", TEXT), ("digits.toml", DIGITS)]);
    let folder = folder.path();
    for file in ["text.toml", "digits.toml"] {
        said(folder, &["run", file, "--threads", "1", "--out", "out"]);
    }
    fs::create_dir(folder.join("both")).unwrap();
    for path in ["out/text", "out/digits"].into_iter().flat_map(|path| fs::read_dir(folder.join(path)).unwrap()) {
        let path = path.unwrap().path();
        if path.is_file() {
            fs::copy(&path, folder.join("both").join(path.file_name().unwrap())).unwrap();
        }
    }
    let table = said(folder, &["figure", "both"]);
    assert!(table.contains("words (text), gpt\n") && table.contains("digits, mlp\n"), "{table}");
    let csv = fs::read_to_string(folder.join("both/_figures/table.csv")).unwrap();
    let (losses, accuracies) = (column(&csv, "final_loss"), column(&csv, "final_accuracy"));
    for (loss, accuracy) in losses.iter().zip(&accuracies) {
        assert!(loss.1.is_some() != accuracy.1.is_some(), "{csv}");
    }
    let told = |of: &[(String, Option<f64>)]| of.iter().filter(|(_, value)| value.is_some()).count();
    assert_eq!((told(&losses), told(&accuracies)), (2, 2));
    let svg = fs::read_to_string(folder.join("both/_figures/curves.svg")).unwrap();
    assert!(svg.contains(">test loss (nats)<") && svg.contains(">test accuracy (%)<"));
    let compared = said(folder, &["compare", "fast", "slow", "both"]);
    assert!(compared.contains("  lower by ") && compared.contains("  higher by "), "{compared}");
    let report = said(folder, &["report", "both", "--markdown", "--out", "-"]);
    for answer in ["fast has the lowest final test loss", "fast has the highest final test accuracy"] {
        assert!(report.contains(answer), "{report}");
    }
}

#[test]
fn one_target_is_not_for_two_goals() {
    let two = TEXT.replace("optimizer = { preset = \"adamw\" }", "").replace(
        "name = \"slow\"\nschedule = { kind = \"constant\", lr = 1e-4 }",
        "name = \"slow\"\noptimizer = { preset = \"adamw\" }\ndata = { kind = \"digits\" }\nmodel = { kind = \"mlp\", hidden = [8] }",
    );
    let two = two.replace("name = \"fast\"", "name = \"fast\"\noptimizer = { preset = \"adamw\" }");
    let folder = folder(&[("text.toml", TEXT), ("two.toml", &two), ("digits.toml", &format!("target = 1.9{DIGITS}"))]);
    let plan = |file: &str| run(folder.path(), &["plan", file]);
    assert_eq!(plan("text.toml").code, 0, "control: 1.9 nats are a target");
    let refused = plan("two.toml").err;
    assert!(
        refused.contains("two.toml:3: `target` is one number, but some trials are judged by accuracy, others by loss"),
        "{refused}"
    );
    let refused = plan("digits.toml").err;
    assert!(refused.contains("`target` must be above 0 and at most 1 (got 1.9)"), "{refused}");
}

#[test]
fn a_search_on_text_takes_the_least_validation_loss_and_its_run_draws_what_it_tried() {
    let search = TEXT.replace("context = 16 }", "context = 16, validation = 20 }").replace("target = 1.9\n", "");
    let search = search.replace("schedule = { kind = \"constant\", lr = 1e-4 }", "optimizer = { preset = \"lion\" }");
    let search = search.replace(
        "[sweep]\nseed = [1, 2]",
        "[search]\nkind = \"halton\"\ntrials = 3\nrerun = [11]\nspace = { \"schedule.lr\" = { from = 1e-4, to = 0.1, scale = \"log\" } }",
    );
    let folder = folder(&[("text.toml", &search)]);
    let out = said(folder.path(), &["run", "text.toml", "--threads", "1", "--json"]);
    let chosen: Vec<Value> = lines(&out).into_iter().filter(|line| line["event"] == "chosen").collect();
    assert_eq!(chosen.len(), 2, "{out}");
    let tried = |arm: &str| -> Vec<f64> {
        let ended = lines(&out).into_iter().filter(|line| line["arm"] == arm && line["event"] == "chosen");
        ended.filter_map(|line| line["loss"].as_f64()).collect()
    };
    let svg = fs::read_to_string(folder.path().join("results/text/_figures/tuning.svg")).unwrap();
    assert!(svg.contains(">validation loss (nats)<"), "{svg}");
    // What a pointer is told of every configuration; the chosen one has the least.
    for arm in ["slow", "fast"] {
        let told = svg.split("<title>").filter_map(|text| text.split_once("</title>")).map(|(text, _)| text);
        let losses: Vec<f64> = told
            .filter(|text| text.starts_with(&format!("{arm}: schedule.lr")))
            .filter_map(|text| text.rsplit_once(": ")?.1.strip_suffix(" nats")?.parse().ok())
            .collect();
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(losses.len(), 3, "{svg}");
        assert!((tried(arm)[0] - least).abs() < 0.006, "{arm}: {losses:?}, chosen at {:?}", tried(arm));
        assert!(losses.iter().any(|loss| loss - least > 0.05), "control: they differ, {losses:?}");
    }
}
