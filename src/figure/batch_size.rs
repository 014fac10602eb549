//! What larger batches are worth.

use polars::prelude::*;

use super::gather::{self, Lines, Member};
use super::ink::{Canvas, Grid, Key, Legend, Panel, Point, Scale, Swatch};
use super::time_to_target::{reach, target};
use super::{Data, Figure, counts, goal, group, looks, numbers, table, texts};
use crate::catalog::Entry;
use crate::record::Scope;
use crate::stats;

/// Steps and seconds to the target by the size of the batch (Shallue et al. 2019): where more examples a step still save steps.
pub struct BatchSize;

impl Figure for BatchSize {
    fn entry(&self) -> Entry {
        Entry {
            name: "batch-size",
            help: "steps and training time until the target is reached on the test set, by the size of the batch",
            example: "nkfac-bench figure results/batch-size batch-size",
        }
    }

    /// `line, label, arm, point, at, seeds, goal, target, steps, seconds`, a row for each line and batch size `at` where that is swept. `steps` and
    /// `seconds`: medians over seeds; none where less than half of them reached the target.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let lines = Lines::new(&group::lines(data, Some("batch"))?)?;
        let members = lines.members(data)?;
        let (target, _) = target(data)?;
        let groups: Vec<&[Member]> = gather::groups(&members).filter(|group| group[0].at.is_some()).collect();
        let (mut steps, mut seconds) = (Vec::new(), Vec::new());
        for group in &groups {
            let ways = group.iter().map(|member| way(data, member, target)).collect::<PolarsResult<Vec<_>>>()?;
            for (medians, of) in [(&mut steps, 0), (&mut seconds, 1)] {
                let median = stats::median(&ways.iter().map(|way| way[of]).collect::<Vec<_>>());
                medians.push(median.is_finite().then_some(median));
            }
        }
        let of = |of: fn(&Member) -> u32| groups.iter().map(|group| of(&group[0])).collect::<Vec<_>>();
        df!(
            "line" => of(|member| member.line),
            "label" => groups.iter().map(|group| group[0].label).collect::<Vec<_>>(),
            "arm" => of(|member| member.arm),
            "point" => of(|member| member.point),
            "at" => groups.iter().map(|group| group[0].at).collect::<Vec<_>>(),
            "seeds" => groups.iter().map(|group| group.len() as u32).collect::<Vec<_>>(),
            "goal" => vec![data.goal.metric.name(); groups.len()],
            "target" => vec![target; groups.len()],
            "steps" => steps,
            "seconds" => seconds
        )
    }

    fn draw(&self, frame: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let batches = numbers(frame, "at")?;
        if batches.iter().all(|batch| *batch == batches[0]) {
            return Ok(Canvas::notice(width, "No batch size was swept: `batch = [32, 128, 512]` under [sweep] does."));
        }
        let (lines, labels, looks) = (counts(frame, "line")?, texts(frame, "label")?, looks(frame)?);
        let goal = goal(frame)?;
        let target = goal.reached(&table::digits(goal.units * numbers(frame, "target")?[0]));
        // Each line's first row.
        let mut firsts: Vec<usize> = (0..lines.len()).collect();
        firsts.dedup_by_key(|row| lines[*row]);
        let key = |&row: &usize| Key { swatch: Swatch::Line(looks[row]), text: labels[row].clone() };
        let caption = "medians over seeds, where half of them reached it".to_owned();
        let legend = Legend::new(firsts.iter().map(key).collect(), Some(caption), width);
        let grid = Grid::new(width, 2);
        let below = grid.below(2);
        let mut canvas = Canvas::new(width, below + legend.height());
        for (i, (column, unit)) in [("steps", "steps"), ("seconds", "seconds")].into_iter().enumerate() {
            let values = numbers(frame, column)?;
            let panel = Panel { frame: grid.frame(i), x: Scale::logarithmic(&batches), y: Scale::logarithmic(&values) };
            panel.axes(&mut canvas, "batch size", &format!("{unit} to {target}"));
            for &first in &firsts {
                let of_line = (first..lines.len()).take_while(|&row| lines[row] == lines[first]);
                let points: Vec<Point> =
                    of_line.map(|row| (batches[row], values[row])).filter(|point| point.1.is_finite()).collect();
                panel.line(&mut canvas, &points, &looks[first]);
                for &point in &points {
                    panel.mark(&mut canvas, point, &looks[first]);
                    let value = table::digits(point.1);
                    panel.hover(&mut canvas, point, format!("{}, {} a step: {value} {unit}", labels[first], point.0));
                }
            }
        }
        legend.draw(&mut canvas, (width / 2.0, below));
        Ok(canvas)
    }
}

/// Steps and seconds of a trial to the target; infinite if it ended before.
fn way(data: &Data, member: &Member<'_>, target: f64) -> PolarsResult<[f64; 2]> {
    let tested = gather::of(data, member)?.filter(|row| row.is(&Scope::Test, data.goal.metric));
    let curve: Vec<[f64; 3]> = tested.map(|row| [row.step as f64, row.seconds, row.value]).collect();
    Ok(match reach(&curve, target, data.goal) {
        ("reached", steps, seconds) if member.finished => [steps, seconds],
        _ => [f64::INFINITY; 2],
    })
}
