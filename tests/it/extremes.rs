//! Nets of extreme numbers, dead layers, and batches that miss images: what is measured and trained is still right.

use std::fs;
use std::path::Path;

use candle_core::Device;
use nkfac_bench::config::{Value, from_value};
use nkfac_bench::data::Dataset;
use nkfac_bench::nn::weights;
use nkfac_bench::param::Params;
use nkfac_bench::record::{Metric, Row, Scope, Status};
use nkfac_bench::train::{Config, Ending, Outcome, shape, train};

use super::data::imagenette;
use super::training::Silent;

fn config(text: &str) -> Config {
    from_value(&Value::parse("test", text).unwrap()).unwrap()
}

fn outcome(config: &Config, folder: &Path) -> Outcome {
    let mut data = Dataset::load(&config.data, folder).unwrap();
    // Nothing is asked of test images.
    data.test = data.train.clone();
    match train(config, &data, &Device::Cpu, None, &mut Silent).unwrap() {
        Ending::Ended(outcome) => outcome,
        Ending::Stopped { .. } => panic!("nobody asked to stop"),
    }
}

/// A short probed trial of KFAC on digits, which starts from weights that `change` has been at.
fn trial(keys: &str, moments: &str, change: impl Fn(&Params)) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("start.safetensors");
    let text = format!(
        r#"
epochs = 1
batch = 32
probe = true
data = {{ kind = "digits", train_limit = 160 }}
model = {{ kind = "mlp", hidden = [16, 8] }}
init_from = {file:?}
{keys}
[optimizer]
update = {{ kind = "sgd" }}
[optimizer.precondition]
kind = "kfac"
factor_every = 1
inverse_every = 2
moments = {{ scale = "{moments}", decay = 0.95, start = "zero" }}
damping = {{ kind = "relative", factor = 0.01, floor = 1e-4 }}
inverter = {{ kind = "cholesky" }}
rescale = "gradient-norm"
"#
    );
    let config = config(&text);
    let net = config.model.build_for(shape(&config.data), 1, config.dtype.candle(), &Device::Cpu, config.engine);
    let params = net.unwrap().params;
    change(&params);
    weights::save(&params, &file).unwrap();
    outcome(&config, Path::new(""))
}

fn scaled(params: &Params, name: &str, by: f64) {
    let param = params.params.iter().find(|param| param.name == name).unwrap();
    param.var.set(&(param.var.as_tensor().detach() * by).unwrap()).unwrap();
}

fn of(rows: &[Row], factor: &str, metric: Metric) -> Vec<f64> {
    let scope = Scope::Factor(factor.into());
    rows.iter().filter(|row| row.scope == scope && row.metric == metric).map(|row| row.value).collect()
}

#[test]
fn eigenvalues_whose_squares_do_not_fit_into_float32_damp_as_in_float64() {
    for moments in ["spatial-mean", "frobenius"] {
        let [narrow, wide] = ["f32", "f64"].map(|dtype| {
            let keys = format!("dtype = \"{dtype}\"\nschedule = {{ kind = \"constant\", lr = 1e-8 }}");
            trial(&keys, moments, |params| scaled(params, "fc1.weight", 1e6))
        });
        assert_eq!((narrow.status, wide.status), (Status::Finished, Status::Finished));
        for metric in [Metric::MaxEigenvalue, Metric::Damping] {
            let [ours, theirs] = [&narrow, &wide].map(|outcome| of(&outcome.rows, "fc2/a", metric));
            assert!((ours[0] / theirs[0] - 1.0).abs() < 1e-3, "{moments}, {metric}: {ours:?} {theirs:?}");
            assert!(moments != "spatial-mean" || theirs[0] > 1e7, "control: too small to show anything, {theirs:?}");
        }
        let residuals = of(&narrow.rows, "fc2/a", Metric::Residual);
        assert!(residuals.iter().all(|&residual| residual < 1e-3), "{moments}: {residuals:?}");
    }
}

