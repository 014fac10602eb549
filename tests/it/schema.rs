//! The JSON schema says what the reader takes, and the page of keys says what the schema does.

use std::collections::{BTreeMap, BTreeSet};

use nkfac_bench::{data, experiment, nn, optim};
use serde_json::{Value, json};

use crate::program::repository;

/// As much of JSON schema as ours uses.
fn allows(schema: &Value, value: &Value) -> bool {
    let list = |key: &str| schema.get(key).and_then(Value::as_array);
    let of_type = match schema.get("type").and_then(Value::as_str) {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some(_) => false,
        None => true,
    };
    let properties = schema.get("properties");
    let closed = schema.get("additionalProperties") == Some(&json!(false));
    let entries = value.as_object().into_iter().flatten().all(|(key, value)| {
        properties.and_then(|properties| properties.get(key)).map_or(!closed, |schema| allows(schema, value))
    });
    let items = value.as_array().into_iter().flatten();
    of_type
        && entries
        && list("anyOf").is_none_or(|forms| forms.iter().any(|form| allows(form, value)))
        && list("enum").is_none_or(|values| values.contains(value))
        && list("required").is_none_or(|keys| keys.iter().all(|key| value.get(key.as_str().unwrap()).is_some()))
        && schema.get("const").is_none_or(|only| only == value)
        && schema.get("minimum").is_none_or(|least| value.as_f64() >= least.as_f64())
        && schema.get("items").is_none_or(|schema| items.clone().all(|item| allows(schema, item)))
        && schema.get("maxItems").is_none_or(|most| items.count() as u64 <= most.as_u64().unwrap())
}

fn parse(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Value>(text).unwrap()).unwrap()
}

#[test]
fn every_experiment_fits_the_schema() {
    let schema = experiment::schema();
    let mut folders = vec![repository("experiments")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                assert!(allows(&schema, &parse(&std::fs::read_to_string(&path).unwrap())), "{}", path.display());
                count += 1;
            }
        }
    }
    assert!(count >= 5);
}

#[test]
fn every_example_of_a_catalog_fits_the_schema() {
    let schema = experiment::schema();
    let optimizers = optim::PRESETS.iter().map(|preset| preset.entry);
    let entries = data::CATALOG.iter().chain(nn::zoo::CATALOG).copied().chain(optimizers);
    let inverters = optim::invert::CATALOG.iter().map(|entry| format!("optimizer.precondition.{}", entry.example));
    for example in entries.map(|entry| entry.example.to_owned()).chain(inverters) {
        assert!(allows(&schema, &json!({ "base": parse(&example) })), "{example}");
    }
    for preset in optim::PRESETS {
        assert!(allows(&schema, &json!({ "base": { "optimizer": parse(preset.toml) } })), "{}", preset.entry.name);
    }
}

#[test]
fn what_the_reader_refuses_does_not_fit_the_schema() {
    let schema = experiment::schema();
    let base = |text: &str| allows(&schema, &json!({ "base": parse(text) }));
    assert!(base("epochs = 3\nschedule = { kind = 'constant', lr = 1 }\noptimizer.precondition.rescale = 'none'"));
    for wrong in [
        "epoch = 3",
        "epochs = 'three'",
        "epochs = -3",
        "schedule = { kind = 'constant', lr = 0.1, floor = 0.1 }",
        "schedule = { kind = 'linear', lr = 0.1 }",
        "model = { kind = 'resnet18', hidden = [3] }",
        "optimizer.preset = 'nkfak'",
        "optimizer.update.betas = [0.9, 0.99, 0.999, 0.9999]",
        "data.augment = ['rotate']",
    ] {
        assert!(!base(wrong), "{wrong}");
    }
    let search = |text: &str| allows(&schema, &json!({ "search": parse(text) }));
    assert!(search("kind = 'halton'\ntrials = 3\nrerun = [2]\nspace.schedule.lr = [0.1]"));
    for wrong in ["kind = 'grid'", "trials = 'many'", "reruns = [2]", "space = [0.1]"] {
        assert!(!search(wrong), "{wrong}");
    }
    assert!(!allows(&schema, &json!({ "arms": [] })));
    assert!(!allows(&schema, &json!({ "arm": [{ "epochs": 3 }] })), "an arm needs a name");
}

