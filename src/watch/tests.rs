//! Sweeps at moments that are unlike each other, as numbers and as they are drawn.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use serde_json::json;

use super::{Curve, Found, Line, Screen, View, draw, notice};
use crate::record::{Goal, Metric, Milestone};
use crate::runner::{Entry, Pace, Progress, Standing, left, running};

/// A trial of 4 epochs that has so many behind it, one every 10 seconds.
fn trial(arm: &str, seed: u64, standing: Standing, epochs: u32) -> Found {
    let milestone = |epoch| Milestone {
        epoch,
        train_loss: 1.0 / f64::from(epoch),
        test: 0.2 * f64::from(epoch) + 0.01 * seed as f64,
        metric: Metric::Accuracy,
    };
    let milestones: Vec<Milestone> = (1..=epochs).map(milestone).collect();
    let seconds = f64::from(epochs) * 10.0;
    let has_begun = matches!(standing, Standing::Running | Standing::Stopped);
    let (steps, step) = (5, epochs as usize * 5);
    let progress =
        Progress { epochs: 4, step, steps, seconds, max_seconds: None, wall: seconds, milestones: milestones.clone() };
    Found {
        entry: Entry {
            trial: format!("{arm}{seed}"),
            arm: arm.into(),
            swept: vec![("seed".into(), json!(seed))],
            seed: Some(seed),
            standing,
            started: (standing != Standing::Waiting).then_some(1000.0 + 100.0 * seed as f64),
            seconds: (standing != Standing::Waiting).then_some(seconds),
            test: milestones.last().map(|last| (Goal::ACCURACY, last.test)),
            note: "on a machine".into(),
        },
        epochs: Some(4),
        milestones: milestones.into(),
        progress: has_begun.then_some(progress),
        cost: 1.0,
        took: (standing == Standing::Finished).then_some(seconds),
    }
}

/// One of everything.
fn sweep() -> Vec<Found> {
    vec![
        trial("nkfac", 1, Standing::Finished, 4),
        trial("nkfac", 2, Standing::Running, 2),
        trial("nkfac", 3, Standing::Waiting, 0),
        trial("sgd", 1, Standing::Diverged, 1),
        trial("sgd", 2, Standing::Stopped, 1),
        trial("sgd", 3, Standing::Failed, 0),
    ]
}

/// Seconds until all of it is done.
fn seconds_left(found: &[Found]) -> Option<f64> {
    let paces: Vec<Pace<'_>> = found.iter().map(Found::pace).collect();
    left(&paces, running(&paces)).map(|left| left.seconds)
}

fn close(one: Option<f64>, other: f64) {
    assert!(one.is_some_and(|one| (one - other).abs() < 1e-9), "{one:?} is not {other}");
}

#[test]
fn a_screen_says_how_everything_stands() {
    let screen = Screen::new(&sweep(), &[], 1300.0);
    assert_eq!(screen.counts, Standing::ALL[..6].iter().map(|standing| (1, *standing)).collect::<Vec<_>>());
    assert_eq!((screen.elapsed, screen.epochs), (Some(200.0), 4));
    let rows: Vec<(usize, u64, &str, u32)> =
        screen.rows.iter().map(|row| (row.line, row.seed.unwrap(), row.standing.name(), row.epoch)).collect();
    let expected = [
        (0, 2, "running", 2),
        (1, 2, "stopped", 1),
        (1, 3, "failed", 0),
        (0, 1, "finished", 4),
        (1, 1, "diverged", 1),
        (0, 3, "waiting", 0),
    ];
    assert_eq!(rows, expected);
    assert_eq!(screen.rows[0].seconds, Some(20.0), "training seconds, not those of the wall");
    let Line { label, test, loss, .. } = &screen.lines[0];
    assert_eq!((label.as_str(), loss.len()), ("nkfac", 4));
    let rounded: Vec<f64> = test.iter().map(|(_, test)| (test * 1e6).round() / 1e6).collect();
    assert_eq!(rounded, [0.215, 0.415, 0.61, 0.81], "two seeds, then the one that went on");
    assert_eq!(screen.lines[1].test.len(), 1);
    close(Some(screen.lines[1].test[0].1), 0.22);
    let over = Screen::new(&sweep()[..1], &[], 9999.0);
    assert_eq!((over.elapsed, over.left.map(|left| left.seconds)), (Some(40.0), Some(0.0)), "nothing runs");
    assert_eq!(Screen::new(&[], &[], 1.0).elapsed, None);
}

