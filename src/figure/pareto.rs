//! What being good costs.

use polars::prelude::*;

use super::ink::style::FRAME;
use super::ink::{Canvas, Grid, Key, Legend, Panel, Scale, Swatch};
use super::{Data, Figure, counts, goal, looks, shows_error, summary, table, texts};
use crate::catalog::Entry;

/// The final value of the goal on the test set against training time, and the lines that no other beats in both.
pub struct Pareto;

impl Figure for Pareto {
    fn entry(&self) -> Entry {
        Entry {
            name: "pareto",
            help: "final test accuracy or loss against training time, and the front that nothing beats in both",
            example: "nkfac-bench figure results/quickstart pareto",
        }
    }

    /// `line, label, arm, point, seeds, diverged, goal, final, final_sd, train_seconds, train_seconds_sd, front, error, left_out`. `error`: the test error is drawn. `front`:
    /// no other line is at least as good in less time, or better in the same.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let columns = ["line", "label", "arm", "point", "seeds", "diverged", "goal", "final", "final_sd"];
        let columns = columns.into_iter().chain(["train_seconds", "train_seconds_sd", "left_out"]);
        let mut frame = summary::by_line(data, &summary::leading(data)?)?.select(columns)?;
        let points: Vec<(f64, f64)> =
            super::numbers(&frame, "train_seconds")?.into_iter().zip(super::numbers(&frame, "final")?).collect();
        let beats = |a: &(f64, f64), b: &(f64, f64)| a.0 <= b.0 && data.goal.reaches(a.1, b.1) && a != b;
        let front: Vec<bool> =
            points.iter().map(|point| point.0.is_finite() && !points.iter().any(|other| beats(other, point))).collect();
        frame.insert_column(frame.width() - 1, Column::new("front".into(), front))?;
        let error = vec![summary::shows_error(data, &frame)?; frame.height()];
        frame.insert_column(frame.width() - 1, Column::new("error".into(), error))?;
        Ok(frame)
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let column = |name: &str| super::numbers(numbers, name);
        let (seconds, seconds_sd) = (column("train_seconds")?, column("train_seconds_sd")?);
        let goal = goal(numbers)?;
        let shown =
            |name: &str| column(name).map(|all| all.into_iter().map(|value| goal.units * value).collect::<Vec<_>>());
        let (mut values, sds) = (shown("final")?, shown("final_sd")?);
        if values.iter().all(|value| value.is_nan()) {
            return Ok(Canvas::notice(width, "No trial has finished, so there is no trade-off to show."));
        }
        let error = shows_error(numbers)?;
        let (title, scale): (_, fn(&[f64]) -> Scale) = match error {
            true => (goal.gap.title, Scale::logarithmic),
            false => (goal.title, Scale::around),
        };
        let name = goal.head(&format!("final test {title}"));
        if error {
            values.iter_mut().for_each(|value| *value = goal.left_to_best(*value));
        }
        let (looks, labels) = (looks(numbers)?, texts(numbers, "label")?);
        let (seeds, diverged) = (counts(numbers, "seeds")?, counts(numbers, "diverged")?);
        let key = |i: usize| {
            let text = summary::name(&labels[i], seeds[i], diverged[i]);
            Key { swatch: Swatch::Mark(looks[i]), text }
        };
        let front: Vec<bool> = numbers.column("front")?.bool()?.iter().map(|front| front == Some(true)).collect();
        let has_front = front.iter().filter(|is_on| **is_on).count() > 1;
        let caption = [summary::spread(&seeds), has_front.then(|| "grey: the front".to_owned())];
        let caption = caption.into_iter().flatten().reduce(|spread, front| format!("{spread}; {front}"));
        let legend = Legend::new((0..looks.len()).map(key).collect(), summary::caption(numbers, caption)?, width);
        let grid = Grid::new(width, 1);
        let below = grid.below(1);
        let mut canvas = Canvas::new(width, below + legend.height());
        let ends = |means: &[f64], sds: &[f64]| -> Vec<f64> {
            let pairs = means.iter().zip(sds);
            pairs.flat_map(|(mean, sd)| [mean - sd.max(0.0), *mean, mean + sd.max(0.0)]).collect()
        };
        let (x, y) = (Scale::fitting(&ends(&seconds, &seconds_sd)), scale(&ends(&values, &sds)));
        let panel = Panel { frame: grid.frame(0), x, y };
        panel.axes(&mut canvas, "training time (s)", &name);
        let mut on_front: Vec<(f64, f64)> =
            (0..looks.len()).filter(|&i| front[i]).map(|i| (seconds[i], values[i])).collect();
        on_front.sort_by(|a, b| a.0.total_cmp(&b.0));
        canvas.line(on_front.iter().map(|&point| panel.at(point)).collect(), FRAME, 0.9, &[3.0, 2.0]);
        for (i, look) in looks.iter().enumerate() {
            let at = (seconds[i], values[i]);
            panel.whisker(&mut canvas, (at.0 - seconds_sd[i], at.1), (at.0 + seconds_sd[i], at.1), look);
            panel.whisker(&mut canvas, (at.0, at.1 - sds[i]), (at.0, at.1 + sds[i]), look);
            panel.mark(&mut canvas, at, look);
            let (value, time) = (table::spread(at.1, sds[i], goal.decimals), table::spread(at.0, seconds_sd[i], 1));
            panel.hover(&mut canvas, at, format!("{}: {name} {value} in {time} s", labels[i]));
        }
        legend.draw(&mut canvas, (width / 2.0, below));
        Ok(canvas)
    }
}
