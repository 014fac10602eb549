//! Pictures, tables and comparisons.

use std::fs;

use polars::prelude::DataFrame;

use super::super::{
    ALL, COLUMN, Comparison, Data, FOLDER, PAGE, Style, Table, Tables, Theme, View, counts, draw, ink, render, svg,
};
use super::queries::plane;
use super::{Trial, arms, results, sweep, telemetry};
use crate::record::{self, Metric, Results, Row, Scope};

#[test]
fn lines_are_named_by_what_differs_and_tables_by_their_kind() {
    let trial = |swept| Trial::new("kfac", 1, 0.5, 1.0).swept(swept);
    let trials = [
        trial(r#"{"model.width":64,"optimizer.precondition.inverter":{"kind":"newton","steps":2}}"#),
        trial(r#"{"model.width":64,"optimizer.precondition.inverter":{"kind":"newton","steps":1}}"#),
        trial(r#"{"model.width":64,"optimizer.precondition.inverter":"lu"}"#),
    ];
    let table = Tables::new(&results(&trials).1).unwrap().csv().unwrap();
    let labels: Vec<&str> = table.lines().skip(1).map(|line| line.split(",1,0,").next().unwrap()).collect();
    let expected =
        ["kfac, inverter = lu", "kfac, inverter = newton (steps = 1)", "kfac, inverter = newton (steps = 2)"];
    assert_eq!(labels, expected.map(|label| format!("\"{label}\"")));
}

#[test]
fn the_table_is_for_terminals_and_markdown_and_csv() {
    let table = Table::new(&results(&arms()).1).unwrap();
    insta::assert_snapshot!(table.terminal(None), @r"
    arm    final acc. (%)   95 % interval  best acc. (%)    epoch (s)  added (%)  peak memory (MiB)  seeds  diverged
    sgd     60.00 ± 14.14  0.00 to 100.00   75.00 ± 0.00  3.00 ± 1.41   100 ± 47        1.00 ± 0.00      2         0
    nkfac           80.00               –          80.00         3.00        100               1.00      1         1
    adam                –               –              –            –          –                  –      0         2
    ");
    insta::assert_snapshot!(table.markdown(), @r"
    | arm   | final acc. (%) |  95 % interval | best acc. (%) |   epoch (s) | added (%) | peak memory (MiB) | seeds | diverged |
    | ----- | -------------: | -------------: | ------------: | ----------: | --------: | ----------------: | ----: | -------: |
    | sgd   |  60.00 ± 14.14 | 0.00 to 100.00 |  75.00 ± 0.00 | 3.00 ± 1.41 |  100 ± 47 |       1.00 ± 0.00 |     2 |        0 |
    | nkfac |          80.00 |              – |         80.00 |        3.00 |       100 |              1.00 |     1 |        1 |
    | adam  |              – |              – |             – |           – |         – |                 – |     0 |        2 |
    ");
    insta::assert_snapshot!(Tables::new(&results(&arms()).1).unwrap().csv().unwrap(), @r"
    label,seeds,diverged,final_accuracy,final_accuracy_sd,best_accuracy,best_accuracy_sd,epoch_seconds,epoch_seconds_sd,train_seconds,train_seconds_sd,inverse_seconds,inverse_seconds_sd,peak_rss_bytes,peak_rss_bytes_sd,added_step_seconds,added_step_seconds_sd,final_accuracy_low,final_accuracy_high,dataset,model,overhead,overhead_sd
    sgd,2,0,0.6,0.14142135623730948,0.75,0,3,1.4142135623730951,6,2.8284271247461903,3,1.4142135623730951,1048576,0,0.15000000000000002,0.07071067811865477,0,1,digits,mlp,1.0000000000000002,0.4714045207910318
    nkfac,1,1,0.8,,0.8,,3,,6,,3,,1048576,,0.15,,,,digits,mlp,1,
    adam,0,2,,,,,,,,,,,,,,,,,digits,mlp,,
    ");
}

#[test]
fn a_table_fits_its_terminal_and_loses_no_line() {
    let at = r#"{"optimizer.precondition.inverse_every": 20}"#;
    let trials = [
        Trial::new("sgd", 1, 0.5, 2.0),
        Trial::new("sgd", 2, 0.75, 2.5),
        Trial::new("学习率", 1, 0.5, 3.0).swept(at),
        Trial::new("学习率", 2, 0.625, 3.0).swept(at),
        Trial::new("学习率", 1, 0.5, 3.0).swept(r#"{"optimizer.precondition.inverse_every": 100}"#),
        Trial::new("学习率", 2, 0.5, 3.0).swept(r#"{"optimizer.precondition.inverse_every": 100}"#),
    ];
    let table = Table::new(&results(&trials).1).unwrap();
    insta::assert_snapshot!(table.terminal(Some(80)), @r"
    arm                          final acc. (%)    epoch (s)  added (%)
    sgd                           62.50 ± 17.68  2.25 ± 0.35    82 ± 13
    学习率, inverse_every = 20     56.25 ± 8.84  3.00 ± 0.00    109 ± 0
    学习率, inverse_every = 100    50.00 ± 0.00  3.00 ± 0.00    109 ± 0
    all: best acc. (%) 75.00 ± 0.00, peak memory (MiB) 1.00 ± 0.00, seeds 2,
    diverged 0
    ");
    insta::assert_snapshot!(table.terminal(Some(40)), @r"
      final acc. (%)    epoch (s)  added (%)
    sgd
       62.50 ± 17.68  2.25 ± 0.35    82 ± 13
    学习率, inverse_every = 20
        56.25 ± 8.84  3.00 ± 0.00    109 ± 0
    学习率, inverse_every = 100
        50.00 ± 0.00  3.00 ± 0.00    109 ± 0
    all: best acc. (%) 75.00 ± 0.00, peak
    memory (MiB) 1.00 ± 0.00, seeds 2,
    diverged 0
    ");
    for columns in 40..120 {
        let text = table.terminal(Some(columns));
        assert!(text.lines().all(|line| crate::text::width(line) <= columns), "{columns}: {text}");
    }
}

/// Draws every figure of the catalog, and asserts that these show something while the others say why they do not.
fn check_all(found: &Data, shown: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<String> = ALL.iter().map(|figure| figure.entry().name.to_owned()).collect();
    let written = render(&folder.path().join(FOLDER), found, &all, Style::default()).unwrap();
    assert_eq!(written.len(), 3 * ALL.len() + 2);
    for name in all {
        let path = folder.path().join(FOLDER).join(&name);
        let svg = fs::read_to_string(path.with_extension("svg")).unwrap();
        let drawn = shown.contains(&name.as_str());
        assert_eq!(svg.contains("polyline"), drawn, "{name}");
        let says = [
            "No trial has finished",
            "No problem was solved",
            "are no profile",
            "Fewer than two keys",
            "No trial was probed",
            "No inverters",
            "No search",
            "No batch size was swept",
            "No line has two finished seeds",
        ];
        assert_eq!(says.iter().any(|reason| svg.replace("</text>", "").contains(reason)), !drawn, "{name}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
        assert!(fs::read(path.with_extension("png")).unwrap().starts_with(b"\x89PNG"));
    }
}

/// Figures that any finished trial gives. The others need two swept keys, a problem that all tried, a probe, or inverters alone.
const ANY: [&str; 8] = ["curves", "time-to-target", "pareto", "phases", "overhead", "step-times", "memory", "ablation"];
const PROBED: [&str; 2] = ["drift", "residuals"];
const INVERTERS: [&str; 2] = ["newton-convergence", "inverters"];

#[test]
fn every_figure_is_drawn_from_any_results_and_says_so_if_there_is_nothing_to_draw() {
    check_all(&results(&arms()).1, &[&ANY[..], &["race"]].concat());
    check_all(&results(&sweep()).1, &[&ANY[..], &["race"]].concat());
    check_all(&results(&plane()).1, &[&ANY[..], &["race", "heatmap", "performance-profile"]].concat());
    let of_five: Vec<Trial> =
        (1..=5).flat_map(|seed| [Trial::new("sgd", seed, 0.8, 2.0), Trial::new("nkfac", seed, 0.9, 3.0)]).collect();
    check_all(&results(&of_five).1, &[&ANY[..], &["race", "performance-profile"]].concat());
    let (_, found) = results(&arms());
    let none = |frame: &DataFrame| frame.head(Some(0));
    let (trials, steps) = (none(&found.results.trials), none(&found.results.steps));
    check_all(
        &Data::new(Results {
            trials,
            rows: Vec::new(),
            steps,
            arms: Vec::new(),
            others: 0,
            missing: 0,
            skipped: Vec::new(),
        })
        .unwrap(),
        &[],
    );
}

#[test]
fn every_figure_is_drawn_from_one_trial_and_from_trials_that_all_diverged() {
    let one = || Trial::new("nkfac", 1, 0.5, 2.0);
    let probed = || one().probed(&telemetry::FIRST);
    let inverter = || Trial::of_an_inverter("newton", 1, &telemetry::NEWTON);
    check_all(&results(&[one()]).1, &ANY);
    check_all(&results(&[probed()]).1, &[&ANY[..], &PROBED, &["inverse-quality"]].concat());
    check_all(&results(&[inverter()]).1, &INVERTERS);
    check_all(&results(&[one().diverged(), one().diverged()]).1, &[]);
    // What was measured before a trial diverged is worth a look.
    check_all(&results(&[probed().diverged()]).1, &PROBED);
    check_all(&results(&[inverter().diverged()]).1, &INVERTERS);
}

#[test]
fn a_single_refresh_is_drawn_and_numbers_that_are_none_are_not() {
    let any = ANY.to_vec();
    let probed = |measured| results(&[Trial::new("nkfac", 1, 0.5, 2.0).probed(measured)]).1;
    check_all(&probed(&telemetry::FIRST[..1]), &[&any[..], &["drift"]].concat());
    check_all(&probed(&telemetry::GONE), &any);
    check_all(&results(&[Trial::of_an_inverter("newton-pure", 1, &telemetry::ASTRAY)]).1, &INVERTERS);
}

#[test]
fn figures_without_anything_to_show_are_drawn_only_if_named() {
    let files = |trials: &[Trial]| {
        let (folder, found) = results(trials);
        render(&folder.path().join(FOLDER), &found, &[], Style::default()).unwrap().len()
    };
    // Of trials that all diverged the first says so.
    assert_eq!(files(&[Trial::new("sgd", 1, 0.5, 2.0).diverged()]), 5);
    let some = files(&arms());
    assert!(some > 5 && some < 3 * ALL.len() + 2, "{some}");
}

#[test]
fn batch_sizes_are_an_axis_where_they_are_swept() {
    let at = |batch| Trial::new("sgd", 1, 0.8, 2.0).swept(batch);
    let (folder, found) = results(&[at(r#"{"batch":32}"#), at(r#"{"batch":256}"#)]);
    render(&folder.path().join(FOLDER), &found, &["batch-size".to_owned()], Style::default()).unwrap();
    let svg = fs::read_to_string(folder.path().join(FOLDER).join("batch-size.svg")).unwrap();
    let shows = ["polyline", "steps to 80.0 %", "seconds to 80.0 %"];
    assert!(shows.iter().all(|part| svg.contains(part)), "{svg}");
}

#[test]
fn figures_are_chosen_by_name() {
    let (folder, found) = results(&arms());
    let choose = |name: &str| render(&folder.path().join(FOLDER), &found, &[name.to_owned()], Style::default());
    let written = choose("phases").unwrap();
    let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["phases.svg", "phases.pdf", "phases.png", "table.md", "table.csv"]);
    assert_eq!(choose("curve").unwrap_err().to_string(), "unknown figure `curve`\nhint: did you mean `curves`?");
    let known = "unknown figure `x`\nhint: there are `curves`, `time-to-target`, `race`, `performance-profile`, `pareto`, `phases`, `overhead`, `step-times`, `memory`, `ablation`, `batch-size`, `heatmap`, `tuning`, `newton-convergence`, `inverters`, `inverse-quality`, `drift`, `residuals`";
    assert_eq!(choose("x").unwrap_err().to_string(), known);
}

#[test]
fn the_best_epoch_is_chosen_on_validation_images_where_there_are_some() {
    let folder = tempfile::tempdir().unwrap();
    let row = |epoch, scope, value| Row { epoch, step: 1, seconds: 1.0, scope, metric: Metric::Accuracy, value };
    let mut rows = vec![row(1, Scope::Test, 0.9), row(2, Scope::Test, 0.6), row(3, Scope::Test, 0.7)];
    let origin = Trial::new("sgd", 1, 0.0, 0.0).origin(0);
    let path = folder.path().join("a.parquet");
    let best = || {
        let table = Table::new(&Data::new(record::read(folder.path()).unwrap()).unwrap()).unwrap();
        (table.validated, table.frame().column("best_accuracy").unwrap().f64().unwrap().get(0).unwrap())
    };
    record::write(&path, &origin, &rows).unwrap();
    assert_eq!(best(), (false, 0.9));
    rows.extend([row(1, Scope::Validation, 0.5), row(2, Scope::Validation, 0.8), row(3, Scope::Validation, 0.8)]);
    record::write(&path, &origin, &rows).unwrap();
    assert_eq!(best(), (true, 0.6));
}

#[test]
fn problems_are_never_pooled() {
    let trial = |arm, seed, accuracy, net| Trial { net, ..Trial::new(arm, seed, accuracy, 2.0) };
    let (folder, found) = results(&[
        trial("sgd", 1, 0.9, "mlp"),
        trial("sgd", 1, 0.3, "lenet"),
        trial("nkfac", 1, 0.8, "mlp"),
        trial("nkfac", 1, 0.4, "lenet"),
    ]);
    let tables = Tables::new(&found).unwrap();
    let rows: Vec<String> =
        tables.csv().unwrap().lines().map(|line| line.split(',').take(4).collect::<Vec<_>>().join(",")).collect();
    let expected =
        ["label,seeds,diverged,final_accuracy", "sgd,1,0,0.9", "nkfac,1,0,0.8", "sgd,1,0,0.3", "nkfac,1,0,0.4"];
    assert_eq!(rows, expected);
    assert!(tables.terminal(None).contains("digits, lenet\narm "), "{}", tables.terminal(None));
    let compared = Comparison::of_each_problem(&found, "sgd", "nkfac").unwrap();
    let ahead: Vec<_> =
        compared.iter().map(|(name, of)| (name.as_deref().unwrap(), of.differences[0].paired.mean.round())).collect();
    assert_eq!(ahead, [("digits, mlp", 10.0), ("digits, lenet", -10.0)]);
    render(&folder.path().join(FOLDER), &found, &["pareto".to_owned()], Style::default()).unwrap();
    let svg = fs::read_to_string(folder.path().join(FOLDER).join("pareto.svg")).unwrap();
    // Each has its own axis.
    assert_eq!(svg.matches(">final test accuracy (%)<").count(), 2);
    assert!(svg.contains(">digits, mlp<") && svg.contains(">digits, lenet<"));
}

#[test]
fn arms_are_chosen_and_renamed_and_keep_their_colours() {
    let choose = |only: &[&str], labels: &[(&str, &str)]| {
        let (_folder, found) = results(&arms());
        let only: Vec<String> = only.iter().map(|&arm| arm.to_owned()).collect();
        let labels: Vec<_> = labels.iter().map(|&(old, new)| (old.to_owned(), new.to_owned())).collect();
        found.choose(&only, &labels)
    };
    let chosen = choose(&["nkfac"], &[("nkfac", "NKFAC (ours)")]).unwrap();
    let frame = ALL[0].query(&chosen).unwrap();
    assert_eq!(super::super::texts(&frame, "label").unwrap()[0], "NKFAC (ours)");
    assert_eq!((counts(&frame, "arm").unwrap()[0], frame.height()), (1, 4), "the second colour, and no other line");
    let refused = |only: &[&str], labels: &[(&str, &str)]| choose(only, labels).err().unwrap().to_string();
    assert_eq!(refused(&["nkfca"], &[]), "no arm is called `nkfca` here\nhint: did you mean `nkfac`?");
    assert!(refused(&[], &[("sgd", "nkfac")]).starts_with("two arms would be called `nkfac`"));
}

#[test]
fn other_styles_do_not_overwrite_each_other() {
    let (folder, found) = results(&arms());
    let found = found.with(View { all: true, error: true });
    let draw = |style| render(folder.path(), &found, &["pareto".to_owned()], style).unwrap()[0].clone();
    let one = draw(Style { width: COLUMN, theme: Theme::Dark });
    let other = draw(Style { width: COLUMN, theme: Theme::Light });
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!([name(&one), name(&other)], ["pareto-column-dark-all-error.svg", "pareto-column-all-error.svg"]);
    assert!(fs::read_to_string(one).unwrap().contains("final test error (%)"));
}

#[test]
fn colours_are_arms_and_dashes_are_points() {
    let swept = [r#"{"schedule.lr":0.1}"#, r#"{"schedule.lr":0.5}"#];
    let mut trials: Vec<Trial> = ["late", "early"]
        .into_iter()
        .flat_map(|arm| swept.map(|swept| Trial::new(arm, 1, 0.5, 1.0).swept(swept)))
        .collect();
    trials.remove(2);
    let (_folder, mut found) = results(&trials);
    // The file names them the other way round.
    found.results.arms.reverse();
    let found = Data::new(found.results).unwrap().with(View { all: true, error: false });
    let frame = ALL[0].query(&found).unwrap();
    let place = |name: &str| counts(&frame, name).unwrap();
    let mut looks: Vec<(String, usize, usize)> = super::super::texts(&frame, "label")
        .unwrap()
        .into_iter()
        .zip(place("arm").into_iter().zip(place("point")))
        .map(|(label, (arm, point))| (label, arm, point))
        .collect();
    looks.dedup();
    let expected =
        [("early, schedule.lr = 0.5", 0, 1), ("late, schedule.lr = 0.1", 1, 0), ("late, schedule.lr = 0.5", 1, 1)];
    assert_eq!(looks, expected.map(|(label, arm, point)| (label.to_owned(), arm, point)));
}

#[test]
fn dark_figures_are_light_on_dark_and_narrow_ones_narrow() {
    let (folder, found) = results(&arms());
    let style = Style { width: COLUMN, theme: Theme::Dark };
    render(&folder.path().join(FOLDER), &found, &["curves".to_owned()], style).unwrap();
    let svg = fs::read_to_string(folder.path().join(FOLDER).join("curves-column-dark.svg")).unwrap();
    assert!(svg.contains("width=\"243pt\"") && svg.contains("fill=\"#15181c\"") && !svg.contains("#ffffff"), "{svg}");
}

/// Every text of an SVG that does not run upwards: where it begins and ends.
fn texts(svg: &str) -> Vec<(String, f64, f64)> {
    let attribute =
        |tag: &str, name: &str| tag.split_once(name).unwrap().1.split(['"', ' ']).next().unwrap().to_owned();
    let text = |piece: &str| {
        let (tag, text) = piece.split_once('>').unwrap();
        let x: f64 = attribute(tag, "translate(").parse().unwrap();
        let text = text.split_once("</text>").unwrap().0.to_owned();
        let width = ink::text_width(&text);
        let start = match attribute(tag, "text-anchor=\"").as_str() {
            "start" => x,
            "middle" => x - width / 2.0,
            _ => x - width,
        };
        (text, start, start + width)
    };
    svg.split("<text ").skip(1).filter(|piece| !piece.contains("rotate")).map(text).collect()
}

#[test]
fn long_names_are_shortened_apart_and_stay_within_the_picture() {
    let long = "sgd, lr = 0.05, wd = 5e-4, momentum = 0.5, batch = 32, warm-up = 5, no augmentation at all, ";
    let leak = |text: String| -> &'static str { text.leak() };
    let names = [leak(format!("{long}one")), leak(format!("{long}two")), leak("x_".repeat(200)), "sgd"];
    let swept = r#"{"optimizer.precondition.inverter":{"kind":"newton","steps":3,"exact_until":0,"exact_every":500},"dtype":"f64"}"#;
    let trials = names.into_iter().flat_map(|name| {
        [
            Trial::new(name, 1, 0.5, 1.0),
            Trial::new(name, 1, 0.6, 1.0).swept(swept),
            Trial::new(name, 2, 0.7, 1.0).diverged(),
        ]
    });
    let data = results(&trials.collect::<Vec<_>>()).1;
    for figure in ALL {
        for width in [PAGE, COLUMN] {
            let name = figure.entry().name;
            let texts = texts(&svg(&draw(*figure, &data, width).unwrap(), Theme::Light));
            for (text, start, end) in &texts {
                // The digits of a tick at the very end may hang over by less than a point.
                assert!(*start >= -1.0 && *end <= width + 1.0, "{name} at {width}: `{text}` from {start} to {end}");
            }
            if ["curves", "pareto", "step-times", "phases", "time-to-target"].contains(&name) {
                let shown: Vec<&String> =
                    texts.iter().map(|(text, ..)| text).filter(|text| text.starts_with("sgd")).collect();
                let different: std::collections::BTreeSet<_> = shown.iter().collect();
                assert!(shown.iter().any(|text| *text == "sgd" || text.starts_with("sgd (")), "{name}: {shown:?}");
                assert_eq!(different.len(), shown.len(), "{name} at {width}: {shown:?}");
            }
        }
    }
}
