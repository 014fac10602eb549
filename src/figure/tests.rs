//! Figures and tables at their boundary: result files in, numbers and pictures out.

use std::fs;

use polars::prelude::*;
use tempfile::TempDir;

use super::{ALL, Table, render};
use crate::record::{self, Metric, Origin, Row, Scope, Status};

/// A trial of two epochs of ten steps. Accuracy ends at `accuracy`, an epoch takes `seconds`, half of which is inversion.
struct Trial {
    arm: &'static str,
    seed: u64,
    status: Status,
    swept: &'static str,
    accuracy: f64,
    seconds: f64,
}

impl Trial {
    const fn new(arm: &'static str, seed: u64, accuracy: f64, seconds: f64) -> Self {
        Self { arm, seed, status: Status::Finished, swept: "{}", accuracy, seconds }
    }

    const fn diverged(self) -> Self {
        Self { status: Status::Diverged, ..self }
    }

    const fn swept(self, swept: &'static str) -> Self {
        Self { swept, ..self }
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for epoch in 1..=2 {
            let step = u64::from(epoch) * 10;
            let mut log = |scope, metric, value| {
                rows.push(Row { epoch, step, seconds: f64::from(epoch) * self.seconds, scope, metric, value });
            };
            log(Scope::Train, Metric::Loss, 2.0 / f64::from(epoch));
            log(Scope::Train, Metric::EpochSeconds, self.seconds);
            log(Scope::Train, Metric::PhaseForward, 0.5 * self.seconds);
            log(Scope::Train, Metric::PhaseInversion, 0.5 * self.seconds);
            log(Scope::Test, Metric::Accuracy, if epoch == 2 { self.accuracy } else { 0.75 });
        }
        let end = Row {
            epoch: 2,
            step: 20,
            seconds: 2.0 * self.seconds,
            scope: Scope::Train,
            metric: Metric::PeakRssBytes,
            value: 1048576.0,
        };
        rows.push(end);
        rows
    }

    /// The `place` in which it started.
    fn origin(&self, place: u32) -> Origin {
        Origin {
            experiment: "e".into(),
            trial: format!("{place}"),
            arm: self.arm.into(),
            dataset: "digits".into(),
            model: "mlp".into(),
            optimizer: self.arm.into(),
            inverter: String::new(),
            seed: self.seed,
            status: self.status,
            swept: self.swept.into(),
            config: "{}".into(),
            dtype: "f32".into(),
            batch: 64,
            epochs: 2,
            host: "h".into(),
            cpu: "c".into(),
            device: "cpu".into(),
            threads: 2,
            version: "0.1.0".into(),
            commit: "abc".into(),
            started: f64::from(place),
            load: None,
        }
    }
}

fn results(trials: &[Trial]) -> (TempDir, DataFrame) {
    let folder = tempfile::tempdir().unwrap();
    for (place, trial) in (0..).zip(trials) {
        let path = folder.path().join(format!("{place}.parquet"));
        record::write(&path, &trial.origin(place), &trial.rows()).unwrap();
    }
    let rows = record::read(folder.path()).unwrap().rows;
    (folder, rows)
}

/// Two arms that finish, one of them not always, and one that never does.
fn arms() -> [Trial; 6] {
    [
        Trial::new("sgd", 1, 0.5, 2.0),
        Trial::new("nkfac", 1, 0.8, 3.0),
        Trial::new("sgd", 2, 0.7, 4.0),
        Trial::new("nkfac", 2, 0.1, 9.0).diverged(),
        Trial::new("adam", 1, 0.1, 9.0).diverged(),
        Trial::new("adam", 2, 0.1, 9.0).diverged(),
    ]
}

