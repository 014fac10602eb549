//! What may change a trial's numbers, and what must not.

use candle_core::Device;
use nkfac_bench::config::{Value, from_value};
use nkfac_bench::data::Dataset;
use nkfac_bench::experiment;
use nkfac_bench::kernel::Engine;
use nkfac_bench::record::{Metric, Row, Scope};
use nkfac_bench::train::{Config, Ending, Observer, Progress, Score, train};

pub struct Silent;

impl Observer for Silent {
    fn step(&mut self, _progress: &Progress) {}
    fn epoch(&mut self, _epoch: usize, _train: Score, _test: Score) {}
}

/// The rows of a short training on digits in float64, with the preconditioner and further keys.
fn rows(precondition: &str, keys: &str) -> Vec<Row> {
    let keys = if keys.contains("epochs") { keys.to_owned() } else { format!("epochs = 1\nbatch = 64\n{keys}") };
    let text = format!(
        r#"
dtype = "f64"
data = {{ kind = "digits", train_limit = 640 }}
model = {{ kind = "mlp", hidden = [12] }}
schedule = {{ kind = "constant", lr = 0.05 }}
optimizer.update = {{ kind = "sgd", momentum = 0.9 }}
optimizer.precondition = {{ {precondition} }}
{keys}
"#
    );
    ended(&from_value(&Value::parse("test", &text).unwrap()).unwrap())
}

fn ended(config: &Config) -> Vec<Row> {
    trained(config, &Dataset::load(&config.data, std::path::Path::new("")).unwrap())
}

fn trained(config: &Config, data: &Dataset) -> Vec<Row> {
    match train(config, data, &Device::Cpu, None, &mut Silent).unwrap() {
        Ending::Ended(outcome) => outcome.rows,
        Ending::Stopped { .. } => panic!("nobody asked to stop"),
    }
}

const NKFAC: &str = r#"kind = "kfac", factor_every = 1, inverse_every = 2, moments = { scale = "frobenius", decay = 0.95, start = "zero" }, damping = { kind = "relative", factor = 0.01, floor = 1e-4 }, inverter = { kind = "newton" }, rescale = "gradient-norm""#;
const SKFAC: &str = r#"kind = "kfac", factor_every = 1, inverse_every = 2, moments = { scale = "frobenius", sharing = "reduce", decay = 0.0, start = "zero" }, damping = { kind = "relative", factor = 0.01, floor = 1e-4 }, inverter = { kind = "woodbury" }, rescale = "gradient-norm""#;

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

#[test]
fn the_loss_of_every_tenth_step_is_recorded() {
    let rows = rows(NKFAC, "epochs = 2\nbatch = 32");
    let losses: Vec<&Row> = rows.iter().filter(|row| row.scope == Scope::Step && row.metric == Metric::Loss).collect();
    assert_eq!(losses.iter().map(|row| row.step).collect::<Vec<_>>(), [1, 11, 21, 31]);
    // An untrained net guesses among ten digits.
    assert!((losses[0].value - 10f64.ln()).abs() < 0.5 && losses[3].value < losses[0].value, "{losses:?}");
}

#[test]
fn a_trial_ends_when_its_seconds_are_spent_and_is_evaluated() {
    let whole = rows(NKFAC, "max_seconds = 1e6");
    assert_eq!(loss(&whole).to_bits(), loss(&rows(NKFAC, "")).to_bits(), "there was time for all steps");
    let cut = rows(NKFAC, "max_seconds = 1e-9");
    let tested: Vec<&Row> = cut.iter().filter(|row| row.scope == Scope::Test && row.metric == Metric::Loss).collect();
    assert_eq!(tested.iter().map(|row| (row.epoch, row.step)).collect::<Vec<_>>(), [(1, 1)]);
}

#[test]
fn evaluations_come_after_as_many_images_whatever_the_batch() {
    let tested = |batch: usize| {
        let rows = rows(NKFAC, &format!("epochs = 2\nevaluate_epochs = 0.25\nbatch = {batch}"));
        let tested = rows.iter().filter(|row| row.scope == Scope::Test && row.metric == Metric::Loss);
        tested.map(|row| row.step).collect::<Vec<_>>()
    };
    assert_eq!(tested(32), [5, 10, 15, 20, 25, 30, 35, 40]);
    assert_eq!(tested(64), [3, 6, 9, 12, 15, 18, 20], "rounded to whole steps");
}

/// What 41 steps with an optimizer measure of themselves, and their last loss.
fn measured(optimizer: &str, probe: bool, metric: Metric) -> (Vec<f64>, f64) {
    let text = format!(
        r#"
steps = 41
batch = 64
dtype = "f64"
probe = {probe}
data = {{ kind = "digits", train_limit = 640 }}
model = {{ kind = "mlp", hidden = [12] }}
schedule = {{ kind = "constant", lr = 0.01 }}
optimizer.update = {{ kind = "sgd" }}
"#
    );
    let mut config: Config = from_value(&Value::parse("test", &text).unwrap()).unwrap();
    config.optimizer = experiment::optimizer(optimizer).unwrap();
    let rows = ended(&config);
    (rows.iter().filter(|row| row.metric == metric).map(|row| row.value).collect(), loss(&rows))
}