#[test]
fn points_of_the_sweep_are_lines_and_arms_come_as_they_started() {
    let mut found = vec![trial("late", 2, Standing::Finished, 1), trial("early", 1, Standing::Finished, 1)];
    for (seed, damping) in [(3, 0.1), (4, 0.01)] {
        let mut trial = trial("late", seed, Standing::Finished, 1);
        trial.entry.swept.push(("optimizer.precondition.damping.factor".into(), json!(damping)));
        trial.entry.swept.push(("batch".into(), json!(64)));
        found.push(trial);
    }
    let screen = Screen::new(&found, &[], 0.0);
    let labels: Vec<&str> = screen.lines.iter().map(|line| line.label.as_str()).collect();
    assert_eq!(labels, ["early", "late", "late, damping.factor = 0.01", "late, damping.factor = 0.1"]);
}

#[test]
fn the_time_left_is_what_trials_took_and_what_others_have_to_compute() {
    // 20 s of the running one; 40 s of its arm's; 30 s of the stopped one, which has told one epoch. One at a time.
    close(seconds_left(&sweep()), 90.0);
    // Three at a time, but one alone takes 40 s.
    let mut busy = sweep();
    for i in [2, 4] {
        busy[i].entry.standing = Standing::Running;
    }
    close(seconds_left(&busy), 40.0);
    // Another arm that is twice as dear, of which nobody knows anything but that.
    let mut dear = trial("kfac", 1, Standing::Waiting, 0);
    dear.cost = 2.0;
    close(seconds_left(&[trial("sgd", 1, Standing::Finished, 4), dear.clone()]), 80.0);
    let own = trial("kfac", 2, Standing::Finished, 1);
    close(seconds_left(&[trial("sgd", 1, Standing::Finished, 4), own, dear.clone()]), 20.0);
    // A diverged trial ends early, so it tells nothing.
    assert_eq!(seconds_left(&[trial("kfac", 1, Standing::Diverged, 1), dear]), None);
    assert_eq!(seconds_left(&[trial("kfac", 1, Standing::Running, 0)]), None);
    assert_eq!(seconds_left(&[]), Some(0.0));
}

/// The lines of a terminal with the sweep on it, and the view that is left.
fn drawn(found: &[Found], (width, height): (u16, u16), mut view: View) -> (Vec<String>, View) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let screen = Screen::new(found, &[], 1300.0);
    terminal.draw(|frame| draw(frame, "inverters", &screen, &mut view)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    ((0..height).map(line).collect(), view)
}

#[test]
fn a_terminal_of_80_by_24_shows_all_of_it() {
    let (lines, _) = drawn(&sweep(), (80, 24), View::default());
    assert_eq!(
        lines[..10],
        [
            "inverters  1 finished · 1 diverged · 1 running · 1 stopped · 1 failed · 1 waiting",
            "3 min 20 s so far · 1 min 30 s left",
            " trials ────────────────────────────────────────────────────────────────────────",
            "  trial seed state        epoch  accuracy   seconds",
            "■ nkfac    2 running        2/4   42.00 %      20.0 on a machine",
            "■ sgd      2 stopped        1/4   22.00 %      10.0 on a machine",
            "■ sgd      3 failed         0/4                     on a machine",
            "■ nkfac    1 finished       4/4   81.00 %      40.0 on a machine",
            "■ sgd      1 diverged       1/4   21.00 %      10.0 on a machine",
            "■ nkfac    3 waiting        0/4                     on a machine",
        ]
        .map(|line| line.chars().take(80).collect::<String>())
    );
    let text = lines.join("\n");
    assert!(text.contains(" test accuracy (%) by epoch, mean of seeds  ■ nkfac  ■ sgd "), "{text}");
    assert!(text.contains('⠉') || text.contains('⠊') || text.contains('⡠'), "there is a curve: {text}");
    assert!(lines[23].starts_with("q quit"), "{text}");
    let (loss, _) = drawn(&sweep(), (80, 24), View { curve: Curve::Loss, top: 0 });
    assert!(loss.join("\n").contains(" training loss by epoch, mean of seeds"));
    let (waiting, _) = drawn(&sweep()[2..3], (80, 24), View::default());
    assert!(waiting.join("\n").contains("no epoch has ended yet"), "{waiting:?}");
    assert_eq!(waiting[1], "not begun · time left is known after the first steps");
}

#[test]
fn colours_are_arms_in_the_order_of_the_file() {
    let mut found = sweep();
    found[0].entry.swept.push(("schedule.lr".into(), json!(0.1)));
    let arms = ["sgd".to_owned(), "nkfac".to_owned()];
    let screen = Screen::new(&found, &arms, 1300.0);
    let colours: Vec<(&str, usize)> = screen.lines.iter().map(|line| (line.label.as_str(), line.arm)).collect();
    assert_eq!(colours[0], ("sgd", 0));
    assert!(colours[1..].iter().all(|(label, arm)| label.starts_with("nkfac") && *arm == 1), "{colours:?}");
}

