//! Figures and tables at their boundary: result files in, numbers and pictures out.

use std::fs;

use polars::prelude::*;
use tempfile::TempDir;

use super::{ALL, Comparison, Style, Table, Theme, render};
use crate::record::{self, Metric, Origin, Results, Row, Scope, Status};

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
            for step in 0..10 {
                log(Scope::Step, Metric::StepSeconds, if step == 0 { 0.055 } else { 0.005 } * self.seconds);
            }
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

fn results(trials: &[Trial]) -> (TempDir, Results) {
    let folder = tempfile::tempdir().unwrap();
    for (place, trial) in (0..).zip(trials) {
        let path = folder.path().join(format!("{place}.parquet"));
        record::write(&path, &trial.origin(place), &trial.rows()).unwrap();
    }
    let results = record::read(folder.path()).unwrap();
    (folder, results)
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
    line,label,seeds,diverged,omitted,metric,epoch,seconds,mean,sd
    0,sgd,2,0,0,accuracy,1,3,0.75,0
    0,sgd,2,0,0,accuracy,2,6,0.6,0.1414
    0,sgd,2,0,0,loss,1,3,2,0
    0,sgd,2,0,0,loss,2,6,1,0
    1,nkfac,1,1,0,accuracy,1,3,0.75,
    1,nkfac,1,1,0,accuracy,2,6,0.8,
    1,nkfac,1,1,0,loss,1,3,2,
    1,nkfac,1,1,0,loss,2,6,1,
    2,adam,0,2,0,,,,,
    ");
}

