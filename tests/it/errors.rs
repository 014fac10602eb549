//! Wrong input gets one clear message: what, where, what to do.

use super::program::{run, run_either_way};

const GOOD: &str = r#"
[base]
epochs = 2
batch = 32
data = { kind = "digits" }
model = { kind = "mlp", hidden = [16] }
schedule = { kind = "constant", lr = 0.05 }
optimizer = { preset = "nkfac" }
"#;

/// What `plan` says of the file, as the terminal shows it.
fn plan(text: &str, args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.toml"), text).unwrap();
    let ran = run_either_way(folder.path(), &[&["plan", "x.toml"], args].concat());
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_eq!(ran.out, "");
    ran.err
}

/// The good file with one piece replaced.
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

#[test]
fn a_good_file_is_planned() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.toml"), GOOD).unwrap();
    let ran = run_either_way(folder.path(), &["plan", "x.toml", "--full"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("x: 1 trial\n"), "{}", ran.out);
    assert!(ran.out.contains(r#""exact_every": 500"#), "{}", ran.out);
}

#[test]
fn misspelt_keys_and_names_are_answered_with_the_nearest() {
    let cases = [
        (with("epochs", "epoch"), "error: x.toml:3: unknown key `epoch`\nhint: did you mean `epochs`?\n"),
        (
            with(r#"kind = "digits""#, r#"kind = "digit""#),
            "error: x.toml:5: unknown name `digit` in `data.kind`\nhint: did you mean `digits`?\n",
        ),
        (
            with(r#""nkfac""#, r#""nkfak""#),
            "error: x.toml:8: unknown name `nkfak` in `optimizer.preset`\nhint: did you mean `nkfac`?\n",
        ),
        (
            with(r#"preset = "nkfac""#, r#"preset = "nkfac", precondition.dampng.factor = 1"#),
            "error: x.toml:8: unknown key `dampng` in `optimizer.precondition`\nhint: did you mean `damping`?\n",
        ),
        (
            with(r#"preset = "nkfac""#, r#"preset = "nkfac", precondition.inverter.step = 1"#),
            "error: x.toml:8: unknown key `step` in `optimizer.precondition.inverter`\nhint: did you mean `steps`?\n",
        ),
        (format!("bass = 1\n{GOOD}"), "error: x.toml:1: unknown key `bass`\nhint: did you mean `base`?\n"),
    ];
    for (text, message) in cases {
        assert_eq!(plan(&text, &[]), message);
    }
}

#[test]
fn a_key_in_the_wrong_table_and_a_name_in_capitals_are_answered_with_the_right_one() {
    for (more, hint) in [
        ("momentum = 0.9", "unknown key `momentum` in `optimizer`\nhint: did you mean `update.momentum`?"),
        ("damping = 0.1", "unknown key `damping` in `optimizer`\nhint: did you mean `precondition.damping`?"),
        ("weight_decay = 0.1", "unknown key `weight_decay` in `optimizer`\nhint: did you mean `update.weight_decay`?"),
    ] {
        let text = with(r#"preset = "nkfac""#, &format!("preset = \"nkfac\", {more}"));
        assert_eq!(plan(&text, &[]), format!("error: x.toml:8: {hint}\n"));
    }
    assert_eq!(
        plan(&with(r#""nkfac""#, r#""SGD""#), &[]),
        "error: x.toml:8: unknown name `SGD` in `optimizer.preset`\nhint: did you mean `sgd`?\n"
    );
}

#[test]
fn a_bare_name_stands_for_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let bare = GOOD.replace(r#"{ kind = "digits" }"#, r#""digits""#).replace(r#"{ preset = "nkfac" }"#, r#""nkfac""#);
    std::fs::write(folder.path().join("x.toml"), GOOD).unwrap();
    std::fs::write(folder.path().join("bare.toml"), format!("name = \"x\"\n{bare}")).unwrap();
    let planned = |file: &str, more: &[&str]| {
        let ran = run(folder.path(), &[&["plan", file, "--full"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    assert_eq!(planned("x.toml", &[]), planned("bare.toml", &[]));
    for set in ["data.train_limit=320", "optimizer.update.momentum=0.5", "data=synthetic", "optimizer=adamw"] {
        assert_eq!(planned("x.toml", &["--set", set]), planned("bare.toml", &["--set", set]), "{set}");
    }
    let swept = format!("{bare}[sweep]\ndata = [\"digits\", \"synthetic\"]\noptimizer = [\"sgd\", \"nkfac\"]\n");
    std::fs::write(folder.path().join("swept.toml"), swept).unwrap();
    assert!(planned("swept.toml", &[]).starts_with("swept: 4 trials\n"));
}

#[test]
fn wrong_types_and_impossible_values_are_refused_where_they_stand() {
    let cases = [
        (with("batch = 32", "batch = 0"), "error: x.toml:4: `batch` must be at least 1 (got 0)\n"),
        (
            with("batch = 32", r#"batch = "32""#),
            "error: x.toml:4: `batch` is `\"32\"`, expected a whole number that is not negative\n",
        ),
        (
            with(r#"preset = "nkfac""#, r#"preset = "nkfac", precondition.damping.factor = -1"#),
            "error: x.toml:8: `optimizer.precondition.damping.factor` must be at least 0 (got -1)\n",
        ),
        (
            with(r#"kind = "mlp", hidden = [16]"#, r#"kind = "lenet""#),
            "error: x.toml:6: `model` cannot be built for `digits`: images of 8×8 are too small for `lenet`, which needs 16×16\n",
        ),
        (
            GOOD.replace("digits", "synthetic").replace(r#"kind = "mlp", hidden = [16]"#, r#"kind = "mobilenet-v2""#),
            "error: x.toml:6: `model` is `mobilenet-v2`, whose grouped convolutions have no curvature to precondition with\n\
             hint: an optimizer without `precondition`, such as sgd, adamw or muon, or another net\n",
        ),
        (with("lr = 0.05", "lr = nan"), "error: x.toml:7: `schedule.lr` must be at least 0 (got NaN)\n"),
        (
            with("batch = 32", "batch = 2000"),
            "error: x.toml:4: `batch` is 2000, but there are only 1437 training images\n\
             hint: the last incomplete batch is dropped in training, so that nothing would be left\n",
        ),
        (
            with(r#"preset = "nkfac""#, r#"preset = "nkfac", precondition.damping = { kind = "joint", value = 0.1 }"#),
            "error: x.toml:8: `optimizer.precondition.damping.kind` is `joint`, which the inverter `newton` cannot do\n\
             hint: joint damping needs eigenvalues: inverter = { kind = \"eigen\" }\n",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(plan(&text, &[]), message);
    }
}

#[test]
fn one_image_at_a_time_is_refused_where_batch_norm_has_nothing_to_average() {
    let text = |model: &str, more: &str| {
        let text = with("batch = 32", more).replace(r#""nkfac""#, r#""sgd""#);
        text.replace(r#"kind = "mlp", hidden = [16]"#, &format!("kind = \"{model}\""))
    };
    let why = "too few for `resnet18` at 8×8: batch norm needs more than one value per channel in training (got 1)\n\
               hint: at least 2 images at a time, or a net without batch norm\n";
    for (more, message) in [
        ("batch = 1", "error: x.toml:4: `batch` makes a batch of one image, "),
        ("accumulate = 4\nbatch = 4", "error: x.toml:4: `accumulate` makes parts of one image, "),
    ] {
        assert_eq!(plan(&text("resnet18", more), &[]), format!("{message}{why}"));
    }
    let folder = tempfile::tempdir().unwrap();
    // 1,437 = 1 (mod 4): what is left over in an epoch is dropped.
    for (model, more) in [("resnet18", "batch = 4"), ("resnet18", "batch = 4\naccumulate = 2"), ("mlp", "batch = 1")] {
        let text = text(model, more).replace(r#""mlp""#, r#""mlp", hidden = [4]"#);
        std::fs::write(folder.path().join("x.toml"), text).unwrap();
        assert_eq!(run(folder.path(), &["plan", "x.toml"]).code, 0, "{model} {more}");
    }
}

#[test]
fn an_axis_that_no_arm_has_is_an_error_and_one_that_some_lack_is_not() {
    let none = format!("{GOOD}\n[sweep]\n\"optimizer.update.momentm\" = [0.8, 0.9]\n");
    assert_eq!(
        plan(&none, &[]),
        "error: x.toml:11: no arm has the swept key `optimizer.update.momentm`\nhint: did you mean `optimizer.update.momentum`?\n"
    );
    let some = format!(
        "{GOOD}\n[[arm]]\nname = \"sgd\"\noptimizer = {{ preset = \"sgd\" }}\n[[arm]]\nname = \"nkfac\"\n\
         [sweep]\n\"optimizer.precondition.inverter.steps\" = [1, 2, 3]\n"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.toml"), some).unwrap();
    let ran = run_either_way(folder.path(), &["plan", "x.toml"]);
    assert!(ran.out.starts_with("x: 4 trials"), "{}", ran.out);
    assert!(
        ran.err.contains(
            "`optimizer.precondition.inverter.steps` does not multiply the arms that have no such key: `sgd`"
        ),
        "{}",
        ran.err
    );
}

#[test]
fn arms_that_do_not_differ_and_arms_of_one_name_are_refused() {
    let same = format!("{GOOD}\n[[arm]]\nname = \"a\"\n[[arm]]\nname = \"b\"\n");
    assert!(plan(&same, &[]).starts_with("error: arms `a` and `b` have a trial in common"));
    let twice = format!("{GOOD}\n[[arm]]\nname = \"a\"\n[[arm]]\nname = \"a\"\n");
    assert_eq!(plan(&twice, &[]), "error: x.toml:12: there are two arms `a`\n");
}

#[test]
fn what_is_probably_not_meant_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.toml");
    std::fs::write(&file, GOOD).unwrap();
    let ran = run_either_way(folder.path(), &["plan", "x.toml", "--set", "optimizer.precondition.factor_every=30"]);
    assert!(ran.err.contains("inverse_every = 200 is no multiple of factor_every = 30"), "{}", ran.err);
    assert!(ran.err.contains("all 1 refreshes in 88 steps are exact, so Newton's iteration never runs\nhint: lower `optimizer.precondition.inverse_every`"), "{}", ran.err);
    let swept = format!(
        "{GOOD}[[arm]]\nname = \"a\"\n[[arm]]\nname = \"b\"\nepochs = 3\nbatch = 64\n[sweep]\nbatch = [32, 128]\n"
    );
    std::fs::write(&file, swept).unwrap();
    let ran = run_either_way(folder.path(), &["plan", "x.toml"]);
    assert!(ran.err.contains("warning: arm `b`: the axis over `batch` replaces its own `batch`\n"), "{}", ran.err);
    assert!(!ran.err.contains("arm `a`: the axis"), "{}", ran.err);
}

#[test]
fn what_the_command_line_gets_wrong_is_said() {
    assert_eq!(
        plan(GOOD, &["--set", "epochs"]),
        "error: --set epochs: expected KEY=VALUE, got `epochs`\nhint: --set optimizer.update.momentum=0.95\n"
    );
    let message = plan(GOOD, &["--set", "epoch=3"]);
    assert!(message.contains("unknown key `epoch`\nhint: did you mean `epochs`?"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let missing = run_either_way(folder.path(), &["plan", "none.toml"]);
    assert_eq!(
        missing.err,
        "error: cannot read `none.toml`: No such file or directory (os error 2)\nhint: name an experiment file such as experiments/quickstart.toml\n"
    );
    std::fs::write(folder.path().join("x.toml"), GOOD).unwrap();
    let device = run_either_way(folder.path(), &["run", "x.toml", "--device", "gpu"]);
    assert!(device.err.ends_with("error: unknown device `gpu`\nhint: cpu, cuda or cuda:N\n"), "{}", device.err);
}

#[test]
fn missing_data_are_asked_for_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = with("digits", "mnist");
    std::fs::write(folder.path().join("x.toml"), text).unwrap();
    let ran = run_either_way(folder.path(), &["run", "x.toml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("`train-images-idx3-ubyte` is missing\nhint: set `data_dir`"), "{}", ran.err);
    assert!(ran.out.is_empty() && !folder.path().join("results/x").exists(), "nothing is begun: {}", ran.out);
    let planned = run(folder.path(), &["plan", "x.toml"]);
    assert_eq!(planned.code, 0);
    assert!(
        planned.err.contains("warning: no mnist in `") && planned.err.contains("data fetch mnist"),
        "{}",
        planned.err
    );
    assert!(planned.out.starts_with("x: 1 trial\n"), "{}", planned.out);
}

#[test]
fn a_step_is_measured_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let step = |model: &str, optimizer: &str| {
        let arguments =
            ["bench", "step", "--model", model, "--optimizer", optimizer, "--batch", "2", "--steps", "1", "--json"];
        run(folder.path(), &arguments)
    };
    let refused = step("mobilenet-v2", "nkfac");
    let message = "error: `mobilenet-v2` has grouped convolutions, which `nkfac` cannot precondition\nhint: ";
    assert!(refused.code == 1 && refused.err.starts_with(message), "{}", refused.err);
    let plain = ["forward", "backward", "update", "total", "peak_rss_mb"];
    let curvature = ["moments", "inversion_newton", "inversion_exact", "preconditioning"];
    for (optimizer, measured) in [("sgd", &plain[..]), ("nkfac", &[plain.as_slice(), &curvature].concat())] {
        let ran = step("lenet", optimizer);
        assert_eq!(ran.out.lines().count(), 1, "{}", ran.err);
        let values: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert!(measured.iter().all(|key| values[key].as_f64().is_some_and(|value| value > 0.0)), "{values}");
    }
}

#[test]
fn inverses_are_measured_size_by_size_and_inverter_by_inverter() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["bench", "inverse", "--sizes", "8", "24", "--json"]);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.err);
    let measured: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    for n in [8, 24] {
        for inverter in ["newton", "cholesky", "lu", "eigen"] {
            let is_row = |row: &serde_json::Value| row["n"] == n && row["inverter"] == inverter;
            let row = measured["rows"].as_array().unwrap().iter().find(|row| is_row(row)).unwrap();
            assert!(row["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{row}");
        }
    }
}

/// candle keeps a backtrace in its errors where RUST_BACKTRACE is set, and prints it.
#[test]
fn what_comes_through_candle_is_one_line_and_its_hint() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    write("x.toml", with("epochs = 2", "epochs = 1").as_bytes());
    write("garbage.safetensors", b"not weights at all");
    let saved =
        run(folder.path(), &["run", "x.toml", "--save-weights", "--set", "optimizer.preset=sgd", "--out", "saved"]);
    assert_eq!(saved.code, 0, "{}", saved.err);
    let files = std::fs::read_dir(folder.path().join("saved/x")).unwrap().map(|entry| entry.unwrap().path());
    let weights = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "safetensors")).unwrap();
    let weights = weights.to_str().unwrap();
    let says = |args: &str, found: &str| {
        let ran = run_either_way(folder.path(), &args.split(' ').collect::<Vec<_>>());
        assert!(
            ran.code == 1 && (ran.out.contains(found) || ran.err.contains(found)),
            "{args}: {}{}",
            ran.out,
            ran.err
        );
    };
    says("evaluate x.toml --weights missing.safetensors", "cannot read `missing.safetensors`: No such file");
    says(
        "evaluate x.toml --weights garbage.safetensors",
        "`garbage.safetensors` is neither safetensors nor a PyTorch checkpoint: ",
    );
    says(&format!("evaluate x.toml --set model.hidden=[9] --weights {weights}"), "belong to another model\n");
    says(&format!("evaluate x.toml --device cuda:0 --weights {weights}"), "hint: ");
    says(&format!("run x.toml --set model.hidden=[9] --set init_from={weights}"), "belong to another model\n");
    says("verify garbage.safetensors", "not a safetensors file");
    says(&format!("verify {weights}"), "error  ");
}
