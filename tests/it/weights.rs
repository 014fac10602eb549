//! Weights: saved by a run, evaluated, and taken up again.

use std::path::Path;

use candle_core::{DType, Device, Tensor};

use nkfac_bench::data::Dataset;
use nkfac_bench::experiment::{self, Overrides, Trial};
use nkfac_bench::nn::weights;
use nkfac_bench::runner::{self, Event, Reporter};
use nkfac_bench::train::{self, Ending, Observer, Progress, Score};

use crate::faults::settings;
use crate::program::{command, ran, run};

const EXPERIMENT: &str = r#"
name = "tiny"
[base]
epochs = 1
batch = 32
data = { kind = "digits", train_limit = 64 }
model = { kind = "mlp", hidden = [8] }
schedule = { kind = "constant", lr = 0.1 }
optimizer = { preset = "sgd" }
"#;

fn the_file(folder: &Path, extension: &str) -> std::path::PathBuf {
    let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|found| found == extension)).unwrap()
}

#[test]
fn a_run_leaves_weights_that_can_be_evaluated_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), EXPERIMENT).unwrap();
    let ran = run(folder.path(), &["run", "tiny.toml", "--save-weights"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let weights = the_file(&folder.path().join("results/tiny"), "safetensors");
    let tensors = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    assert_eq!(tensors["fc1.weight"].dims(), [8, 64]);

    let weights = weights.to_str().unwrap();
    let ran = run(folder.path(), &["evaluate", "tiny.toml", "--weights", weights, "--export", "out.safetensors"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("test loss ") && ran.out.ends_with("360 images\n"), "{}", ran.out);
    let out = candle_core::safetensors::load(folder.path().join("out.safetensors"), &Device::Cpu).unwrap();
    assert_eq!((out["images"].dims(), out["logits"].dims()), (&[360, 1, 8, 8][..], &[360, 10][..]));
    // Flattened in PyTorch's order, multiplied in PyTorch's layout: the logits by hand.
    let layer = |x: &Tensor, name: &str| {
        let weight = tensors[&format!("{name}.weight")].t().unwrap();
        x.matmul(&weight).unwrap().broadcast_add(&tensors[&format!("{name}.bias")]).unwrap()
    };
    let logits = layer(&layer(&out["images"].flatten_from(1).unwrap(), "fc1").relu().unwrap(), "fc2");
    let error = (logits - &out["logits"]).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(error < 1e-4, "{error}");

    // With a learning rate of nearly nothing, what is gone on with stays what it was.
    let set = format!("init_from={weights}");
    let more = ["run", "tiny.toml", "--out", "more", "--save-weights", "--set", &set, "--set", "schedule.lr=1e-30"];
    let ran = run(folder.path(), &more);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let same = candle_core::safetensors::load(the_file(&folder.path().join("more/tiny"), "safetensors"), &Device::Cpu);
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(values(&same.unwrap()["fc1.weight"]), values(&tensors["fc1.weight"]));
}

#[test]
fn weights_of_another_net_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), EXPERIMENT).unwrap();
    assert_eq!(run(folder.path(), &["run", "tiny.toml", "--save-weights"]).code, 0);
    let weights = the_file(&folder.path().join("results/tiny"), "safetensors");
    let weights = weights.to_str().unwrap();
    let ran = run(folder.path(), &["evaluate", "tiny.toml", "--weights", weights, "--set", "model.hidden=[9]"]);
    assert_eq!(ran.code, 1);
    let says = "`fc1.weight` is [8, 64], not [9, 64], `fc1.bias` is [8], not [9], `fc2.weight` is [10, 8], not [10, 9]\nhint: these weights belong to another model";
    assert!(ran.err.contains(says), "{}", ran.err);
    let ran = run(folder.path(), &["evaluate", "tiny.toml", "--weights", "nowhere.safetensors"]);
    assert!(ran.code == 1 && ran.err.contains("cannot read `nowhere.safetensors`"), "{}", ran.err);
    let ran = run(folder.path(), &["plan", "tiny.toml", "--set", "init_from=nowhere.safetensors"]);
    assert!(ran.code == 1 && ran.err.contains("`init_from` is `nowhere.safetensors`, where no file is"), "{}", ran.err);
}

/// The weights of two seeds in `one.safetensors` and `two.safetensors`.
fn two_files(folder: &Path) {
    std::fs::write(folder.join("tiny.toml"), EXPERIMENT).unwrap();
    for (name, seed) in [("one", "seed=1"), ("two", "seed=2")] {
        assert_eq!(run(folder, &["run", "tiny.toml", "--save-weights", "--out", name, "--set", seed]).code, 0);
        let weights = the_file(&folder.join(name).join("tiny"), "safetensors");
        std::fs::rename(weights, folder.join(name).with_extension("safetensors")).unwrap();
    }
}