#[test]
fn lines_have_the_colours_of_the_figures() {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let screen = Screen::new(&sweep(), &[], 1300.0);
    terminal.draw(|frame| draw(frame, "inverters", &screen, &mut View::default())).unwrap();
    let color = |y| terminal.backend().buffer()[(0, y)].fg;
    // #0072b2 and #d55e00 are nearest to #005faf and #d75f00 of the cube.
    assert_eq!([4, 5].map(color), [Color::Indexed(25), Color::Indexed(166)]);
}

#[test]
fn a_swept_arm_has_one_colour_and_a_dash_for_each_value() {
    let mut found = Vec::new();
    for arm in ["sgd", "nkfac"] {
        for (seed, rate) in [(1, 0.1), (2, 0.5), (3, 0.3)] {
            let mut trial = trial(arm, seed, Standing::Finished, 4);
            trial.entry.swept.push(("schedule.lr".into(), json!(rate)));
            found.push(trial);
        }
    }
    found.remove(0);
    let arms = ["sgd".to_owned(), "nkfac".to_owned()];
    let screen = Screen::new(&found, &arms, 1300.0);
    let looks: Vec<(&str, usize, usize)> =
        screen.lines.iter().map(|line| (line.label.as_str(), line.arm, line.point)).collect();
    let expected = [
        ("sgd, schedule.lr = 0.3", 0, 1),
        ("sgd, schedule.lr = 0.5", 0, 2),
        ("nkfac, schedule.lr = 0.1", 1, 0),
        ("nkfac, schedule.lr = 0.3", 1, 1),
        ("nkfac, schedule.lr = 0.5", 1, 2),
    ];
    assert_eq!(looks, expected);
    let (lines, _) = drawn(&found, (100, 30), View::default());
    let text = lines.join("\n");
    for sign in ["■ nkfac, schedule.lr = 0.1", "╍ nkfac, schedule.lr = 0.3", "┈ sgd, schedule.lr = 0.5"] {
        assert!(text.contains(sign), "{text}");
    }
}

#[test]
fn trials_that_are_judged_differently_are_shown_one_after_the_other() {
    let mut found = vec![trial("sgd", 1, Standing::Finished, 4)];
    let mut text = trial("adamw", 1, Standing::Finished, 4);
    let milestones = text.milestones.iter().map(|at| Milestone { test: 2.0, metric: Metric::Loss, ..*at });
    text.milestones = milestones.collect();
    found.push(text);
    let of = |curve| drawn(&found, (100, 24), View { curve, top: 0 }).0.join("\n");
    let (first, second) = (of(Curve::Test(0)), of(Curve::Test(1)));
    let titles = ["test loss (nats) by epoch", "test accuracy (%) by epoch"];
    assert!(first.contains(titles[0]) && first.contains("Tab test accuracy (%)"), "{first}");
    assert!(second.contains(titles[1]) && second.contains("Tab training loss"), "{second}");
    for screen in [&first, &second] {
        assert!(screen.contains("2.0000 nats") && screen.contains("81.00 %") && screen.contains(" test "), "{screen}");
    }
    // Each in the table; of the other goal there is no curve, so no key to it.
    assert_eq!([first.matches("■ sgd").count(), second.matches("■ sgd").count()], [1, 2]);
}

#[test]
fn the_table_scrolls_as_far_as_there_are_trials() {
    let found: Vec<Found> = (1..=40).map(|seed| trial("sgd", seed, Standing::Finished, 1)).collect();
    let (lines, view) = drawn(&found, (80, 15), View { curve: Curve::Test(0), top: usize::MAX });
    // 15 lines less the head's two, the keys, the line above and the table's own head.
    assert_eq!((view.top, lines[2].starts_with(" trials 31–40 of 40 ")), (30, true), "{lines:?}");
    assert!(lines[13].starts_with("■ sgd   40 finished"), "{lines:?}");
    assert!(!lines.join("\n").contains("test accuracy (%)"), "there is no room for a chart");
}

#[test]
fn any_terminal_is_large_enough() {
    let mut long = sweep();
    long[0].entry.arm = "ärm ".repeat(50);
    long[1].milestones = [Milestone { epoch: 1, train_loss: 0.0, test: f64::NAN, metric: Metric::Accuracy }].into();
    for (width, height) in [1, 2, 7, 20, 60].into_iter().flat_map(|width| (1..30).map(move |height| (width, height))) {
        for curve in [Curve::Test(0), Curve::Loss] {
            for found in [&long[..], &[]] {
                let (lines, _) = drawn(found, (width, height), View { curve, top: 3 });
                assert_eq!(lines.len(), usize::from(height));
            }
        }
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| notice(frame, "inverters", "reading …")).unwrap();
    }
}