#[test]
fn a_layer_that_never_fires_is_measured_as_such() {
    let keys = "schedule = { kind = \"constant\", lr = 0.05 }";
    let dead = trial(keys, "frobenius", |params| {
        scaled(params, "fc1.weight", 0.0);
        let bias = params.params.iter().find(|param| param.name == "fc1.bias").unwrap();
        bias.var.set(&(bias.var.zeros_like().unwrap() - 1.0).unwrap()).unwrap();
    });
    let means = |metric| of(&dead.rows, "fc1/g", metric);
    assert!(!means(Metric::Drift).is_empty());
    assert!(means(Metric::MaxEigenvalue).iter().all(|&value| value == 0.0), "{:?}", means(Metric::MaxEigenvalue));
    assert!(means(Metric::Drift).iter().all(|&value| value == 0.0), "{:?}", means(Metric::Drift));
    assert!(means(Metric::Condition).iter().all(|&value| (value - 1.0).abs() < 1e-6), "{:?}", means(Metric::Condition));
    let broken: Vec<&Row> = dead.rows.iter().filter(|row| !row.value.is_finite()).collect();
    assert!(broken.is_empty(), "{broken:?}");
    // Control: alive it has eigenvalues and moves.
    let alive = trial(keys, "frobenius", |_| {});
    assert!(of(&alive.rows, "fc1/g", Metric::Drift).iter().all(|&value| value > 0.0));
    assert!(of(&alive.rows, "fc1/g", Metric::MaxEigenvalue).iter().all(|&value| value > 0.0));
}

#[test]
fn parts_of_a_batch_that_misses_images_weigh_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    imagenette(folder.path());
    let class = folder.path().join("imagenette2-160/train/n00000000");
    let mut names: Vec<_> = fs::read_dir(&class).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in names.iter().step_by(2) {
        // They are links to one file.
        fs::remove_file(path).unwrap();
        fs::write(path, "x").unwrap();
    }
    let loss = |keys: &str| {
        let text = format!(
            r#"
epochs = 1
batch = 12
dtype = "f64"
data = {{ kind = "imagenette", train_limit = 96, skip_broken = true }}
model = {{ kind = "mlp", hidden = [2] }}
schedule = {{ kind = "constant", lr = 0.01 }}
optimizer.update = {{ kind = "sgd" }}
{keys}
"#
        );
        let outcome = outcome(&config(&text), folder.path());
        assert_eq!(outcome.status, Status::Finished, "{:?}", outcome.reason);
        let value =
            |metric| outcome.rows.iter().rfind(|row| row.scope == Scope::Train && row.metric == metric).unwrap().value;
        (value(Metric::Loss), value(Metric::BrokenImages))
    };
    let (whole, missing) = loss("");
    assert!(missing > 1.0, "control: nothing is missing");
    for accumulate in [2, 3, 4, 6, 12] {
        let (parts, _) = loss(&format!("accumulate = {accumulate}"));
        assert!((parts - whole).abs() < 1e-9 * whole, "{accumulate} parts: {parts}, {whole}");
    }
    // Control: other images are another training.
    assert!((loss("seed = 2").0 - whole).abs() > 1e-9 * whole);
}

#[test]
fn an_iteration_that_makes_more_of_rounding_than_of_the_gradient_counts_as_fallen_back() {
    let fallbacks = |dtype: &str, damping: &str| {
        let text = format!(
            r#"
epochs = 1
batch = 8
dtype = "{dtype}"
data = {{ kind = "digits", train_limit = 8 }}
model = {{ kind = "mlp", hidden = [3] }}
schedule = {{ kind = "constant", lr = 0.1 }}
[optimizer]
update = {{ kind = "sgd" }}
[optimizer.precondition]
kind = "kfac"
factor_every = 1
inverse_every = 1
moments = {{ scale = "spatial-mean", decay = 0.0, start = "zero" }}
damping = {{ kind = "relative", factor = {damping}, floor = 1e-30 }}
inverter = {{ kind = "newton-scaled", steps = 12 }}
rescale = "gradient-norm"
"#
        );
        let outcome = outcome(&config(&text), Path::new(""));
        let is_asked = |row: &&Row| row.scope == Scope::Train && row.metric == Metric::RefreshesFallback;
        outcome.rows.iter().find(is_asked).unwrap().value
    };
    // The condition squared, times the precision.
    assert!(fallbacks("f32", "1e-5") > 0.0);
    assert_eq!((fallbacks("f64", "1e-5"), fallbacks("f32", "0.01")), (0.0, 0.0), "controls");
}