#[test]
fn a_trial_is_named_after_the_weights_it_starts_from_and_not_after_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let folder = folder.path();
    two_files(folder);
    std::fs::create_dir(place("w")).unwrap();
    let fine = |path: &str| {
        std::fs::write(place("fine.toml"), EXPERIMENT.replace("epochs", &format!("init_from = '{path}'\nepochs")))
            .unwrap();
    };
    let line = |args: &[&str], within: &Path| {
        let ran = run(within, args);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out.lines().last().unwrap().to_owned()
    };
    let (new, known) =
        ("1 finished, 0 diverged, 0 already done, 0 failed", "0 finished, 0 diverged, 1 already done, 0 failed");
    fine("w/start.safetensors");
    for name in ["one.safetensors", "two.safetensors"] {
        std::fs::copy(place(name), place("w/start.safetensors")).unwrap();
        assert_eq!(line(&["run", "fine.toml"], folder), new, "{name}");
        assert_eq!(line(&["run", "fine.toml"], folder), known, "{name}");
    }
    let plan = |args: &[&str], within: &Path| run(within, args).out;
    let planned = plan(&["plan", "../fine.toml", "--full"], &place("w"));
    assert!(planned.contains("\"init_from\": \"sha256:"), "{planned}");
    for spelling in ["./w/start.safetensors", "two.safetensors", place("w/../two.safetensors").to_str().unwrap()] {
        fine(spelling);
        assert_eq!(plan(&["plan", "fine.toml", "--full"], folder), planned, "{spelling}");
    }
    fine("one.safetensors");
    assert_ne!(plan(&["plan", "fine.toml", "--full"], folder), planned);
    // What a file says is relative to it, what the command line says to where it is given.
    let set = ["plan", "../fine.toml", "--full", "--set", "init_from=start.safetensors"];
    assert_eq!(plan(&set, &place("w")), planned);
}

/// Notes what fails.
#[derive(Default)]
struct Failures(Vec<String>);

impl Reporter for Failures {
    fn event(&mut self, _: &Trial, event: &Event) {
        if let Event::Failed { error, .. } = event {
            self.0.push(error.clone());
        }
    }
}

#[test]
fn weights_that_change_before_their_trial_begins_are_not_taken_for_those_it_is_named_after() {
    let folder = tempfile::tempdir().unwrap();
    two_files(folder.path());
    let start = folder.path().join("start.safetensors");
    std::fs::copy(folder.path().join("one.safetensors"), &start).unwrap();
    let overrides = Overrides { set: vec![format!("init_from='{}'", start.display())], ..Overrides::default() };
    let experiment = experiment::read(&folder.path().join("tiny.toml"), &overrides).unwrap();
    let run = || {
        let mut failures = Failures::default();
        let summary = runner::run(&experiment, &settings(folder.path()), &mut failures).unwrap();
        (summary.finished, failures.0)
    };
    std::fs::copy(folder.path().join("two.safetensors"), &start).unwrap();
    let (finished, failures) = run();
    assert_eq!((finished, failures.len()), (0, 1));
    assert!(failures[0].contains("start.safetensors` has changed since the trial was planned\nhint: "), "{failures:?}");
    std::fs::copy(folder.path().join("one.safetensors"), &start).unwrap();
    assert_eq!(run(), (1, Vec::new()));
}

#[test]
fn what_is_not_taken_as_it_is_is_said_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), EXPERIMENT).unwrap();
    let file = |name: &str, classes: usize| {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let tensors = [
            ("module.fc1.weight", zeros(&[8, 64])),
            ("module.fc1.bias", zeros(&[8])),
            ("module.fc2.weight", zeros(&[classes, 8])),
            ("module.fc2.bias", zeros(&[classes])),
            ("total_ops", zeros(&[1])),
        ];
        weights::write(&folder.path().join(name), tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into())
            .unwrap();
    };
    file("ten.safetensors", 10);
    file("five.safetensors", 5);
    let wrapped = |name: &str| format!("`{name}.safetensors`: names are read without `module.`\n");
    let ran = run(folder.path(), &["evaluate", "tiny.toml", "--weights", "ten.safetensors"]);
    // Zeros make every class as likely.
    assert_eq!((ran.code, ran.err), (0, wrapped("ten")));
    assert!(ran.out.starts_with("test loss 2.302585"), "{}", ran.out);
    let ran = run(folder.path(), &["evaluate", "tiny.toml", "--weights", "five.safetensors"]);
    let refusal =
        "error: `five.safetensors` has 5 classes, not 10\nhint: evaluate it on the data set that it was trained on\n";
    assert_eq!((ran.code, ran.err.as_str()), (1, refusal));

    let anew = "`five.safetensors` has 5 classes, not 10: `fc2.weight` and `fc2.bias` keep their initial values";
    let ran = run(folder.path(), &["run", "tiny.toml", "--set", "init_from=five.safetensors"]);
    assert!(ran.code == 0 && ran.err.contains(anew) && ran.err.contains(&wrapped("five")), "{}", ran.err);
    let json = ["run", "tiny.toml", "--set", "init_from=five.safetensors", "--json", "--out", "json"];
    let ran = run(folder.path(), &json);
    let said = ran.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let said: Vec<_> = said.filter(|line| line["event"] == "weights").map(|line| line["message"].clone()).collect();
    assert_eq!(said, [wrapped("five").trim_end(), anew]);
}

