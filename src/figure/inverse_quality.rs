//! Whether a good inverse makes a good net.

use polars::prelude::*;

use super::gather::{self, Lines, Member, Number};
use super::ink::{Canvas, Grid, Key, Legend, Panel, Scale, Swatch};
use super::{Data, Figure, counts, goal, looks, numbers, summary, table, texts};
use crate::catalog::Entry;
use crate::record::{Metric, Scope};
use crate::stats;

/// The final value of the goal on the test set against the residual of the inverses that were in use.
pub struct InverseQuality;

impl Figure for InverseQuality {
    fn entry(&self) -> Entry {
        Entry {
            name: "inverse-quality",
            help: "final test accuracy or loss against the residual of inverses while they are in use, of trials with `probe = true`",
            example: "nkfac-bench figure results/inverse-images inverse-quality",
        }
    }

    /// `line, label, arm, point, seeds, diverged, goal, final, low, high, residual, left_out`, of lines that were probed. `low` and `high`: the
    /// 95 % interval of the mean. `residual`: ‖I − ÃB‖_F/√n halfway between what it is just after a refresh and just before the next,
    /// medians over factors, refreshes and seeds.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let every = summary::every(data, None)?;
        let lines = Lines::new(&every)?;
        let members = lines.members(data)?;
        let mut ends = Vec::new();
        for group in gather::groups(&members) {
            ends.push(Ends::of(data, group)?);
        }
        let columns = ["line", "label", "arm", "point", "seeds", "diverged", "goal", "final", "left_out"];
        let mut frame = summary::by_line(data, &every)?.select(columns)?;
        for (name, of) in
            [("low", Ends::low as fn(&Ends) -> Option<f64>), ("high", Ends::high), ("residual", Ends::residual)]
        {
            let values: Vec<Option<f64>> = ends.iter().map(of).collect();
            frame.insert_column(frame.width() - 1, Column::new(name.into(), values))?;
        }
        frame.filter(&frame.column("residual")?.f64()?.is_not_null())
    }

    fn draw(&self, frame: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        if frame.height() == 0 {
            return Ok(Canvas::notice(width, "No trial was probed: `probe = true` measures every refresh."));
        }
        let goal = goal(frame)?;
        let shown = |name: &str| {
            numbers(frame, name).map(|all| all.into_iter().map(|value| goal.units * value).collect::<Vec<_>>())
        };
        let (values, low, high) = (shown("final")?, shown("low")?, shown("high")?);
        let (residuals, looks, labels) = (numbers(frame, "residual")?, looks(frame)?, texts(frame, "label")?);
        let (seeds, diverged) = (counts(frame, "seeds")?, counts(frame, "diverged")?);
        let key =
            |i: usize| Key { swatch: Swatch::Mark(looks[i]), text: summary::name(&labels[i], seeds[i], diverged[i]) };
        let caption = summary::over(&seeds).map(|seeds| format!("mean and its 95 % interval over {seeds}"));
        let legend = Legend::new((0..looks.len()).map(key).collect(), summary::caption(frame, caption)?, width);
        let grid = Grid::new(width, 1);
        let below = grid.below(1);
        let mut canvas = Canvas::new(width, below + legend.height());
        let all: Vec<f64> = values.iter().chain(&low).chain(&high).copied().collect();
        let panel = Panel { frame: grid.frame(0), x: Scale::logarithmic(&residuals), y: Scale::around(&all) };
        let name = goal.head(&format!("final test {}", goal.title));
        panel.axes(&mut canvas, "residual of inverses in use", &name);
        for (i, look) in looks.iter().enumerate() {
            let at = (residuals[i], values[i]);
            panel.whisker(&mut canvas, (at.0, low[i]), (at.0, high[i]), look);
            panel.mark(&mut canvas, at, look);
            let value = table::spread(at.1, f64::NAN, goal.decimals);
            panel.hover(&mut canvas, at, format!("{}: {name} {value} at a residual of {:.2e}", labels[i], at.0));
        }
        legend.draw(&mut canvas, (width / 2.0, below));
        Ok(canvas)
    }
}

/// What the trials of a line ended with, and the residuals of their inverses.
struct Ends {
    interval: Option<stats::Interval>,
    fresh: Vec<f64>,
    stale: Vec<f64>,
}

impl Ends {
    fn of(data: &Data, line: &[Member<'_>]) -> PolarsResult<Self> {
        let (mut finals, mut fresh, mut stale) = (Vec::new(), Vec::new(), Vec::new());
        for member in line.iter().filter(|member| member.finished) {
            finals.extend(data.sums[member.place].measures[0]);
            let of_factors = |row: &Number<'_>| !row.is_in(&Scope::Probe) && row.value.is_finite();
            for row in gather::of(data, member)?.filter(of_factors) {
                if row.is_a(Metric::Residual) {
                    fresh.push(row.value);
                } else if row.is_a(Metric::StaleResidual) {
                    stale.push(row.value);
                }
            }
        }
        Ok(Self { interval: stats::interval(&finals).map(|interval| interval.within(data.goal.range)), fresh, stale })
    }

    fn low(&self) -> Option<f64> {
        self.interval.map(|interval| interval.low)
    }

    fn high(&self) -> Option<f64> {
        self.interval.map(|interval| interval.high)
    }

    fn residual(&self) -> Option<f64> {
        let median = |values: &[f64]| (!values.is_empty()).then(|| stats::quantile(values, 0.5));
        Some(f64::midpoint(median(&self.fresh)?, median(&self.stale)?))
    }
}