#[test]
fn updates_measure_themselves_and_change_no_number() {
    for (optimizer, metric, count) in [
        // Two weights of two axes each, refreshed behind steps 10, 20, 30 and 40.
        ("preset = 'soap'", Metric::OffDiagonal, 16),
        ("preset = 'kl-shampoo'", Metric::OffDiagonal, 16),
        // Steps 0, 20 and 40, of one weight.
        ("preset = 'muon'", Metric::SmallestSingularValue, 3),
        ("preset = 'muon'", Metric::LargestSingularValue, 3),
        ("preset = 'schedule-free-adamw'", Metric::EvaluatedDistance, 3),
        ("preset = 'sgd'\naverage.decay = 0.9", Metric::EvaluatedDistance, 3),
        ("preset = 'sgd'", Metric::EvaluatedDistance, 0),
    ] {
        let ((plain, loss), (probed, same)) = (measured(optimizer, false, metric), measured(optimizer, true, metric));
        assert_eq!((plain.len(), probed.len()), (0, count), "{optimizer}, {metric}");
        assert_eq!(loss.to_bits(), same.to_bits(), "{optimizer}");
    }
}

#[test]
fn a_basis_that_is_refreshed_more_often_leaves_less_off_the_diagonal() {
    let mean = |every: usize| {
        let (shares, _) =
            measured(&format!("preset = 'soap'\nupdate.precondition_every = {every}"), true, Metric::OffDiagonal);
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
        shares.iter().sum::<f64>() / shares.len() as f64
    };
    assert!(mean(2) < 0.7 * mean(40), "{} and {}", mean(2), mean(40));
}

#[test]
fn singular_values_are_near_one_and_without_rounds_far_below() {
    let least = |rounds: usize| {
        let optimizer = format!("preset = 'muon'\nupdate.rounds = {rounds}");
        let [least, largest] = [Metric::SmallestSingularValue, Metric::LargestSingularValue]
            .map(|metric| measured(&optimizer, true, metric).0[1]);
        assert!(least <= largest && largest < 1.3, "{least} to {largest}");
        least
    };
    assert!(least(10) > 0.3, "{}", least(10));
    assert!(least(1) < 0.1, "{}", least(1));
}

#[test]
fn the_evaluated_point_is_as_far_as_an_average_lags() {
    let distance =
        |decay: f64| measured(&format!("preset = 'sgd'\naverage.decay = {decay}"), true, Metric::EvaluatedDistance).0;
    let (near, far) = (distance(0.1), distance(0.9));
    // It begins at the weights.
    assert_eq!((near[0], far[0]), (0.0, 0.0));
    assert!(near[1] > 0.0 && 2.0 * near[1] < far[1] && far[1] < 1.0, "{near:?} {far:?}");
}

/// What a refresh replaces is as good as it was at the refresh before, less what the statistics have moved since.
#[test]
fn a_probe_says_how_far_off_an_inverse_had_become() {
    let exact = NKFAC.replace(r#"{ kind = "newton" }"#, r#"{ kind = "cholesky" }"#);
    let measured = |precondition: &str, metric| -> Vec<f64> {
        let rows = rows(precondition, "probe = true");
        rows.iter().filter(|row| row.metric == metric).map(|row| row.value).collect()
    };
    let stale = measured(&exact, Metric::StaleResidual);
    // Two layers, two factors each, five refreshes; the first replaces nothing.
    assert_eq!(stale.len(), 16);
    assert!(stale.iter().all(|&residual| (1e-3..10.0).contains(&residual)), "{stale:?}");
    // Control: statistics that hardly move leave an exact inverse nearly exact, and one that is none as bad as it was.
    let still =
        exact.replace("decay = 0.95", "decay = 0.9999999").replace(r#"start = "zero""#, r#"start = "identity""#);
    let kept = measured(&still, Metric::StaleResidual);
    assert!(kept.iter().all(|&residual| residual < 1e-4), "{kept:?}");
    let none = still.replace(r#"{ kind = "cholesky" }"#, r#"{ kind = "identity" }"#);
    let (fresh, stale) = (measured(&none, Metric::Residual), measured(&none, Metric::StaleResidual));
    assert!(stale.iter().zip(&fresh[4..]).all(|(stale, fresh)| (stale - fresh).abs() < 1e-4), "{stale:?} {fresh:?}");
}

/// Nets that have every kernel between them, and whether Newton's rounds in bfloat16 precondition them.
const KERNELS: [(&str, &str, bool); 4] = [
    ("synthetic", "kind = 'resnet18', width = 2", true),
    ("synthetic", "kind = 'mobilenet-v2'", false),
    ("synthetic", "kind = 'vit-tiny', width = 24", true),
    ("shakespeare", "kind = 'gpt', width = 16, heads = 2, layers = 1", true),
];

#[test]
fn every_engine_gives_the_same_bits_twice() {
    for (data, model, preconditions) in KERNELS {
        let newton = NKFAC.replace("\"newton\"", "\"newton\", precision = \"bf16\"");
        let precondition =
            if preconditions { format!("optimizer.precondition = {{ {newton} }}") } else { String::new() };
        let text = format!(
            "epochs = 1\nbatch = 8\ndata = {{ kind = '{data}', train_limit = 16 }}\nmodel = {{ {model} }}
schedule = {{ kind = 'constant', lr = 0.05 }}\noptimizer.update = {{ kind = 'sgd', momentum = 0.9 }}\n{precondition}"
        );
        let config: Config = from_value(&Value::parse("test", &text).unwrap()).unwrap();
        let loaded = Dataset::load(&config.data, std::path::Path::new("")).unwrap();
        let data = Dataset { test: loaded.train.clone(), ..loaded };
        let bits = |config: &Config| loss(&trained(config, &data)).to_bits();
        for engine in Engine::all() {
            let ours = Config { engine, ..config.clone() };
            assert_eq!(bits(&ours), bits(&ours), "{model}, {engine:?}");
        }
        // Control: another seed gives other bits.
        assert_ne!(bits(&config), bits(&Config { seed: 2, ..config.clone() }), "{model}");
    }
}
