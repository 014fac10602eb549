//! Test accuracy and training loss, by epoch and by seconds of training.

use polars::prelude::*;

use super::ink::style::{LEADING, Look, PAGE};
use super::ink::{Canvas, Entry as Key, Frame, Legend, Panel, Point, Scale, Swatch};
use super::{Drawing, Figure, counts, group, numbers, summary, texts};
use crate::catalog::Entry;
use crate::record::{Metric, Scope};

/// A line for each line of trials, with a band of one standard deviation.
pub struct Curves;

impl Figure for Curves {
    fn entry(&self) -> Entry {
        Entry {
            name: "curves",
            help: "test accuracy and training loss by epoch and by training time",
            example: "nkfac-bench figure results/quickstart curves",
        }
    }

    /// `line, label, seeds, diverged, metric, epoch, seconds, mean, sd`. `seconds` is the mean clock at the end of the epoch. A
    /// line that never finished has one row without numbers.
    fn query(&self, rows: &DataFrame) -> PolarsResult<DataFrame> {
        let lines = group::lines(rows, None)?;
        let shown = summary::is(&Scope::Test, Metric::Accuracy).or(summary::is(&Scope::Train, Metric::Loss));
        let curves = rows
            .clone()
            .lazy()
            .filter(shown.and(summary::finished()))
            .join(lines.clone().lazy(), [col("trial")], [col("trial")], JoinArgs::new(JoinType::Inner))
            .group_by([col("line"), col("metric"), col("epoch")])
            .agg([col("seconds").mean(), col("value").mean().alias("mean"), col("value").std(1).alias("sd")]);
        summary::by_line(rows, &lines)?
            .lazy()
            .select([col("line"), col("label"), col("seeds"), col("diverged")])
            .join(curves, [col("line")], [col("line")], JoinArgs::new(JoinType::Left))
            .sort(["line", "metric", "epoch"], SortMultipleOptions::default())
            .collect()
    }

    fn draw(&self, numbers: &DataFrame) -> PolarsResult<Drawing> {
        let lines = lines(numbers)?;
        if lines.iter().all(|line| line.curves.iter().all(Vec::is_empty)) {
            return Ok(Drawing(Canvas::notice("No trial has finished an epoch.")));
        }
        let keys = lines.iter().map(|line| Key { swatch: Swatch::Line(line.look), text: line.name() }).collect();
        let legend = Legend::new(keys, PAGE);
        let caption = spread(&lines.iter().map(|line| line.seeds).collect::<Vec<_>>());
        let grid = [0, 1].map(|row| [0, 1].map(|column| frame(row, column)));
        let below = grid[1][0].bottom + BELOW;
        let mut canvas = Canvas::new(PAGE, below + legend.height() + caption.as_ref().map_or(0.0, |_| LEADING) + 4.0);
        let unit = TimeUnit::fitting(lines.iter().flat_map(|line| line.points(0)).map(|point| point.seconds));
        for (row, quantity) in QUANTITIES.iter().enumerate() {
            for (column, x) in [X::Epoch, X::Time(unit)].into_iter().enumerate() {
                draw_panel(&mut canvas, grid[row][column], &lines, row, quantity, x);
            }
        }
        legend.draw(&mut canvas, (PAGE / 2.0, below));
        Ok(Drawing(canvas))
    }
}
