//! The experiments of the paper can be planned at every scale, and at the laptop's they ask the same questions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nkfac_bench::experiment::{Experiment, Overrides, Work, open, read};
use nkfac_bench::optim::{InverterConfig, Precondition};
use nkfac_bench::record;
use polars::prelude::{BooleanChunked, DataFrame};

use super::program::{repository, run};

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository("experiments/paper")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| !path.ends_with("figure-s1-newton.toml"));
    files.sort();
    assert!(files.len() >= 11, "{files:?}");
    files
}

fn plan(path: &Path, scale: &str) -> Experiment {
    let overrides = Overrides { scale: Some(scale.to_owned()), ..Overrides::default() };
    read(path, &overrides).unwrap_or_else(|error| panic!("{} at scale {scale}: {error}", path.display()))
}

fn arms(experiment: &Experiment) -> BTreeSet<&str> {
    experiment.trials.iter().map(|trial| trial.arm.as_str()).collect()
}

#[test]
fn every_file_is_planned_at_both_scales_with_the_same_arms() {
    for path in files() {
        let (paper, laptop) = (plan(&path, "paper"), plan(&path, "laptop"));
        assert_eq!(paper.name, path.file_stem().unwrap().to_str().unwrap());
        assert_eq!(laptop.name, format!("{}-laptop", paper.name));
        assert_eq!(arms(&paper), arms(&laptop), "{}", path.display());
        let images = |experiment: &Experiment| -> usize {
            experiment.trials.iter().map(|trial| trial.config.rounds() * trial.config.data.train_len()).sum()
        };
        assert!(images(&laptop) * 8 <= images(&paper), "{}: not much smaller", path.display());
    }
}

#[test]
fn the_comparison_of_inverters_is_planned_at_both_scales_and_trains_nothing() {
    let path = repository("experiments/paper/figure-s1-newton.toml");
    for (scale, trials) in [("paper", 90), ("laptop", 60)] {
        let overrides = Overrides { scale: Some(scale.to_owned()), ..Overrides::default() };
        let Work::Inverting(comparison) = open(&path, &overrides).unwrap() else { panic!("it trains") };
        assert_eq!(comparison.trials.len(), trials);
    }
    let error = read(&path, &Overrides::default()).unwrap_err().to_string();
    assert!(error.ends_with("`task` is `inverse`: nothing is trained here\nhint: `run` and `plan` take it"), "{error}");
    assert!(matches!(open(&files()[0], &Overrides::default()).unwrap(), Work::Training(_)));
}

#[test]
fn inverters_on_random_matrices_are_run_once_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = repository("experiments/paper/figure-s1-newton.toml");
    let args = ["run", path.to_str().unwrap(), "--scale", "laptop", "--set", "order=24", "--set", "rounds=3"];
    let first = run(folder.path(), &args);
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(first.out.contains("60 finished, 0 diverged, 0 already done"), "{}", first.out);
    let again = run(folder.path(), &args);
    assert!(again.out.contains("0 finished, 0 diverged, 60 already done"), "{}", again.out);
    let results = record::read(&folder.path().join("results/figure-s1-newton-laptop")).unwrap();
    let inverters = results.trials.column("inverter").unwrap().str().unwrap();
    let residuals = |rows: &DataFrame| {
        let metrics = rows.column("metric").unwrap().str().unwrap();
        rows.filter(&metrics.iter().map(|metric| metric == Some("residual")).collect::<BooleanChunked>()).unwrap()
    };
    let rows: Vec<(&str, DataFrame)> = inverters.iter().flatten().zip(results.rows.iter().map(residuals)).collect();
    assert_eq!(rows.iter().map(|(_, rows)| rows.height()).sum::<usize>(), 60 * 4, "the start and three rounds");
    let largest = |inverter: &str, round: u32| -> f64 {
        let of = rows.iter().filter(|(name, _)| *name == inverter).flat_map(|(_, rows)| {
            let (epochs, values) =
                (rows.column("epoch").unwrap().u32().unwrap(), rows.column("value").unwrap().f64().unwrap());
            let of_round = epochs.iter().zip(values.iter()).filter(move |(epoch, _)| *epoch == Some(round));
            of_round.filter_map(|(_, value)| value).collect::<Vec<f64>>()
        });
        of.fold(0.0, f64::max)
    };
    assert!(largest("newton", 3) < largest("newton", 1) && largest("newton", 1) < largest("newton", 0));
    assert!(largest("cholesky", 1) < 1e-4);
    // Controls: no inverse comes no nearer, however many rounds.
    assert!(largest("identity", 3) > 0.5 && largest("identity", 3) == largest("identity", 1));
}

#[test]
fn newton_does_at_least_four_fifths_of_the_refreshes() {
    let mut checked = 0;
    for experiment in files().iter().flat_map(|path| ["paper", "laptop"].map(|scale| plan(path, scale))) {
        // The paper's own figure of phases needs a few epochs only.
        for trial in
            experiment.trials.iter().filter(|trial| trial.config.rounds() >= 100 || experiment.name.ends_with("laptop"))
        {
            let Some(Precondition::Kfac(kfac)) = &trial.config.optimizer.precondition else { continue };
            let InverterConfig::Newton { exact_until, exact_every, .. } = kfac.inverter else { continue };
            let steps = trial.config.data.train_len() / trial.config.batch * trial.config.rounds();
            let refreshes = steps.div_ceil(kfac.inverse_every);
            let newton = (0..refreshes).filter(|n| *n > exact_until && !n.is_multiple_of(exact_every)).count();
            assert!(10 * newton >= 8 * refreshes, "{} {}: {newton} of {refreshes}", experiment.name, trial.arm);
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn a_scale_that_is_not_there_or_changes_what_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let message = |scale: &str, more: &str| {
        let base = r#"
[base]
epochs = 1
batch = 32
data = { kind = "digits" }
model = { kind = "mlp", hidden = [16] }
schedule = { kind = "constant", lr = 0.05 }
optimizer = { preset = "sgd" }
[[arm]]
name = "sgd"
"#;
        std::fs::write(&path, format!("{base}{more}")).unwrap();
        let overrides = Overrides { scale: Some(scale.to_owned()), ..Overrides::default() };
        let error = read(&path, &overrides).err().map(|error| error.to_string());
        error.map(|error| error.replace(path.to_str().unwrap(), "x.toml"))
    };
    assert_eq!(message("small", "[scale.small.base]\nepochs = 2\n"), None);
    assert_eq!(
        message("smal", "[scale.small.base]\nepochs = 2\n").unwrap(),
        "--scale smal: `x.toml` has no scale `smal`\nhint: there is `paper`, `small`"
    );
    assert_eq!(
        message("small", "[[scale.small.arm]]\nname = \"adam\"\n").unwrap(),
        "x.toml:11: there is no arm `adam` for this scale to change"
    );
    assert_eq!(
        message("small", "[scale.small.bass]\nepochs = 2\n").unwrap(),
        "x.toml:11: unknown key `bass` in `scale.small`\nhint: did you mean `base`?"
    );
}
