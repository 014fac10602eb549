//! Reports of results that are unlike each other.

use std::path::Path;

use super::{Report, Scales};
use crate::figure::Data;
use crate::record::{self, Metric, Origin, Row, Scope, Status};

fn origin(place: usize, arm: &str, seed: u64, config: &str, status: Status) -> Origin {
    Origin {
        experiment: "many".into(),
        trial: format!("{place:012}"),
        arm: arm.into(),
        dataset: "digits".into(),
        model: "mlp".into(),
        optimizer: arm.into(),
        inverter: if arm == "nkfac" { "newton".into() } else { String::new() },
        seed,
        status,
        swept: config.into(),
        config: config.into(),
        dtype: "f32".into(),
        batch: 64,
        epochs: 2,
        host: "h".into(),
        cpu: "c".into(),
        device: "cpu".into(),
        threads: 2,
        version: "0.1.0".into(),
        commit: "abc".into(),
        started: place as f64,
        load: None,
    }
}

/// Epochs with the usual numbers, `accuracy` growing linearly to its last value; about `count` rows.
fn rows(count: usize, accuracy: f64) -> Vec<Row> {
    let of_epoch = Metric::PHASES.len() + 4;
    let epochs = count.div_ceil(of_epoch);
    let mut rows = Vec::new();
    for epoch in 1..=epochs {
        let mut log = |scope, metric, value| {
            let seconds = epoch as f64 * 2.0;
            rows.push(Row { epoch: epoch as u32, step: 10 * epoch as u64, seconds, scope, metric, value });
        };
        log(Scope::Train, Metric::Loss, 2.0 / epoch as f64);
        log(Scope::Test, Metric::Loss, 2.0 / epoch as f64);
        log(Scope::Test, Metric::Accuracy, accuracy * epoch as f64 / epochs as f64);
        log(Scope::Train, Metric::EpochSeconds, 2.0);
        for phase in Metric::PHASES {
            log(Scope::Train, phase, 2.0 / 9.0);
        }
    }
    rows
}

fn write(folder: &Path, trials: &[(&str, u64, f64, Status)]) -> Report {
    for (place, &(arm, seed, accuracy, status)) in trials.iter().enumerate() {
        let path = folder.join(format!("{place}.parquet"));
        record::write(&path, &origin(place, arm, seed, "{}", status), &rows(26, accuracy)).unwrap();
    }
    Report::new(&Data::new(record::read(folder).unwrap()).unwrap(), Scales::Any).unwrap()
}