#[test]
fn weights_that_change_while_a_sweep_runs_fail_the_trials_that_have_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    two_files(folder.path());
    let start = folder.path().join("start.safetensors");
    std::fs::copy(folder.path().join("one.safetensors"), &start).unwrap();
    let text = EXPERIMENT.replace("epochs = 1", "epochs = 200\ninit_from = 'start.safetensors'");
    std::fs::write(folder.path().join("slow.toml"), text + "[sweep]\nseed = [1, 2]\n").unwrap();
    let mut child = command(folder.path(), &["run", "slow.toml", "--json"]);
    let mut child = child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let (_, mut lines) = crate::faults::first_started(&mut child);
    // Only a trial that trains has read its weights.
    lines.find(|line| line.contains("\"epoch\"")).unwrap();
    std::fs::copy(folder.path().join("two.safetensors"), &start).unwrap();
    let last = lines.last().unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(last.contains("\"failed\":1") && last.contains("\"finished\":1"), "{last}");
    assert!(err.contains("has changed since it was planned\nhint: run the same command again"), "{err}");
}

#[test]
fn weights_that_do_not_fit_are_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    two_files(folder.path());
    let wide = EXPERIMENT.replace("hidden = [", "hidden = [3, ");
    assert_ne!(wide, EXPERIMENT);
    std::fs::write(folder.path().join("wide.toml"), wide).unwrap();
    let with = |what: &str| run(folder.path(), &[what, "wide.toml", "--set", "init_from=one.safetensors"]);
    let planned = with("plan");
    assert!(planned.code == 0 && planned.err.contains("warning: `one.safetensors` does not fit: "), "{}", planned.err);
    let ran = with("run");
    assert!(ran.code == 1 && ran.out.is_empty(), "{}", ran.out);
    assert!(ran.err.contains("error: `one.safetensors` does not fit: "), "{}", ran.err);
    assert!(!folder.path().join("results/tiny/_unfinished").exists());
}

#[test]
fn messages_about_weights_are_the_same_under_rust_backtrace() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), EXPERIMENT).unwrap();
    std::fs::write(folder.path().join("text"), "not weights").unwrap();
    std::fs::write(folder.path().join("zip"), b"PK\x03\x04").unwrap();
    for (name, says) in
        [("nowhere", "cannot read"), ("text", "is neither safetensors"), ("zip", "is neither safetensors")]
    {
        let told = ["0", "1"].map(|backtrace| {
            let args = ["evaluate", "tiny.toml", "--weights", name];
            ran(command(folder.path(), &args).env("RUST_BACKTRACE", backtrace)).err
        });
        assert!(told[0] == told[1] && told[0].contains(says) && told[0].lines().count() == 1, "{told:?}");
        let told = ["0", "1"].map(|backtrace| {
            let set = format!("init_from={name}");
            let args = ["run", "tiny.toml", "--set", &set, "--out", backtrace];
            ran(command(folder.path(), &args).env("RUST_BACKTRACE", backtrace)).err
        });
        assert_eq!(told[0].replace("`0/", "`1/"), told[1], "{name}");
    }
}

/// The test losses that a trial tells.
#[derive(Default)]
struct Losses(Vec<f64>);

impl Observer for Losses {
    fn step(&mut self, _: &Progress) {}

    fn epoch(&mut self, _: usize, _: Score, test: Score) {
        self.0.push(test.loss);
    }
}

/// Schedule-Free trains one point and evaluates another: what is saved is what was evaluated, and training is not moved by it.
#[test]
fn the_point_that_is_evaluated_is_the_one_that_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |epochs: usize| {
        let path = folder.path().join("tiny.toml");
        let text = EXPERIMENT.replace("epochs = 1", &format!("epochs = {epochs}")).replace("lr = 0.1", "lr = 0.01");
        std::fs::write(&path, text.replace("\"sgd\"", "\"schedule-free-adamw\"")).unwrap();
        let config = experiment::read(&path, &Overrides::default()).unwrap().trials[0].config.clone();
        let data = Dataset::load(&config.data, Path::new("nowhere")).unwrap();
        let mut losses = Losses::default();
        let Ending::Ended(outcome) = train::train(&config, &data, &Device::Cpu, None, &mut losses).unwrap() else {
            panic!("nobody asked it to stop")
        };
        let saved = folder.path().join("weights.safetensors");
        weights::save(&outcome.params, &saved).unwrap();
        let again = train::evaluate(&config, &saved, &data.test, &Device::Cpu).unwrap().score;
        assert_eq!(losses.0.last(), Some(&again.loss));
        losses.0
    };
    let (one, three) = (losses(1), losses(3));
    assert_eq!((one.len(), three.len()), (1, 3));
    // That an evaluation leaves the trained point where it was is seen in what comes after it.
    assert_eq!(one[0], three[0]);
    assert!(three[2] < three[0]);
}
