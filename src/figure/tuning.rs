//! What a search tried: the goal on the validation set against each searched value.

use polars::prelude::*;

use super::ink::style::{INK, Look};
use super::ink::{Canvas, Grid, Legend, Panel, Scale};
use super::{Data, Figure, counts, goal, group, looks, numbers, table, texts, trial};
use crate::catalog::Entry;
use crate::record::{Goal, Status};

/// A row for each arm, a panel for each searched key, a mark for each configuration that was tried, a ring around the chosen one.
pub struct Tuning;

impl Figure for Tuning {
    fn entry(&self) -> Entry {
        Entry {
            name: "tuning",
            help: "validation accuracy or loss against each searched value, the chosen configuration ringed",
            example: "nkfac-bench figure experiments/tuned.toml tuning",
        }
    }

    fn of<'a>(&self, data: &'a Data) -> &'a Data {
        data.tuning.as_deref().unwrap_or(data)
    }

    /// `arm, point, name, key, value, goal, score, chosen`: a row for each tuning trial that finished and each key with numbers that was searched in its
    /// arm; `score` is on the validation set after the last epoch.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let searched = group::searched(data);
        let states = data.results.trials.column("status")?.str()?;
        // The epochs to the target come first where a search is by them.
        let merit = |place: usize| {
            let sums = &data.sums[place];
            let score = sums.last_validation().filter(|_| states.get(place) == Some(Status::Finished.name()))?;
            let by_target = data.trials[place].config.get("search.by").is_some_and(|by| by == "target");
            Some((sums.epochs_to_target().filter(|_| by_target).unwrap_or(f64::INFINITY), score))
        };
        let order = |a: (f64, f64), b: (f64, f64)| b.0.total_cmp(&a.0).then_with(|| data.goal.order(a.1, b.1));
        let mut best: Vec<(&str, (f64, f64))> = Vec::new();
        for tried in &searched {
            let Some(merit) = merit(tried.place) else { continue };
            match best.iter_mut().find(|(arm, _)| *arm == tried.arm) {
                Some((_, best)) if order(*best, merit).is_lt() => *best = merit,
                Some(_) => {}
                None => best.push((tried.arm, merit)),
            }
        }
        let rows: Vec<_> = searched.iter().filter_map(|tried| Some((tried, merit(tried.place)?))).collect();
        let is_chosen = |arm: &str, merit: (f64, f64)| best.contains(&(arm, merit));
        df!(
            "arm" => rows.iter().map(|(tried, _)| tried.rank as u32).collect::<Vec<_>>(),
            "point" => vec![0u32; rows.len()],
            "name" => rows.iter().map(|(tried, _)| tried.arm).collect::<Vec<_>>(),
            "key" => rows.iter().map(|(tried, _)| trial::short(tried.key)).collect::<Vec<_>>(),
            "value" => rows.iter().map(|(tried, _)| tried.value).collect::<Vec<_>>(),
            "goal" => vec![data.goal.metric.name(); rows.len()],
            "score" => rows.iter().map(|(_, (_, score))| *score).collect::<Vec<_>>(),
            "chosen" => rows.iter().map(|(tried, merit)| is_chosen(tried.arm, *merit)).collect::<Vec<_>>()
        )
    }

    fn draw(&self, frame: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        if frame.height() == 0 {
            return Ok(Canvas::notice(width, "No search was made: `[search]` in the experiment's file asks for one."));
        }
        let tried = Tried::new(frame)?;
        let mut panels: Vec<(usize, &str)> =
            tried.arms.iter().copied().zip(tried.keys.iter().map(String::as_str)).collect();
        panels.sort_unstable();
        panels.dedup();
        let of_arms: Vec<usize> = panels.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).collect();
        let grid = Grid::of_rows(width, of_arms.iter().copied().max().unwrap_or(1));
        let places = grid.places(of_arms);
        let below = grid.below(places.last().map_or(1, |last| last + 1));
        let note = "a mark for each configuration; ring: the best of its arm on the validation set, which is run again"
            .to_owned();
        let legend = Legend::new(Vec::new(), Some(note), width);
        let mut canvas = Canvas::new(width, below + legend.height());
        for (&(arm, key), &place) in panels.iter().zip(&places) {
            let rows: Vec<usize> =
                (0..frame.height()).filter(|&row| (tried.arms[row], tried.keys[row].as_str()) == (arm, key)).collect();
            let of = |values: &[f64]| rows.iter().map(|&row| values[row]).collect::<Vec<f64>>();
            let panel = Panel {
                frame: grid.frame(place),
                x: Scale::fitting(&of(&tried.values)),
                y: Scale::around(&tried.scores),
            };
            panel.axes(
                &mut canvas,
                &format!("{}: {key}", tried.names[rows[0]]),
                &tried.goal.head(&format!("validation {}", tried.goal.title)),
            );
            rows.iter().for_each(|&row| tried.mark(&mut canvas, &panel, row));
        }
        legend.draw(&mut canvas, (width / 2.0, below));
        Ok(canvas)
    }
}

/// The frame's columns.
struct Tried {
    looks: Vec<Look>,
    arms: Vec<usize>,
    names: Vec<String>,
    keys: Vec<String>,
    values: Vec<f64>,
    goal: Goal,
    /// In the goal's unit.
    scores: Vec<f64>,
    chosen: Vec<bool>,
}

impl Tried {
    fn new(frame: &DataFrame) -> PolarsResult<Self> {
        let goal = goal(frame)?;
        Ok(Self {
            goal,
            looks: looks(frame)?,
            arms: counts(frame, "arm")?,
            names: texts(frame, "name")?,
            keys: texts(frame, "key")?,
            values: numbers(frame, "value")?,
            scores: numbers(frame, "score")?.into_iter().map(|score| goal.units * score).collect(),
            chosen: frame.column("chosen")?.bool()?.iter().map(|chosen| chosen == Some(true)).collect(),
        })
    }

    fn mark(&self, canvas: &mut Canvas, panel: &Panel, row: usize) {
        let point = (self.values[row], self.scores[row]);
        panel.mark(canvas, point, &self.looks[row]);
        if self.chosen[row] {
            let (x, y) = panel.at(point);
            let corner = |i: u32| {
                let angle = std::f64::consts::TAU * f64::from(i) / 32.0;
                (x + 5.0 * angle.sin(), y - 5.0 * angle.cos())
            };
            canvas.line((0..=32).map(corner).collect(), INK, 1.0, &[]);
        }
        let told = self.goal.with_unit(&table::digits(self.scores[row]));
        panel.hover(canvas, point, format!("{}: {} = {}: {told}", self.names[row], self.keys[row], self.values[row]));
    }
}
