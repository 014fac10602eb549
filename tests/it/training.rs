//! What may change a trial's numbers, and what must not.

use candle_core::Device;
use nkfac_bench::config::{Value, from_value};
use nkfac_bench::data::Dataset;
use nkfac_bench::record::{Metric, Row, Scope};
use nkfac_bench::train::{Config, Ending, Observer, Progress, Score, train};

struct Silent;

impl Observer for Silent {
    fn step(&mut self, _progress: &Progress) {}
    fn epoch(&mut self, _epoch: usize, _train: Score, _test: Score) {}
}

/// The rows of a short training on digits in float64, with the preconditioner and further keys.
fn rows(precondition: &str, keys: &str) -> Vec<Row> {
    let text = format!(
        r#"
epochs = 1
batch = 64
dtype = "f64"
data = {{ kind = "digits", train_limit = 640 }}
model = {{ kind = "mlp", hidden = [12] }}
schedule = {{ kind = "constant", lr = 0.05 }}
optimizer.update = {{ kind = "sgd", momentum = 0.9 }}
optimizer.precondition = {{ {precondition} }}
{keys}
"#
    );
    let config: Config = from_value(&Value::parse("test", &text).unwrap()).unwrap();
    let data = Dataset::load(&config.data, std::path::Path::new("")).unwrap();
    match train(&config, &data, &Device::Cpu, None, &mut Silent).unwrap() {
        Ending::Ended(outcome) => outcome.rows,
        Ending::Stopped { .. } => panic!("nobody asked to stop"),
    }
}

const NKFAC: &str = r#"kind = "kfac", factor_every = 1, inverse_every = 2, moments = { scale = "frobenius", decay = 0.95, start = "zero" }, damping = { kind = "relative", factor = 0.01, floor = 1e-4 }, inverter = { kind = "newton" }, rescale = "gradient-norm""#;
const SKFAC: &str = r#"kind = "kfac", factor_every = 1, inverse_every = 2, moments = { scale = "frobenius", rows = "pooled", decay = 0.0, start = "zero" }, damping = { kind = "relative", factor = 0.01, floor = 1e-4 }, inverter = { kind = "woodbury" }, rescale = "gradient-norm""#;

fn value(rows: &[Row], scope: &Scope, metric: Metric) -> f64 {
    rows.iter().rfind(|row| row.scope == *scope && row.metric == metric).unwrap().value
}

fn loss(rows: &[Row]) -> f64 {
    value(rows, &Scope::Test, Metric::Loss)
}

#[test]
fn a_batch_in_parts_is_the_batch_as_a_whole() {
    let fisher = |precondition: &str, kind: &str| format!("{precondition}, fisher = \"{kind}\"");
    for precondition in [NKFAC, SKFAC, &fisher(NKFAC, "exact"), &fisher(SKFAC, "exact"), &fisher(NKFAC, "sampled")] {
        let whole = loss(&rows(precondition, ""));
        let parts = loss(&rows(precondition, "accumulate = 4"));
        assert!((whole - parts).abs() < 1e-9 * whole, "{whole} and {parts}");
        // Control: another order of images is another training.
        let other = loss(&rows(precondition, "seed = 2"));
        assert!((whole - other).abs() > 1e-6 * whole, "{whole} and {other}");
    }
}

#[test]
fn a_gradient_is_clipped_only_if_it_is_too_long() {
    let whole = loss(&rows(NKFAC, ""));
    assert_eq!(loss(&rows(NKFAC, "optimizer.clip_norm = 1e9")).to_bits(), whole.to_bits());
    assert!((loss(&rows(NKFAC, "optimizer.clip_norm = 1e-2")) - whole).abs() > 1e-6);
}

#[test]
fn a_probe_measures_every_refresh_and_changes_no_number() {
    let (plain, probed) = (rows(NKFAC, ""), rows(NKFAC, "probe = true"));
    assert_eq!(loss(&plain).to_bits(), loss(&probed).to_bits());
    let count = |rows: &[Row], metric| rows.iter().filter(|row| row.metric == metric).count();
    // Two layers, two factors each, five refreshes in ten steps; the first has nothing to drift from.
    let measured = [Metric::Branch, Metric::Residual, Metric::MaxEigenvalue, Metric::Damping, Metric::Condition];
    for metric in measured.into_iter().chain([Metric::Fallbacks, Metric::RefreshSeconds]) {
        assert_eq!(count(&probed, metric), 20, "{metric}");
        assert_eq!(count(&plain, metric), 0, "{metric}");
    }
    assert_eq!(count(&probed, Metric::Drift), 16);
    assert_eq!(count(&probed, Metric::Cosine), 10);
    let input = Scope::Factor("fc1/a".into());
    let of = |metric| -> Vec<f64> {
        probed.iter().filter(|row| row.scope == input && row.metric == metric).map(|row| row.value).collect()
    };
    // Exact three times, then Newton's, whose residual is no rounding.
    assert_eq!(of(Metric::Branch)[..3], [0.0; 3]);
    assert!(of(Metric::Branch)[3..].iter().all(|&branch| branch == 1.0 || branch == 2.0));
    assert!(of(Metric::Residual)[..3].iter().all(|&residual| residual < 1e-10), "{:?}", of(Metric::Residual));
    assert!(of(Metric::Residual)[3..].iter().all(|&residual| residual > 1e-10), "{:?}", of(Metric::Residual));
    assert!(of(Metric::Condition).iter().all(|&condition| condition >= 1.0));
    let cosine = value(&probed, &Scope::Probe, Metric::Cosine);
    assert!(cosine > 0.0 && cosine <= 1.0 + 1e-12, "{cosine}");
}

#[test]
fn other_stages_are_probed_too() {
    let shampoo = r#"kind = "shampoo", factor_every = 1, root_every = 5, decay = 0.9, damping = { kind = "relative", factor = 1e-3, floor = 1e-12 }, rescale = "gradient-norm""#;
    let rows = rows(shampoo, "probe = true");
    let residuals: Vec<f64> = rows.iter().filter(|row| row.metric == Metric::Residual).map(|row| row.value).collect();
    assert_eq!(residuals.len(), 8);
    assert!(residuals.iter().all(|&residual| residual < 1e-6), "{residuals:?}");
    assert_eq!(value(&rows, &Scope::Train, Metric::RefreshesNewton), 8.0);
    assert_eq!(value(&rows, &Scope::Train, Metric::RefreshesFallback), 0.0);
}
