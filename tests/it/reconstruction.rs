//! Examples given back: the input is what is learned.

use std::fs;
use std::path::Path;

use super::program::run;

fn experiment(folder: &Path, data: &str, keys: &str) {
    let text = format!(
        r#"
name = "x"
[base]
epochs = 2
batch = 32
{keys}
data = {{ {data}, target = "input" }}
schedule = {{ kind = "constant", lr = 0.003 }}
optimizer = {{ preset = "adamw", update = {{ weight_decay = 0.0 }} }}
"#
    );
    fs::write(folder.join("x.toml"), text).unwrap();
}

const MLP: &str = "model = { kind = \"mlp\", hidden = [32] }";

/// The squared error that a trial ends with, as `evaluate` says it.
fn squared_error(folder: &Path, sets: &[&str]) -> f64 {
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let out = folder.join("out");
    let _ = fs::remove_dir_all(&out);
    let ran = run(folder, &[&["run", "x.toml", "--save-weights", "--out", "out"][..], &sets].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let mut results = fs::read_dir(out.join("x")).unwrap().map(|file| file.unwrap().path());
    let weights = results.find(|path| path.extension().is_some_and(|end| end == "safetensors")).unwrap();
    let told = run(folder, &[&["evaluate", "x.toml", "--weights", weights.to_str().unwrap()][..], &sets].concat());
    let (_, error) = told.out.split_once("squared error ").unwrap_or_else(|| panic!("{}{}", told.out, told.err));
    error.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn images_are_given_back_by_either_loss() {
    let folder = tempfile::tempdir().unwrap();
    experiment(folder.path(), "kind = \"digits\"", MLP);
    for loss in ["loss=bernoulli", "loss=squared"] {
        let (learned, not) =
            (squared_error(folder.path(), &[loss]), squared_error(folder.path(), &[loss, "schedule.lr=0"]));
        // The pixels' own variance is 0.125.
        assert!(learned < 0.08 && not > 0.12, "{loss}: {learned} {not}");
    }
}

/// Every optimizer there is takes steps on an autoencoder, and those with curvature by every Fisher matrix.
#[test]
fn every_optimizer_trains_an_autoencoder() {
    let folder = tempfile::tempdir().unwrap();
    let keys = "model = { kind = \"autoencoder\", hidden = [16, 4] }\nloss = \"bernoulli\"";
    experiment(folder.path(), "kind = \"digits\", train_limit = 64", &keys.replace("\nloss", "\nprobe = false\nloss"));
    let mut arms = String::new();
    for entry in nkfac_bench::optim::PRESETS.iter().map(|preset| preset.entry) {
        arms += &format!("[[arm]]\nname = \"{0}\"\noptimizer.preset = \"{0}\"\n", entry.name);
    }
    for preset in ["kfac", "nkfac", "skfac"] {
        for fisher in ["sampled", "exact"] {
            arms += &format!(
                "[[arm]]\nname = \"{preset} {fisher}\"\noptimizer = {{ preset = \"{preset}\", precondition.fisher = \"{fisher}\" }}\n"
            );
        }
    }
    let file = folder.path().join("x.toml");
    let text = fs::read_to_string(&file).unwrap();
    let base = text.lines().filter(|line| !line.starts_with("optimizer")).collect::<Vec<_>>().join("\n");
    fs::write(&file, format!("{base}\n{arms}")).unwrap();
    let ran = run(folder.path(), &["run", "x.toml"]);
    let count = nkfac_bench::optim::PRESETS.len() + 6;
    assert!(ran.out.contains(&format!("{count} finished, 0 diverged")), "{}{}", ran.out, ran.err);
}

#[test]
fn an_autoencoder_learns_and_tells_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    experiment(
        folder.path(),
        "kind = \"digits\"",
        "model = { kind = \"autoencoder\", hidden = [32, 8] }\nloss = \"bernoulli\"",
    );
    let kfac = "optimizer={ preset = 'kfac', precondition = { fisher = 'sampled', factor_every = 1, inverse_every = 5 }, update = { weight_decay = 0.0 } }";
    let (learned, not) = (
        squared_error(folder.path(), &[kfac, "schedule.lr=0.03", "epochs=4"]),
        squared_error(folder.path(), &[kfac, "schedule.lr=0"]),
    );
    assert!(learned < 0.08 && not > 0.1, "{learned} {not}");
    let ran = run(folder.path(), &["plan", "x.toml", "--set", "data.target=label", "--set", "loss=cross-entropy"]);
    let says = "`autoencoder` gives back the 64 numbers of its input, not 10, unless `data.target` is \"input\"; these nets do: mlp, ";
    assert!(ran.code == 1 && ran.err.contains(says) && ran.err.lines().count() == 1, "{}", ran.err);
}

#[test]
fn losses_that_do_not_fit_are_refused_with_those_that_do() {
    let folder = tempfile::tempdir().unwrap();
    let says = |sets: &[&str], message: &str| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let ran = run(folder.path(), &[&["plan", "x.toml"][..], &sets].concat());
        assert!(ran.code == 1 && ran.err.contains(message) && ran.err.lines().count() <= 2, "{}{}", ran.out, ran.err);
    };
    experiment(folder.path(), "kind = \"digits\"", MLP);
    says(
        &["loss=cross-entropy"],
        "`loss` is `cross-entropy`, but numbers are to be given\nhint: `squared` and `bernoulli` are",
    );
    says(
        &["loss=bernoulli", "data.target=label"],
        "`loss` is `bernoulli`, but classes are told\nhint: `cross-entropy` is the loss",
    );
    says(&["label_smoothing=0.1"], "`label_smoothing` is for classes");
    says(&["data.target=inputs"], "did you mean `input`?");
    says(&["loss=bernouli"], "did you mean `bernoulli`?");
    experiment(folder.path(), "kind = \"shakespeare\"", "model = { kind = \"gpt\" }");
    says(&[], "`data.target` is `input`, which is not learned of `shakespeare`, a text");
    let x = candle_core::Tensor::new(&[[-1.5f32, 0.5], [0.0, 1.0], [2.0, 1.0]], &candle_core::Device::Cpu).unwrap();
    // What is given back needs no labels.
    let arrays = [("train_x".to_owned(), x)];
    candle_core::safetensors::save(&arrays.into(), folder.path().join("x.safetensors")).unwrap();
    let arrays = "kind = \"arrays\", path = \"x.safetensors\", test = 0.4";
    experiment(folder.path(), arrays, &MLP.replace("32", "2"));
    says(&["loss=bernoulli", "batch=1"], "from 0 to 1, and here they are from -1.5 to 2\nhint: `squared` takes");
    says(&["data.target=label"], "lacks `train_x` or `train_y`: it holds `train_x`");
    let ran = run(folder.path(), &["run", "x.toml", "--set", "batch=1"]);
    assert!(ran.out.contains("1 finished"), "{}", ran.err);
    let planned = run(folder.path(), &["plan", "x.toml", "--set", "batch=1"]);
    assert!(planned.out.contains("2 training and 1 test examples, vectors of 2\n"), "{}", planned.out);
}