fn answer(trials: &[(&str, u64, f64, Status)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let report = write(folder.path(), trials);
    let html = report.html();
    assert!(!html.contains("NaN") && !html.contains("inf "), "{html}");
    report.parts[0].answer[0].clone()
}

#[test]
fn the_answer_is_as_sure_as_the_seeds_are_many() {
    use Status::{Diverged, Finished};
    let arms = |differences: &[f64]| {
        let pair = |(seed, difference): (usize, &f64)| {
            let (seed, base) = (seed as u64, 0.5 + 0.1 * (seed % 2) as f64);
            [("sgd", seed, base, Finished), ("nkfac", seed, base + difference, Finished)]
        };
        answer(&differences.iter().enumerate().flat_map(pair).collect::<Vec<_>>())
    };
    assert_eq!(
        arms(&[0.1, 0.11, 0.09]),
        "nkfac has the highest final test accuracy, 63.33 ± 6.66 % over 3 seeds; it is 10.00 points ahead of sgd, more than chance \
         explains (95 %)."
    );
    assert!(arms(&[0.1, -0.05, 0.09]).ends_with("it is 4.67 points ahead of sgd, but that may be chance."));
    assert!(arms(&[0.1, 0.1]).ends_with("it is 10.00 points ahead of sgd, but so few seeds cannot tell."));
    let folder = tempfile::tempdir().unwrap();
    let said = write(folder.path(), &[("sgd", 1, 0.5, Finished), ("nkfac", 1, 0.6, Finished)]).markdown();
    let speed = "An epoch takes: nkfac 2.00 s; sgd 2.00 s, the fastest of the others. Paired by seed: 1.00 times as long; 1 seed is too few to tell.";
    assert!(said.contains(speed), "{said}");
    let one = answer(&[("sgd", 1, 0.5, Finished)]);
    assert_eq!(one, "Only sgd has finished: 50.00 % final test accuracy over 1 seed.");
    assert_eq!(arms(&[0.0, 0.0, 0.0]), "sgd and nkfac tie for the highest final test accuracy, 53.33 %.");
    let three = answer(&["sgd", "adamw", "nkfac"].map(|arm| (arm, 1, 0.5, Finished)));
    assert!(three.starts_with("sgd, adamw and nkfac tie for the highest final test accuracy"), "{three}");
    let none = answer(&[("sgd", 1, 0.5, Diverged), ("sgd", 2, 0.5, Diverged)]);
    assert_eq!(none, "No trial has finished (2 diverged), so there is nothing to compare.");
    let strangers = answer(&[("sgd", 1, 0.5, Finished), ("nkfac", 2, 0.6, Finished)]);
    assert!(strangers.ends_with("no seed finished both with it and with sgd, so that is not sure."), "{strangers}");
}

#[test]
fn latex_has_the_best_in_bold_and_what_is_near_it_underlined() {
    use Status::Finished;
    let folder = tempfile::tempdir().unwrap();
    let of =
        |arm, accuracies: [f64; 3]| (1..).zip(accuracies).map(move |(seed, accuracy)| (arm, seed, accuracy, Finished));
    let mut trials: Vec<_> = of("n_k", [0.72, 0.76, 0.74]).collect();
    trials.extend(of("sgd", [0.70, 0.77, 0.72]));
    // Within a deviation of the best, and yet behind it on every seed.
    trials.extend(of("adam", [0.71, 0.75, 0.731]));
    let line = |trials: &[_], label: &str| {
        let table = write(folder.path(), trials).latex(&[]);
        table.lines().find(|line| line.starts_with(label)).unwrap().split(" & ").nth(1).unwrap().to_owned()
    };
    assert_eq!(line(&trials, "n\\_k"), "$\\mathbf{74.00 \\pm 2.00}$");
    assert_eq!(line(&trials, "sgd"), "\\underline{$73.00 \\pm 3.61$}");
    assert_eq!(line(&trials, "adam"), "$73.03 \\pm 2.00$");
    // Beside three seeds too few pairs tell nothing.
    trials.push(("few", 1, 0.4, Finished));
    assert_eq!(line(&trials, "few"), "\\underline{$40.00$}");
    // One seed is no evidence, nor are two.
    for seed in [1, 2] {
        trials.push(("lucky", seed, 0.9, Finished));
        assert!(line(&trials, "lucky").starts_with("$90.00"));
        assert_eq!(line(&trials, "n\\_k"), "$74.00 \\pm 2.00$");
    }
}

#[test]
fn published_figures_are_set_beside_their_own_data_and_net_and_no_swept_arm() {
    let verdicts = |rates: &[f64], [set, net]: [&str; 2]| {
        let folder = tempfile::tempdir().unwrap();
        let arms = rates.iter().map(|&rate| ("sgd", "sgd", rate)).chain([("adamw", "adam", 0.001)]);
        for (place, (arm, update, rate)) in arms.enumerate() {
            let config = format!(
                r#"{{"data":{{"kind":"{set}"}},"model":{{"kind":"{net}"}},"optimizer":{{"update":{{"kind":"{update}"}}}},"schedule":{{"lr":{rate}}}}}"#
            );
            let swept = format!(r#"{{"schedule.lr":{rate}}}"#);
            let origin = Origin { config, swept, ..origin(place, arm, 1, "{}", Status::Finished) };
            record::write(&folder.path().join(format!("{place}.parquet")), &origin, &rows(26, 0.5)).unwrap();
        }
        let data = Data::new(record::read(folder.path()).unwrap()).unwrap();
        [Scales::Same, Scales::Any].map(|scales| Report::new(&data, scales).unwrap().parts[0].verdicts.len())
    };
    assert_eq!(verdicts(&[0.1], ["digits", "mlp"]), [0, 1], "the paper's ResNet-18 only if asked for");
    assert_eq!(verdicts(&[0.1, 0.2, 0.3], ["digits", "mlp"]), [0, 0], "nothing says which rate is meant");
    assert_eq!(verdicts(&[0.1], ["cifar100", "resnet18"]), [1, 1], "control");
}

/// What `tests/scale.sh` measures the report of.
#[test]
#[ignore = "writes as many files as the environment says"]
fn many_trials_are_written() {
    let number = |name: &str| std::env::var(name).unwrap().parse::<usize>().unwrap();
    let (trials, count) = (number("TRIALS"), number("ROWS"));
    let folder = std::env::var("FOLDER").unwrap();
    for place in 0..trials {
        let (arm, seed, key) = (["sgd", "nkfac"][place % 2], place / 2 % 10, place / 20);
        let config =
            format!(r#"{{"seed":{seed},"optimizer.update.momentum":{},"data":{{"kind":"digits"}}}}"#, key as f64 / 1e3);
        let origin = origin(place, arm, seed as u64, &config, Status::Finished);
        let path = Path::new(&folder).join(format!("{}.parquet", origin.trial));
        record::write(&path, &origin, &rows(count, 0.5 + 0.4 * (place * 7919 % 997) as f64 / 997.0)).unwrap();
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), trials);
}
