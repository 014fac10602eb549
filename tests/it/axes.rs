//! What a sweep's axes make of a base: each trial is what its swept keys say.

use nkfac_bench::experiment::{Error, Experiment, Overrides, read};
use proptest::prelude::*;

const BASE: &str = r#"
[base]
epochs = 40
batch = 32
data = { kind = "digits" }
model = { kind = "mlp", hidden = [16] }
schedule = { kind = "constant", lr = 0.05 }
optimizer = { preset = "nkfac" }
[sweep]
"#;

/// Axes that meet in one table, with values that every preset named here can take.
const AXES: [&str; 5] = [
    r#""optimizer.precondition.inverse_every" = [20, 100]"#,
    r#""optimizer.preset" = ["kfac", "nkfac"]"#,
    r#""optimizer.precondition.inverter" = [{ kind = "newton" }, { kind = "newton", exact_until = 5 }]"#,
    r#""optimizer.precondition.inverter.steps" = [2, 3]"#,
    r#""schedule.lr" = [0.1, 0.2]"#,
];

fn plan(axes: &[&str], set: &[&str]) -> Result<Experiment, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    std::fs::write(&path, format!("{BASE}{}\n", axes.join("\n"))).unwrap();
    read(&path, &Overrides { set: set.iter().map(|&set| set.to_owned()).collect(), ..Overrides::default() })
}

fn message(axes: &[&str], set: &[&str]) -> String {
    let error = plan(axes, set).unwrap_err().to_string();
    error.rsplit_once("x.toml").map_or(error.clone(), |(_, rest)| format!("x.toml{rest}"))
}

fn ids(experiment: &Experiment) -> Vec<&str> {
    let mut ids: Vec<&str> = experiment.trials.iter().map(|trial| trial.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

/// Whether every number that a trial says was swept is in its configuration.
fn tells_the_truth(experiment: &Experiment) -> bool {
    experiment.trials.iter().all(|trial| {
        trial.swept.iter().filter(|(_, value)| value.is_number()).all(|(path, value)| {
            let pointer = format!("/{}", path.replace('.', "/"));
            trial.json.pointer(&pointer).and_then(serde_json::Value::as_f64) == value.as_f64()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_axes_changes_the_order_of_trials_only(order in Just(AXES.to_vec()).prop_shuffle()) {
        // KFAC's own damping is joint, which only `eigen` can do.
        let set = ["optimizer.precondition.damping={ kind = \"absolute\", value = 0.1 }"];
        let (file, shuffled) = (plan(&AXES, &set).unwrap(), plan(&order, &set).unwrap());
        prop_assert_eq!(file.trials.len(), 32);
        prop_assert_eq!(ids(&file), ids(&shuffled));
        prop_assert!(tells_the_truth(&shuffled));
    }
}

#[test]
fn a_swept_preset_does_not_undo_a_swept_key_beneath_it() {
    let mut experiment = plan(&AXES[..2], &[]).unwrap();
    assert_eq!(experiment.trials.len(), 4);
    assert!(tells_the_truth(&experiment));
    // Control: a trial that is not what it says is noticed.
    experiment.trials[0].swept[0].1 = 21.into();
    assert!(!tells_the_truth(&experiment));
}

#[test]
fn a_swept_preset_does_not_undo_a_setting() {
    let experiment = plan(&AXES[1..2], &["optimizer.precondition.factor_every=7"]).unwrap();
    assert_eq!(experiment.trials.len(), 2);
    for trial in &experiment.trials {
        assert_eq!(trial.json.pointer("/optimizer/precondition/factor_every"), Some(&7.into()), "{:?}", trial.swept);
    }
}

#[test]
fn a_bare_name_has_a_kind_to_sweep() {
    let axis = r#""optimizer.precondition.rescale.kind" = ["none", "gradient-norm"]"#;
    assert_eq!(plan(&[axis], &[]).unwrap().trials.len(), 2);
}

#[test]
fn a_key_whose_default_is_not_written_can_be_swept() {
    let axes = [
        r#""engine.conv" = ["auto", "direct"]"#,
        r#""optimizer.precondition.inverter.precision" = ["full", "bf16"]"#,
        r#""schedule.warmup_steps" = [0, 5]"#,
        r#""accumulate" = [1, 2]"#,
        r#""data.train_limit" = [640, 320]"#,
    ];
    for axis in axes {
        let experiment = plan(&[axis], &[]).unwrap();
        assert_eq!(experiment.trials.len(), 2, "{axis}");
        assert_ne!(experiment.trials[0].id, experiment.trials[1].id, "{axis}");
    }
    assert_eq!(plan(&[r#""accumulate" = [1]"#], &[]).unwrap().trials.len(), 1, "the default alone");
    // Control: a stage that the arm does not have is not given to it.
    let stage = message(&[r#""optimizer.average.decay" = [0.9, 0.99]"#], &[]);
    assert!(stage.starts_with("x.toml:10: no arm has the swept key `optimizer.average.decay`\n"), "{stage}");
}

#[test]
fn axes_that_cannot_be_meant_are_refused() {
    assert_eq!(message(&[r#""schedule.lr" = []"#], &[]), "x.toml:10: the axis `schedule.lr` has no values");
    assert_eq!(
        message(&[r#"schedule.lr = [0.1]"#, r#""schedule.lr" = [0.2]"#], &[]),
        "x.toml:11: there are two axes `schedule.lr`"
    );
    let within = message(&AXES[2..3], &["optimizer.precondition.inverter.steps=7"]);
    assert_eq!(
        within,
        "--set optimizer.precondition.inverter.steps=7: `optimizer.precondition.inverter.steps` is within the swept key \
         `optimizer.precondition.inverter`, whose values replace it\nhint: set `optimizer.precondition.inverter` as a whole"
    );
}

#[test]
fn a_setting_drops_the_axes_over_it_and_beneath_it() {
    for set in ["optimizer.precondition.inverter.steps=7", "optimizer.precondition.inverter=cholesky"] {
        let experiment = plan(&AXES[3..], &[set]).unwrap();
        assert_eq!(experiment.trials.len(), 2);
        assert!(experiment.warnings.iter().any(|warning| warning.contains("is dropped")), "{:?}", experiment.warnings);
    }
    // Control: an axis whose name only begins alike stays.
    let axes = [r#""data.validation" = [10, 20]"#, r#""schedule.lr" = [0.1, 0.2]"#];
    assert_eq!(plan(&axes, &["schedule.lr=0.3"]).unwrap().trials.len(), 2);
}
