//! A trial that was stopped and resumed is the trial that was never stopped, bit for bit, for every optimizer there is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;
use nkfac_bench::data::Dataset;
use nkfac_bench::experiment::{self, Overrides};
use nkfac_bench::record::Row;
use nkfac_bench::state;
use nkfac_bench::train::{self, CheckpointConfig, Ending, Keeper, Note, Observer, Progress, Score};
use nkfac_bench::{optim, train::Config};

use super::goals::words;

const TINY: &str = r#"
[base]
epochs = 3
batch = 16
data = { kind = "digits", train_limit = 320, validation = 50 }
model = { kind = "mlp", hidden = [12] }
schedule = { kind = "cosine", lr = 0.01, floor = 0.1, by = "step", warmup = 1 }
"#;

/// The trial that a file describes, with its data; `words.txt` lies beside it.
fn trial(text: &str) -> (Config, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("words.txt"), words()).unwrap();
    let path = folder.path().join("x.toml");
    std::fs::write(&path, text).unwrap();
    let experiment = experiment::read(&path, &Overrides::default()).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let config = experiment.trials[0].config.clone();
    let data = Dataset::load(&config.data, Path::new("nowhere")).unwrap();
    (config, data)
}

/// Every preset, its curvature refreshed often, and every inverter under one recipe.
fn optimizers() -> Vec<String> {
    let often = "factor_every = 2, inverse_every = 3";
    let presets = optim::PRESETS.iter().map(|preset| {
        let name = preset.entry.name;
        if preset.toml.contains("[precondition]") {
            let often = if preset.toml.contains("root_every") { "factor_every = 2, root_every = 3" } else { often };
            format!("optimizer = {{ preset = \"{name}\", precondition = {{ {often} }} }}")
        } else {
            format!("optimizer = {{ preset = \"{name}\" }}")
        }
    });
    let inverters = optim::invert::CATALOG.iter().map(|entry| {
        let rows = r#"moments = { scale = "frobenius", sharing = "reduce", decay = 0.0, start = "zero" }, "#;
        let example = format!("{}{}", if entry.name == "woodbury" { rows } else { "" }, entry.example);
        format!("optimizer = {{ preset = \"nkfac\", precondition = {{ {often}, fisher = \"sampled\", {example} }} }}")
    });
    let around = "cautious = true, average = { decay = 0.9 }, groups = [{ of = [\"biases\"], lr = 0.5, decay = 0 }]";
    let wrapped = [format!("optimizer = {{ preset = \"adamw\", {around} }}")];
    presets.chain(inverters).chain(wrapped).collect()
}

/// Asks the trial to stop at the `left`-th thing that it tells.
struct Stopper {
    stop: Arc<AtomicBool>,
    left: usize,
    resumed: Vec<usize>,
    refused: Vec<String>,
}

impl Stopper {
    fn new(left: usize) -> Self {
        Self { stop: Arc::default(), left, resumed: Vec::new(), refused: Vec::new() }
    }

    fn count(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.stop.store(self.left == 0, Ordering::Relaxed);
    }
}

impl Observer for Stopper {
    fn step(&mut self, _: &Progress) {
        self.count();
    }

    fn epoch(&mut self, _: usize, _: Score, _: Score) {
        self.count();
    }

    fn note(&mut self, note: &Note<'_>) {
        match note {
            Note::Resumed { step, elsewhere } => {
                assert_eq!(*elsewhere, None);
                self.resumed.push(*step);
            }
            Note::Unreadable { message, .. } => self.refused.push((*message).to_owned()),
            Note::NotSaved { message, .. } | Note::Weights { message } => panic!("{message}"),
        }
    }
}

/// Trains in `folder` until the `left`-th thing to tell.
fn train_in(folder: &Path, config: &Config, data: &Dataset, observer: &mut Stopper) -> Ending {
    let every = CheckpointConfig { epochs: Some(1), minutes: 1e6 };
    let mut keeper = Keeper::new(folder, "x", "here", every, observer.stop.clone());
    train::train(config, data, &Device::Cpu, Some(&mut keeper), observer).unwrap()
}