/// An arm with a swept key, which another arm has not.
fn sweep() -> [Trial; 5] {
    [
        Trial::new("kfac", 1, 0.5, 4.0).swept(r#"{"seed":1,"optimizer.precondition.inverse_every":20}"#),
        Trial::new("kfac", 2, 0.7, 4.0).swept(r#"{"seed":2,"optimizer.precondition.inverse_every":20}"#),
        Trial::new("kfac", 1, 0.5, 2.0).swept(r#"{"seed":1,"optimizer.precondition.inverse_every":1000}"#),
        Trial::new("kfac", 2, 0.5, 2.0).swept(r#"{"seed":2,"optimizer.precondition.inverse_every":1000}"#),
        Trial::new("sgd", 1, 0.6, 1.0).swept(r#"{"seed":1}"#),
    ]
}

/// The numbers of a figure as lines of text, to four decimals; missing ones are blank.
fn numbers(figure: &str, trials: &[Trial]) -> String {
    let figure = ALL.iter().find(|known| known.entry().name == figure).unwrap();
    let frame = figure.query(&results(trials).1).unwrap();
    let names = frame.get_column_names().into_iter().map(ToString::to_string).collect::<Vec<_>>();
    let cell = |value: AnyValue<'_>| match value {
        AnyValue::Null => String::new(),
        AnyValue::Float64(number) => ((number * 1e4).round() / 1e4).to_string(),
        other => other.str_value().into_owned(),
    };
    let row = |i| frame.columns().iter().map(|column| cell(column.get(i).unwrap())).collect::<Vec<_>>().join(",");
    std::iter::once(names.join(",")).chain((0..frame.height()).map(row)).collect::<Vec<_>>().join("\n")
}

#[test]
fn curves_are_means_over_finished_trials() {
    insta::assert_snapshot!(numbers("curves", &arms()), @r"
    line,label,seeds,diverged,metric,epoch,seconds,mean,sd
    0,sgd,2,0,accuracy,1,3,0.75,0
    0,sgd,2,0,accuracy,2,6,0.6,0.1414
    0,sgd,2,0,loss,1,3,2,0
    0,sgd,2,0,loss,2,6,1,0
    1,nkfac,1,1,accuracy,1,3,0.75,
    1,nkfac,1,1,accuracy,2,6,0.8,
    1,nkfac,1,1,loss,1,3,2,
    1,nkfac,1,1,loss,2,6,1,
    2,adam,0,2,,,,,
    ");
}

#[test]
fn phases_are_milliseconds_per_step() {
    insta::assert_snapshot!(numbers("phases", &arms()), @r"
    line,label,data,forward,backward,moments,damping,inversion,preconditioning,update,other
    0,sgd,0,150,0,0,0,150,0,0,0
    1,nkfac,0,150,0,0,0,150,0,0,0
    ");
}

#[test]
fn an_ablation_is_against_the_swept_numbers() {
    insta::assert_snapshot!(numbers("ablation", &sweep()), @r"
    line,label,axis,at,seeds,diverged,final_accuracy,final_accuracy_sd,epoch_seconds,epoch_seconds_sd
    0,kfac,inverse_every,20,2,0,0.6,0.1414,4,0
    0,kfac,inverse_every,1000,2,0,0.5,0,2,0
    1,sgd,inverse_every,,1,0,0.6,,1,
    ");
}

#[test]
fn an_ablation_without_swept_numbers_is_by_line() {
    insta::assert_snapshot!(numbers("ablation", &arms()), @r"
    line,label,axis,at,seeds,diverged,final_accuracy,final_accuracy_sd,epoch_seconds,epoch_seconds_sd
    0,sgd,,,2,0,0.6,0.1414,3,1.4142
    1,nkfac,,,1,1,0.8,,3,
    2,adam,,,0,2,,,,
    ");
}

#[test]
fn lines_are_named_by_what_differs_and_tables_by_their_kind() {
    let trial = |swept| Trial::new("kfac", 1, 0.5, 1.0).swept(swept);
    let trials = [
        trial(r#"{"model.width":64,"optimizer.precondition.inverter":{"kind":"newton","steps":2}}"#),
        trial(r#"{"model.width":64,"optimizer.precondition.inverter":{"kind":"newton","steps":1}}"#),
        trial(r#"{"model.width":64,"optimizer.precondition.inverter":"lu"}"#),
    ];
    let table = Table::new(&results(&trials).1).unwrap().csv();
    let labels: Vec<&str> = table.lines().skip(1).map(|line| line.split(",1,0,").next().unwrap()).collect();
    let expected =
        ["kfac, inverter = lu", "kfac, inverter = newton (steps = 1)", "kfac, inverter = newton (steps = 2)"];
    assert_eq!(labels, expected.map(|label| format!("\"{label}\"")));
}

#[test]
fn the_table_is_for_terminals_and_markdown_and_csv() {
    let table = Table::new(&results(&arms()).1).unwrap();
    insta::assert_snapshot!(table.terminal(), @r"
    arm    final acc. (%)  best acc. (%)    epoch (s)  peak memory (MiB)  seeds  diverged
    sgd     60.00 ± 14.14   75.00 ± 0.00  3.00 ± 1.41        1.00 ± 0.00      2         0
    nkfac           80.00          80.00         3.00               1.00      1         1
    adam                –              –            –                  –      0         2
    ");
    insta::assert_snapshot!(table.markdown(), @r"
    | arm   | final acc. (%) | best acc. (%) |   epoch (s) | peak memory (MiB) | seeds | diverged |
    | ----- | -------------: | ------------: | ----------: | ----------------: | ----: | -------: |
    | sgd   |  60.00 ± 14.14 |  75.00 ± 0.00 | 3.00 ± 1.41 |       1.00 ± 0.00 |     2 |        0 |
    | nkfac |          80.00 |         80.00 |        3.00 |              1.00 |     1 |        1 |
    | adam  |              – |             – |           – |                 – |     0 |        2 |
    ");
    insta::assert_snapshot!(table.csv(), @r"
    label,seeds,diverged,final_accuracy,final_accuracy_sd,best_accuracy,best_accuracy_sd,epoch_seconds,epoch_seconds_sd,peak_rss_bytes,peak_rss_bytes_sd
    sgd,2,0,0.6,0.14142135623730948,0.75,0,3,1.4142135623730951,1048576,0
    nkfac,1,1,0.8,,0.8,,3,,1048576,
    adam,0,2,,,,,,,,
    ");
}

#[test]
fn every_figure_is_drawn_from_any_results_and_says_so_if_there_is_nothing_to_draw() {
    let one = [Trial::new("sgd", 1, 0.5, 2.0)];
    let diverged = [Trial::new("sgd", 1, 0.5, 2.0).diverged()];
    for (trials, drawn) in [(&arms()[..], true), (&sweep()[..], true), (&one[..], true), (&diverged[..], false)] {
        let (folder, rows) = results(trials);
        let written = render(folder.path(), &rows, &[]).unwrap();
        assert_eq!(written.len(), 2 * ALL.len() + 2);
        for figure in ALL {
            let path = folder.path().join("figures").join(figure.entry().name);
            let svg = fs::read_to_string(path.with_extension("svg")).unwrap();
            assert_eq!(svg.contains("polyline"), drawn, "{}", figure.entry().name);
            assert_eq!(svg.contains("No trial has finished"), !drawn, "{}", figure.entry().name);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", figure.entry().name);
            assert!(fs::read(path.with_extension("png")).unwrap().starts_with(b"\x89PNG"));
        }
    }
}

#[test]
fn no_rows_at_all_are_drawn_too() {
    let (folder, rows) = results(&arms());
    assert!(render(folder.path(), &rows.head(Some(0)), &[]).is_ok());
}

#[test]
fn figures_are_chosen_by_name() {
    let (folder, rows) = results(&arms());
    let choose = |name: &str| render(folder.path(), &rows, &[name.to_owned()]);
    let written = choose("phases").unwrap();
    let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["phases.svg", "phases.png", "table.md", "table.csv"]);
    assert_eq!(choose("curve").unwrap_err().to_string(), "unknown figure `curve`\nhint: did you mean `curves`?");
    let known = "unknown figure `x`\nhint: there are `curves`, `phases`, `ablation`";
    assert_eq!(choose("x").unwrap_err().to_string(), known);
}
