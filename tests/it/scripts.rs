//! What scripts read: one JSON object a line.

use std::path::Path;

use serde_json::Value;

use super::program::run;
use super::sweep::{SMALL, folder};

fn objects(folder: &Path, args: &[&str]) -> Vec<Value> {
    let ran = run(folder, args);
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn column(objects: &[Value], key: &str) -> Vec<String> {
    objects.iter().map(|object| object[key].as_str().map_or_else(|| object[key].to_string(), str::to_owned)).collect()
}

#[test]
fn plans_standings_comparisons_and_catalogs_are_for_scripts_too() {
    let folder = folder(SMALL);
    let planned = objects(folder.path(), &["plan", "x.toml", "--json"]);
    assert_eq!(column(&planned, "arm"), ["nkfac", "nkfac", "sgd", "sgd"]);
    assert_eq!(column(&planned, "seed"), ["1", "2", "1", "2"]);
    assert_eq!(planned[0]["swept"]["seed"], 1);
    assert_eq!(planned[0]["config"]["optimizer"]["precondition"]["inverse_every"], 1, "every key");
    let ran = run(folder.path(), &["run", "x.toml", "--threads", "1", "--seeds", "1"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let standing = objects(folder.path(), &["status", "x.toml", "--json"]);
    assert_eq!(column(&standing, "trial"), column(&planned, "trial"));
    assert_eq!(column(&standing, "state"), ["finished", "waiting", "finished", "waiting"]);
    assert!(standing[0]["seconds"].as_f64().unwrap() > 0.0 && standing[1]["seconds"].is_null());
    let others = objects(folder.path(), &["status", "x.toml", "--json", "--set", "epochs=3"]);
    assert_eq!(column(&others, "asked"), ["true", "true", "true", "true", "false", "false"]);
    let compared = objects(folder.path(), &["compare", "nkfac", "sgd", "x.toml", "--json"]);
    assert_eq!(compared[0]["measure"], "final_accuracy");
    let (a, b) = (compared[0]["mean_a"].as_f64().unwrap(), compared[0]["mean_b"].as_f64().unwrap());
    assert!((compared[0]["difference"].as_f64().unwrap() - (a - b)).abs() < 1e-9, "{}", compared[0]);
    let listed = objects(folder.path(), &["list", "--json"]);
    let is_preset = |object: &&Value| object["kind"] == "optimizers" && object["name"] == "nkfac";
    let preset = listed.iter().find(is_preset).unwrap();
    assert!(preset["example"].as_str().unwrap().contains("nkfac") && !preset["help"].as_str().unwrap().is_empty());
}

#[test]
fn a_plan_says_how_long_it_takes_once_something_has_run() {
    let folder = folder(SMALL);
    let planned = || run(folder.path(), &["plan", "x.toml"]).err;
    assert!(!planned().contains(" left"), "nothing has run: {}", planned());
    run(folder.path(), &["run", "x.toml", "--threads", "1", "--seeds", "1"]);
    let half = planned();
    assert!(half.starts_with("about ") && half.contains(" left, one trial at a time, going by 2 trials"), "{half}");
    run(folder.path(), &["run", "x.toml", "--threads", "1"]);
    assert!(!planned().contains(" left"), "all is done: {}", planned());
}

#[test]
fn lines_of_a_comparison_fit_a_terminal_and_wide_names_keep_columns_straight() {
    let folder = folder(&SMALL.replace("\"sgd\"\noptimizer", "\"学习率🙂\"\noptimizer").replace("[1, 2]", "[1, 2, 3]"));
    let planned = run(folder.path(), &["plan", "x.toml"]).out;
    let seeds = planned.lines().skip(1).map(|line| {
        let before = line.split("seed").next().unwrap();
        nkfac_bench::text::width(before)
    });
    let seeds: Vec<usize> = seeds.collect();
    assert!(seeds.iter().all(|&at| at == seeds[0]), "{planned}");
    run(folder.path(), &["run", "x.toml", "--threads", "1"]);
    let status = run(folder.path(), &["status", "x.toml"]).out;
    let keys: Vec<usize> =
        status.lines().take(6).map(|line| nkfac_bench::text::width(line.split("seed").next().unwrap())).collect();
    assert!(keys.iter().all(|&at| at == keys[0]), "{status}");
    let compared = run(folder.path(), &["compare", "nkfac", "学习率🙂", "x.toml"]).out;
    assert!(compared.lines().count() > 6 && compared.contains("95 % interval"), "{compared}");
    assert!(compared.lines().all(|line| nkfac_bench::text::width(line) <= 100), "{compared}");
}
