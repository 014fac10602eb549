//! Weights: saved by a run, evaluated, and taken up again.

use std::path::Path;

use candle_core::{Device, Tensor};

use crate::program::run;

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
    assert!(
        ran.err.contains("is [8, 64], [9, 64] expected\nhint: these weights belong to another model"),
        "{}",
        ran.err
    );
    let ran = run(folder.path(), &["evaluate", "tiny.toml", "--weights", "nowhere.safetensors"]);
    assert!(ran.code == 1 && ran.err.contains("cannot read `nowhere.safetensors`"), "{}", ran.err);
    let ran = run(folder.path(), &["plan", "tiny.toml", "--set", "init_from=nowhere.safetensors"]);
    assert!(ran.code == 1 && ran.err.contains("`init_from` is `nowhere.safetensors`, where no file is"), "{}", ran.err);
}
