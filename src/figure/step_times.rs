//! How the times of single steps are distributed: refreshes of inverses are rare and long.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use polars::prelude::*;

use super::gather::{Lines, Member};
use super::ink::{Canvas, Grid, Key, Legend, Panel, Scale, Swatch};
use super::{Data, Figure, counts, looks, summary, table, texts};
use crate::catalog::Entry;
use crate::stats;

/// By line and by the bits of the share, the largest first: one of the line's trials, and the milliseconds of each.
type Times<'a> = BTreeMap<(u32, Reverse<u64>), (&'a Member<'a>, Vec<f64>)>;

/// For each line the share of steps that take so long or longer, both axes logarithmic, so that a step in a thousand is seen.
pub struct StepTimes;

impl Figure for StepTimes {
    fn entry(&self) -> Entry {
        Entry {
            name: "step-times",
            help: "the distribution of the times of single steps",
            example: "nkfac-bench figure results/quickstart step-times",
        }
    }

    /// `line, label, arm, point, share, milliseconds, seeds, left_out`: `share` of a line's steps take so long or longer, the mean over finished
    /// trials.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let lines = summary::leading(data)?;
        let left_out = summary::left_out(&lines)?;
        let lines = Lines::new(&lines)?;
        let members = lines.members(data)?;
        let finished = members.iter().filter(|trial| trial.finished).map(|trial| (trial.place, trial));
        let of_trial: HashMap<usize, &Member> = finished.collect();
        let steps = &data.results.steps;
        let (trials, shares) = (steps.column("trial")?.str()?, steps.column("share")?.f64()?);
        // Shares are above zero, so their bits are in their order.
        let mut times: Times<'_> = BTreeMap::new();
        for ((trial, share), seconds) in trials.iter().zip(shares.iter()).zip(steps.column("seconds")?.f64()?.iter()) {
            let (Some(trial), Some(share), Some(seconds)) = (trial, share, seconds) else { continue };
            if let Some(member) = data.places.get(trial).and_then(|place| of_trial.get(place)) {
                let key = (member.line, Reverse(share.to_bits()));
                times.entry(key).or_insert_with(|| (member, Vec::new())).1.push(1e3 * seconds);
            }
        }
        df!(
            "line" => times.keys().map(|key| key.0).collect::<Vec<_>>(),
            "label" => times.values().map(|(member, _)| member.label).collect::<Vec<_>>(),
            "arm" => times.values().map(|(member, _)| member.arm).collect::<Vec<_>>(),
            "point" => times.values().map(|(member, _)| member.point).collect::<Vec<_>>(),
            "share" => times.keys().map(|key| f64::from_bits(key.1.0)).collect::<Vec<_>>(),
            "milliseconds" => times.values().map(|(_, times)| stats::mean(times)).collect::<Vec<_>>(),
            "seeds" => times.values().map(|(_, times)| times.len() as u32).collect::<Vec<_>>(),
            "left_out" => vec![left_out; times.len()]
        )
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let (lines, labels) = (counts(numbers, "line")?, texts(numbers, "label")?);
        let looks = looks(numbers)?;
        let (shares, times) = (super::numbers(numbers, "share")?, super::numbers(numbers, "milliseconds")?);
        if times.is_empty() {
            return Ok(Canvas::notice(width, "No trial has finished and told the times of its steps."));
        }
        let points: Vec<(usize, f64, f64)> = (0..lines.len()).map(|i| (i, times[i], 100.0 * shares[i])).collect();
        let curves: Vec<&[(usize, f64, f64)]> = points.chunk_by(|a, b| lines[a.0] == lines[b.0]).collect();
        let key = |curve: &&[(usize, f64, f64)]| {
            let first = curve[0].0;
            Key { swatch: Swatch::Line(looks[first]), text: labels[first].clone() }
        };
        let keys = curves.iter().map(key).collect();
        let legend = Legend::new(keys, summary::caption(numbers, Some("means over seeds".into()))?, width);
        let grid = Grid::new(width, 1);
        let below = grid.below(1);
        let mut canvas = Canvas::new(width, below + legend.height());
        let percent: Vec<f64> = points.iter().map(|point| point.2).collect();
        let panel = Panel { frame: grid.frame(0), x: Scale::fitting(&times), y: Scale::fitting(&percent) };
        panel.axes(&mut canvas, "time of a step (ms)", "steps as long or longer (%)");
        for curve in curves {
            let look = looks[curve[0].0];
            let path: Vec<(f64, f64)> = curve.iter().map(|&(_, time, share)| (time, share)).collect();
            panel.line(&mut canvas, &path, &look);
            for &(i, time, share) in curve {
                panel.mark(&mut canvas, (time, share), &look);
                let text = format!("{}: {share} % of steps take {} ms or longer", labels[i], table::digits(time));
                panel.hover(&mut canvas, (time, share), text);
            }
        }
        legend.draw(&mut canvas, (width / 2.0, below));
        Ok(canvas)
    }
}