#[test]
fn phases_are_milliseconds_per_step() {
    insta::assert_snapshot!(numbers("phases", &arms()), @r"
    line,label,omitted,data,forward,backward,moments,damping,inversion,preconditioning,update,other
    0,sgd,0,0,150,0,0,0,150,0,0,0
    1,nkfac,0,0,150,0,0,0,150,0,0,0
    ");
}

#[test]
fn an_ablation_is_against_the_swept_numbers() {
    insta::assert_snapshot!(numbers("ablation", &sweep()), @r"
    line,label,axis,at,seeds,diverged,final_accuracy,final_accuracy_sd,epoch_seconds,epoch_seconds_sd,omitted
    0,kfac,inverse_every,20,2,0,0.6,0.1414,4,0,0
    0,kfac,inverse_every,1000,2,0,0.5,0,2,0,0
    1,sgd,inverse_every,,1,0,0.6,,1,,0
    ");
}

#[test]
fn an_ablation_without_swept_numbers_is_by_line() {
    insta::assert_snapshot!(numbers("ablation", &arms()), @r"
    line,label,axis,at,seeds,diverged,final_accuracy,final_accuracy_sd,epoch_seconds,epoch_seconds_sd,omitted
    0,sgd,,,2,0,0.6,0.1414,3,1.4142,0
    1,nkfac,,,1,1,0.8,,3,,0
    2,adam,,,0,2,,,,,0
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
    arm    final acc. (%)   95 % interval  best acc. (%)    epoch (s)  peak memory (MiB)  seeds  diverged
    sgd     60.00 ± 14.14  50.00 to 70.00   75.00 ± 0.00  3.00 ± 1.41        1.00 ± 0.00      2         0
    nkfac           80.00               –          80.00         3.00               1.00      1         1
    adam                –               –              –            –                  –      0         2
    ");
    insta::assert_snapshot!(table.markdown(), @r"
    | arm   | final acc. (%) |  95 % interval | best acc. (%) |   epoch (s) | peak memory (MiB) | seeds | diverged |
    | ----- | -------------: | -------------: | ------------: | ----------: | ----------------: | ----: | -------: |
    | sgd   |  60.00 ± 14.14 | 50.00 to 70.00 |  75.00 ± 0.00 | 3.00 ± 1.41 |       1.00 ± 0.00 |     2 |        0 |
    | nkfac |          80.00 |              – |         80.00 |        3.00 |              1.00 |     1 |        1 |
    | adam  |              – |              – |             – |           – |                 – |     0 |        2 |
    ");
    insta::assert_snapshot!(table.csv(), @r"
    label,seeds,diverged,final_accuracy,final_accuracy_sd,best_accuracy,best_accuracy_sd,epoch_seconds,epoch_seconds_sd,train_seconds,train_seconds_sd,inverse_seconds,inverse_seconds_sd,peak_rss_bytes,peak_rss_bytes_sd,final_accuracy_low,final_accuracy_high
    sgd,2,0,0.6,0.14142135623730948,0.75,0,3,1.4142135623730951,6,2.8284271247461903,3,1.4142135623730951,1048576,0,0.5,0.7
    nkfac,1,1,0.8,,0.8,,3,,6,,3,,1048576,,,
    adam,0,2,,,,,,,,,,,,,,
    ");
}

#[test]
fn every_figure_is_drawn_from_any_results_and_says_so_if_there_is_nothing_to_draw() {
    let one = [Trial::new("sgd", 1, 0.5, 2.0)];
    let diverged = [Trial::new("sgd", 1, 0.5, 2.0).diverged()];
    for (trials, drawn) in [(&arms()[..], true), (&sweep()[..], true), (&one[..], true), (&diverged[..], false)] {
        let (folder, found) = results(trials);
        let written = render(folder.path(), &found, &[], Style::default()).unwrap();
        assert_eq!(written.len(), 2 * ALL.len() + 2);
        for figure in ALL {
            let path = folder.path().join("figures").join(figure.entry().name);
            let svg = fs::read_to_string(path.with_extension("svg")).unwrap();
            let name = figure.entry().name;
            // A heat map needs two swept keys, and no problem is one that all solvers tried here.
            let drawn = drawn && name != "heatmap" && (name != "performance-profile" || !svg.contains("No problem"));
            assert_eq!(svg.contains("polyline"), drawn, "{name}");
            let says = ["No trial has finished", "No problem was solved", "Fewer than two keys"];
            assert_eq!(says.iter().any(|reason| svg.replace("</text>", "").contains(reason)), !drawn, "{name}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", figure.entry().name);
            assert!(fs::read(path.with_extension("png")).unwrap().starts_with(b"\x89PNG"));
        }
    }
}

#[test]
fn no_rows_at_all_are_drawn_too() {
    let (folder, found) = results(&arms());
    let none = |frame: &DataFrame| frame.head(Some(0));
    let (trials, rows, steps) = (none(&found.trials), none(&found.rows), none(&found.steps));
    let nothing = Results { trials, rows, steps, skipped: Vec::new() };
    assert!(render(folder.path(), &nothing, &[], Style::default()).is_ok());
}

#[test]
fn figures_are_chosen_by_name() {
    let (folder, found) = results(&arms());
    let choose = |name: &str| render(folder.path(), &found, &[name.to_owned()], Style::default());
    let written = choose("phases").unwrap();
    let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["phases.svg", "phases.png", "table.md", "table.csv"]);
    assert_eq!(choose("curve").unwrap_err().to_string(), "unknown figure `curve`\nhint: did you mean `curves`?");
    let known = "unknown figure `x`\nhint: there are `curves`, `time-to-target`, `performance-profile`, `pareto`, `phases`, `step-times`, `memory`, `ablation`, `heatmap`";
    assert_eq!(choose("x").unwrap_err().to_string(), known);
}

/// An arm over a plane of two keys, one point of which diverged.
fn plane() -> [Trial; 5] {
    [
        Trial::new("nkfac", 1, 0.5, 1.0).swept(r#"{"a.steps":1,"a.every":20}"#),
        Trial::new("nkfac", 1, 0.6, 1.0).swept(r#"{"a.steps":1,"a.every":200}"#),
        Trial::new("nkfac", 1, 0.7, 1.0).swept(r#"{"a.steps":2,"a.every":20}"#),
        Trial::new("nkfac", 2, 0.9, 1.0).swept(r#"{"a.steps":2,"a.every":20}"#),
        Trial::new("nkfac", 1, 0.1, 1.0).swept(r#"{"a.steps":2,"a.every":200}"#).diverged(),
    ]
}

/// Two solvers on two problems, and one of them on a third; one misses the target of 77 %.
fn contest() -> [Trial; 5] {
    [
        Trial::new("sgd", 1, 0.8, 2.0),
        Trial::new("nkfac", 1, 0.9, 3.0),
        Trial::new("sgd", 2, 0.5, 2.0),
        Trial::new("nkfac", 2, 0.9, 1.0),
        Trial::new("nkfac", 3, 0.9, 1.0).diverged(),
    ]
}

#[test]
fn times_to_a_target_are_interpolated_and_misses_are_kept() {
    insta::assert_snapshot!(numbers("time-to-target", &contest()), @r"
    line,label,seed,target,outcome,epoch,seconds,omitted
    0,sgd,1,0.77,reached,1.4,2.8,0
    0,sgd,2,0.77,missed,2,4,0
    1,nkfac,1,0.77,reached,1.1333,3.4,0
    1,nkfac,2,0.77,reached,1.1333,1.1333,0
    1,nkfac,3,0.77,diverged,2,2,0
    ");
}

#[test]
fn a_profile_is_over_problems_that_all_solvers_tried() {
    insta::assert_snapshot!(numbers("performance-profile", &contest()), @r"
    line,label,problems,target,tau,share,omitted
    0,sgd,2,0.77,1,0.5,0
    1,nkfac,2,0.77,1,0.5,0
    1,nkfac,2,0.77,1.2143,1,0
    ");
}

#[test]
fn the_front_is_what_nothing_beats_in_both() {
    let trials = [Trial::new("sgd", 1, 0.7, 1.0), Trial::new("slow", 1, 0.7, 2.0), Trial::new("nkfac", 1, 0.8, 3.0)];
    insta::assert_snapshot!(numbers("pareto", &trials), @r"
    line,label,seeds,diverged,final_accuracy,final_accuracy_sd,train_seconds,train_seconds_sd,front,omitted
    0,sgd,1,0,0.7,,2,,true,0
    1,slow,1,0,0.7,,4,,false,0
    2,nkfac,1,0,0.8,,6,,true,0
    ");
}

#[test]
fn step_times_are_told_by_how_many_took_so_long() {
    insta::assert_snapshot!(numbers("step-times", &arms()), @r"
    line,label,share,milliseconds,seeds,omitted
    0,sgd,1,15,2,0
    0,sgd,0.9,15,2,0
    0,sgd,0.75,15,2,0
    0,sgd,0.5,15,2,0
    0,sgd,0.35,15,2,0
    0,sgd,0.25,15,2,0
    0,sgd,0.15,15,2,0
    0,sgd,0.1,165,2,0
    0,sgd,0.05,165,2,0
    1,nkfac,1,15,1,0
    1,nkfac,0.9,15,1,0
    1,nkfac,0.75,15,1,0
    1,nkfac,0.5,15,1,0
    1,nkfac,0.35,15,1,0
    1,nkfac,0.25,15,1,0
    1,nkfac,0.15,15,1,0
    1,nkfac,0.1,165,1,0
    1,nkfac,0.05,165,1,0
    ");
}

#[test]
fn memory_is_a_mean_over_finished_trials() {
    insta::assert_snapshot!(numbers("memory", &arms()), @r"
    line,label,seeds,peak_rss_bytes,peak_rss_bytes_sd,omitted
    0,sgd,2,1048576,0,0
    1,nkfac,1,1048576,,0
    2,adam,0,,,0
    ");
}

#[test]
fn a_heat_map_is_over_the_two_longest_keys() {
    insta::assert_snapshot!(numbers("heatmap", &plane()), @r"
    arm,x_key,y_key,x,y,x_rank,y_rank,seeds,diverged,final_accuracy,final_accuracy_sd
    nkfac,a.every,a.steps,20,1,0,0,1,0,0.5,
    nkfac,a.every,a.steps,200,1,1,0,1,0,0.6,
    nkfac,a.every,a.steps,20,2,0,1,2,0,0.8,0.1414
    nkfac,a.every,a.steps,200,2,1,1,0,1,,
    ");
    assert_eq!(numbers("heatmap", &sweep()).lines().count(), 1, "one key is no plane");
}

#[test]
fn a_figure_of_very_many_lines_shows_the_best_and_says_so() {
    let trial = |place: u32| {
        let swept = Box::leak(format!(r#"{{"a.key":"{place:02}"}}"#).into_boxed_str());
        Trial::new("nkfac", 1, f64::from(place) / 100.0, 1.0).swept(swept)
    };
    let trials: Vec<Trial> = (0..20).map(trial).collect();
    let numbers = numbers("memory", &trials);
    assert_eq!(numbers.lines().count(), 17);
    assert!(numbers.contains("0,\"nkfac, key = 04\"") || numbers.contains("0,nkfac, a.key = 04"), "{numbers}");
    assert!(numbers.lines().skip(1).all(|line| line.ends_with(",4")), "{numbers}");
}

#[test]
fn the_best_epoch_is_chosen_on_validation_images_where_there_are_some() {
    let folder = tempfile::tempdir().unwrap();
    let row = |epoch, scope, value| Row { epoch, step: 1, seconds: 1.0, scope, metric: Metric::Accuracy, value };
    let mut rows = vec![row(1, Scope::Test, 0.9), row(2, Scope::Test, 0.6), row(3, Scope::Test, 0.7)];
    let origin = Trial::new("sgd", 1, 0.0, 0.0).origin(0);
    let path = folder.path().join("a.parquet");
    let best = || {
        let table = Table::new(&record::read(folder.path()).unwrap()).unwrap();
        (table.validated, table.frame().column("best_accuracy").unwrap().f64().unwrap().get(0).unwrap())
    };
    record::write(&path, &origin, &rows).unwrap();
    assert_eq!(best(), (false, 0.9));
    rows.extend([row(1, Scope::Validation, 0.5), row(2, Scope::Validation, 0.8), row(3, Scope::Validation, 0.8)]);
    record::write(&path, &origin, &rows).unwrap();
    assert_eq!(best(), (true, 0.6));
}

#[test]
fn arms_are_compared_seed_by_seed() {
    let trials = [
        Trial::new("nkfac", 1, 0.82, 3.0),
        Trial::new("nkfac", 2, 0.92, 3.0),
        Trial::new("nkfac", 3, 0.87, 3.0),
        Trial::new("nkfac", 4, 0.5, 3.0).diverged(),
        Trial::new("sgd", 1, 0.80, 2.0),
        Trial::new("sgd", 2, 0.90, 2.0),
        Trial::new("sgd", 3, 0.84, 2.0),
        Trial::new("sgd", 4, 0.84, 2.0),
        Trial::new("once", 1, 0.84, 2.0),
        Trial::new("never", 9, 0.84, 2.0),
    ];
    let (_folder, found) = results(&trials);
    let compare = |a, b| Comparison::new(&found, a, b).unwrap();
    let all = compare("nkfac", "sgd");
    assert_eq!((all.seeds.as_slice(), all.unpaired), (&[1, 2, 3][..], 2));
    let words = |comparison: &Comparison| comparison.differences[0].words();
    // Unpaired, the arms' spread of 5 points would hide the difference.
    assert_eq!(words(&all), "higher by 2.33 points, 95 % interval +0.90 to +3.77 points, 3 pairs");
    assert_eq!(words(&compare("sgd", "nkfac")), "lower by 2.33 points, 95 % interval -3.77 to -0.90 points, 3 pairs");
    assert_eq!(words(&compare("once", "sgd")), "higher by 4.00 points; 1 pair is too few to tell");
    assert_eq!(words(&compare("never", "sgd")), "no seed finished in both, so nothing can be said");
    let unknown = Comparison::new(&found, "nkfca", "sgd").unwrap_err().to_string();
    assert_eq!(unknown, "no arm is called `nkfca` here\nhint: did you mean `nkfac`?");
}

#[test]
fn dark_figures_are_light_on_dark_and_narrow_ones_narrow() {
    let (folder, found) = results(&arms());
    let style = Style { width: super::COLUMN, theme: Theme::Dark };
    render(folder.path(), &found, &["curves".to_owned()], style).unwrap();
    let svg = fs::read_to_string(folder.path().join("figures/curves.svg")).unwrap();
    assert!(svg.contains("width=\"243pt\"") && svg.contains("fill=\"#15181c\"") && !svg.contains("#ffffff"), "{svg}");
}