/// Dotted keys and the defaults that they have; `tables` are those that only hold others.
#[derive(Default)]
struct Keys {
    leaves: BTreeMap<String, BTreeSet<String>>,
    tables: BTreeSet<String>,
}

impl Keys {
    fn collect(&mut self, schema: &Value, path: &str) {
        let forms = schema.get("anyOf").and_then(Value::as_array);
        let forms: Vec<&Value> = forms.map_or_else(|| vec![schema], |forms| forms.iter().collect());
        let tables: Vec<&Value> = forms.into_iter().filter(|form| form.get("properties").is_some()).collect();
        if tables.is_empty() {
            let default = schema.get("default").filter(|default| !default.is_object());
            self.leaves.entry(path.to_owned()).or_default().extend(default.map(Value::to_string));
            return;
        }
        self.tables.insert(path.to_owned());
        for (key, schema) in tables.iter().flat_map(|table| table["properties"].as_object().unwrap()) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.collect(schema, &path);
        }
    }
}

#[test]
fn the_page_of_keys_has_every_key_with_its_default_and_no_other() {
    let schema = experiment::schema();
    let mut keys = Keys::default();
    let [train, inverse] = &schema["properties"]["base"]["anyOf"].as_array().unwrap()[..] else { panic!() };
    keys.collect(train, "");
    // Of inverters alone there is no table that is not in training too.
    for key in inverse["properties"].as_object().unwrap().keys().filter(|&key| key != "inverter") {
        keys.leaves.entry(key.clone()).or_default();
    }
    keys.collect(&schema["properties"]["search"], "search");
    for key in [
        "name",
        "task",
        "data_dir",
        "checkpoint.epochs",
        "checkpoint.minutes",
        "target",
        "order",
        "base",
        "arm",
        "arm.name",
        "sweep",
        "scale",
    ] {
        keys.leaves.entry(key.to_owned()).or_default();
    }
    let page = std::fs::read_to_string(repository("docs/keys.md")).unwrap();
    let rows: BTreeMap<&str, &str> =
        page.lines().filter_map(|line| Some((line.strip_prefix("| `")?.split_once('`')?.0, line))).collect();
    let missing: Vec<&String> = keys.leaves.keys().filter(|key| !rows.contains_key(key.as_str())).collect();
    assert!(missing.is_empty(), "docs/keys.md lacks {missing:?}");
    for (&key, row) in &rows {
        assert!(
            keys.leaves.contains_key(key) || keys.tables.contains(key),
            "docs/keys.md has `{key}`, the types have not"
        );
        let row = row.replace(' ', "");
        for default in keys.leaves.get(key).into_iter().flatten() {
            assert!(row.contains(&format!("`{default}`")), "docs/keys.md: the default of `{key}` is {default}");
        }
    }
    assert!(keys.leaves.len() > 40 && keys.leaves["optimizer.update.betas"].contains("[0.9,0.999]"));
}

#[test]
fn the_schema_and_the_man_page_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let ran = crate::program::run(folder.path(), &["schema"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), experiment::schema());
    let ran = crate::program::run(folder.path(), &["man"]);
    assert!(ran.code == 0 && ran.out.contains(".TH nkfac-bench 1") && ran.out.contains("completions"), "{}", ran.out);
    assert_eq!(crate::program::run(folder.path(), &["man", "."]).code, 0);
    assert!(folder.path().join("nkfac-bench-run.1").exists());
    let ran = crate::program::run(folder.path(), &["man", "nowhere"]);
    assert!(ran.code == 1 && ran.err.contains("cannot write man pages into `nowhere`"), "{}", ran.err);
}