/// All that does not depend on time or memory.
fn numbers(rows: &[Row]) -> Vec<(u32, u64, String, u64)> {
    let timed = |name: &str| name.contains("seconds") || name.contains("phase") || name.contains("bytes");
    rows.iter()
        .filter(|row| !timed(row.metric.name()))
        .map(|row| (row.epoch, row.step, format!("{} {}", row.scope.name(), row.metric), row.value.to_bits()))
        .collect()
}

fn rows(ending: Ending) -> Vec<Row> {
    match ending {
        Ending::Ended(outcome) => outcome.rows,
        Ending::Stopped { step, .. } => panic!("stopped at {step}"),
    }
}

fn never_stopped(config: &Config, data: &Dataset) -> Vec<(u32, u64, String, u64)> {
    numbers(&rows(train::train(config, data, &Device::Cpu, None, &mut Stopper::new(usize::MAX)).unwrap()))
}

/// The rows of a trial that was stopped at every chance, and behind which steps it went on.
fn often_stopped(config: &Config, data: &Dataset) -> (Vec<Row>, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let mut behind = Vec::new();
    loop {
        let mut stopper = Stopper::new(1);
        let ending = train_in(folder.path(), config, data, &mut stopper);
        behind.append(&mut stopper.resumed);
        assert!(std::fs::read_dir(folder.path()).unwrap().count() <= 2, "the last two are kept");
        if let Ending::Ended(outcome) = ending {
            return (outcome.rows, behind);
        }
    }
}

#[test]
fn every_optimizer_goes_on_to_the_same_bits() {
    for optimizer in optimizers() {
        let (config, data) = trial(&format!("{TINY}{optimizer}\n"));
        let expected = never_stopped(&config, &data);
        let (rows, behind) = often_stopped(&config, &data);
        assert_eq!(behind, [1, 11, 20, 21, 31, 40, 41, 51], "{optimizer}");
        assert_eq!(numbers(&rows), expected, "{optimizer}");
        let count = |name: &str| rows.iter().filter(|row| row.metric.name() == name).count();
        assert_eq!((count("step_seconds"), count("epoch_seconds")), (60, 3));
    }
}

#[test]
fn a_state_that_lost_anything_goes_on_to_other_bits() {
    for optimizer in optimizers() {
        let (config, data) = trial(&format!("{TINY}{optimizer}\n"));
        let expected = never_stopped(&config, &data);
        let folder = tempfile::tempdir().unwrap();
        let ending = train_in(folder.path(), &config, &data, &mut Stopper::new(2));
        assert!(matches!(ending, Ending::Stopped { step: 11, saved: true }), "{ending:?}");
        let path = folder.path().join("000000000011.checkpoint");
        let whole = state::read(&path).unwrap();
        // `optimizer/1/velocity/3` and `optimizer/0/fc1/a/average` are of the kinds `velocity` and `average`.
        let kind = |name: &str| {
            let words = name.rsplit('/').find(|word| word.parse::<usize>().is_err());
            name.starts_with("optimizer/").then(|| words.unwrap().to_owned())
        };
        let kinds: std::collections::BTreeSet<String> = whole.tensors.keys().filter_map(|name| kind(name)).collect();
        assert!(!kinds.is_empty(), "{optimizer}");
        // EKFAC's corrected eigenvalues stand for the factors' own, SKFAC's statistics are those of the step at hand, and
        // the identity needs none.
        let spare = |kind: &str| match kind {
            "values" => optimizer.contains("ekfac"),
            "average" => ["skfac", "reduce", "\"identity\""].iter().any(|name| optimizer.contains(name)),
            _ => false,
        };
        for lost in kinds.into_iter().filter(|kind| !spare(kind)) {
            let mut poorer = whole.clone();
            for (name, tensor) in &mut poorer.tensors {
                if kind(name).as_ref() == Some(&lost) {
                    *tensor = tensor.zeros_like().unwrap();
                }
            }
            state::write(&path, &poorer).unwrap();
            let mut stopper = Stopper::new(usize::MAX);
            let found = numbers(&rows(train_in(folder.path(), &config, &data, &mut stopper)));
            assert_eq!(stopper.resumed, [11]);
            assert_ne!(found, expected, "{optimizer} does not need `{lost}`");
            for file in std::fs::read_dir(folder.path()).unwrap() {
                std::fs::remove_file(file.unwrap().path()).unwrap();
            }
        }
    }
}

#[test]
fn running_statistics_and_augmentation_go_on_too() {
    let text = r#"
[base]
epochs = 2
batch = 16
data = { kind = "synthetic", train_limit = 192, augment = ["crop", "flip"] }
model = { kind = "resnet18", width = 2 }
schedule = { kind = "constant", lr = 0.01 }
optimizer = { preset = "nkfac", precondition = { factor_every = 2, inverse_every = 3 } }
"#;
    let (config, data) = trial(text);
    let (rows, behind) = often_stopped(&config, &data);
    assert_eq!(behind, [1, 11, 12, 13, 23]);
    assert_eq!(numbers(&rows), never_stopped(&config, &data));
}

#[test]
fn a_text_goes_on_across_evaluations_and_the_end_of_an_epoch() {
    let text = r#"
[base]
steps = 35
evaluate_every = 10
batch = 6
data = { kind = "text", path = "words.txt", context = 16, validation = 10 }
model = { kind = "gpt", layers = 1, heads = 2, width = 16 }
schedule = { kind = "cosine", lr = 0.01, by = "step", warmup_steps = 12 }
optimizer = { preset = "adamw" }
"#;
    let (config, data) = trial(text);
    let of_epoch = config.steps_per_epoch();
    assert!(of_epoch < 35 && !of_epoch.is_multiple_of(10), "an epoch ends between two evaluations: {of_epoch}");
    let (rows, behind) = often_stopped(&config, &data);
    assert_eq!(behind, [1, 10, 11, 20, 21, 30, 31]);
    let expected = never_stopped(&config, &data);
    assert_eq!(numbers(&rows), expected);
    let (other, data) = trial(&text.replace("evaluate_every = 10", "evaluate_every = 35"));
    let losses = |rows: &[(u32, u64, String, u64)]| {
        rows.iter().filter(|row| row.1 == 35 && row.2 == "test loss").map(|row| row.3).collect::<Vec<_>>()
    };
    assert_eq!(losses(&never_stopped(&other, &data)), losses(&expected), "evaluations change nothing");
    let (other, data) = trial(&text.replace("batch = 6", "batch = 5"));
    assert_ne!(losses(&never_stopped(&other, &data)), losses(&expected), "control: other batches do");
}

/// Whatever is changed in a checkpoint, it is refused by name, and the one before it is taken.
#[test]
fn checkpoints_that_do_not_fit_are_refused_and_the_one_before_is_taken() {
    let (config, data) = trial(&format!("{TINY}optimizer = {{ preset = \"nkfac\" }}\n"));
    let expected = never_stopped(&config, &data);
    let spoil = |change: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        train_in(folder.path(), &config, &data, &mut Stopper::new(4));
        change(&folder.path().join("000000000021.checkpoint"));
        let mut stopper = Stopper::new(usize::MAX);
        let found = numbers(&rows(train_in(folder.path(), &config, &data, &mut stopper)));
        assert_eq!(found, expected);
        assert_eq!(stopper.resumed, [20]);
        stopper.refused.concat()
    };
    let edit = |edit: &dyn Fn(&mut state::State)| {
        spoil(&|path| {
            let mut state = state::read(path).unwrap();
            edit(&mut state);
            state::write(path, &state).unwrap();
        })
    };
    let cut = spoil(&|path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(cut.contains("cut short"), "{cut}");
    assert!(edit(&|state| state.put_number("version", 7.0)).contains("of version 7"));
    assert!(edit(&|state| state.put_text("trial", "y")).contains("of the trial `y`"));
    assert!(edit(&|state| state.put_number("novelty", 1.0)).contains("nobody knows `novelty`"));
    let velocity = |state: &mut state::State| state.take("optimizer/2/velocity/0").unwrap();
    let lost = edit(&|state| drop(velocity(state)));
    assert!(lost.contains("velocity"), "{lost}");
    let shape = edit(&|state| {
        let weight = state.take("net/fc1.weight").unwrap();
        state.put("net/fc1.weight", &weight.t().unwrap());
    });
    assert!(shape.contains("net/fc1.weight"), "{shape}");
    assert!(edit(&|state| state.put_number("epoch", 1e9)).contains("behind the end"));
    assert!(edit(&|state| state.put_number("steps", f64::NAN)).contains("must be a counter"));
}
