//! What a step spends its time on.

use polars::prelude::*;

use super::ink::style::{AREAS, BELOW, Color, INK, LEADING, MARGIN, PAGE, PAPER};
use super::ink::{Anchor, Canvas, Frame, Key, Legend, Panel, Scale, Swatch, text_width};
use super::{Figure, group, numbers, summary, texts};
use crate::catalog::Entry;
use crate::record::{Metric, Scope};

/// A bar for each line of trials, of the phases of a step.
pub struct Phases;

impl Figure for Phases {
    fn entry(&self) -> Entry {
        Entry {
            name: "phases",
            help: "the time of a step by phase",
            example: "nkfac-bench figure results/quickstart phases",
        }
    }

    /// `line, label`, and for each phase milliseconds a step, the mean over epochs and finished trials.
    fn query(&self, rows: &DataFrame) -> PolarsResult<DataFrame> {
        let lines = group::lines(rows, None)?.lazy();
        let train = || col("scope").eq(lit(Scope::Train.name().to_owned()));
        let mut of_trial = vec![col("step").filter(train()).max().cast(DataType::Float64).alias("steps")];
        let mut of_line = Vec::new();
        for phase in Metric::PHASES {
            of_trial.push(col("value").filter(summary::is(&Scope::Train, phase)).sum().alias(phase.name()));
            of_line.push((lit(1e3) * col(phase.name()) / col("steps")).mean().alias(title(phase)));
        }
        rows.clone()
            .lazy()
            .filter(summary::finished())
            .group_by([col("trial")])
            .agg(of_trial)
            .filter(col("steps").gt(lit(0.0)))
            .join(lines, [col("trial")], [col("trial")], JoinArgs::new(JoinType::Inner))
            .group_by([col("line"), col("label")])
            .agg(of_line)
            .sort(["line"], SortMultipleOptions::default())
            .collect()
    }

    fn draw(&self, numbers: &DataFrame) -> PolarsResult<Canvas> {
        let labels = texts(numbers, "label")?;
        let phases = phases(numbers)?;
        let total = |bar: usize| phases.iter().map(|phase| phase.milliseconds[bar]).sum::<f64>();
        let longest = (0..labels.len()).map(total).fold(0.0, f64::max);
        if longest <= 0.0 {
            return Ok(Canvas::notice("No trial has finished, so there are no phases to show."));
        }
        let left = MARGIN + labels.iter().map(|label| text_width(label)).fold(0.0, f64::max) + 6.0;
        let bottom = MARGIN + labels.len() as f64 * PITCH;
        let frame = Frame { left, top: MARGIN, right: PAGE - 2.0 * MARGIN, bottom };
        // Room for the total behind the longest bar.
        let panel = Panel::of_rows(frame, Scale::from_zero(&[1.1 * longest]), labels.len());
        let keys = phases.iter().map(|phase| Key { swatch: Swatch::Area(phase.color), text: phase.title.into() });
        let legend = Legend::new(keys.collect(), None, PAGE);
        let mut canvas = Canvas::new(PAGE, bottom + BELOW + legend.height());
        panel.x_axis(&mut canvas, "time per step (ms)");
        for (bar, label) in labels.iter().enumerate() {
            let (_, middle) = panel.at((0.0, panel.row(bar)));
            canvas.text((left - 6.0, middle), label, Anchor::End);
            draw_bar(&mut canvas, &panel, &phases, bar, middle);
        }
        panel.border(&mut canvas);
        legend.draw(&mut canvas, (PAGE / 2.0, bottom + BELOW));
        Ok(canvas)
    }
}

/// From one bar to the next.
const PITCH: f64 = 18.0;

struct Phase {
    title: &'static str,
    color: Color,
    /// A step, by bar.
    milliseconds: Vec<f64>,
}

/// The phases that take time anywhere.
fn phases(frame: &DataFrame) -> PolarsResult<Vec<Phase>> {
    let mut phases = Vec::new();
    for (metric, color) in Metric::PHASES.into_iter().zip(AREAS) {
        let title = title(metric);
        let milliseconds = numbers(frame, title)?;
        if milliseconds.iter().any(|&milliseconds| milliseconds > 0.0) {
            phases.push(Phase { title, color, milliseconds });
        }
    }
    Ok(phases)
}

/// `phase_forward` is `forward` here.
fn title(phase: Metric) -> &'static str {
    phase.name().trim_start_matches("phase_")
}

/// The phases of one bar, with their share where there is room to write it, and the total behind.
fn draw_bar(canvas: &mut Canvas, panel: &Panel, phases: &[Phase], bar: usize, middle: f64) {
    let (top, bottom) = (middle - LEADING / 2.0, middle + LEADING / 2.0);
    let total: f64 = phases.iter().map(|phase| phase.milliseconds[bar]).sum();
    let mut from = 0.0;
    for phase in phases {
        let to = from + phase.milliseconds[bar];
        let (left, right) = (panel.x_at(from), panel.x_at(to));
        canvas.rectangle((left, top), (right, bottom), phase.color);
        let share = format!("{:.0} %", 100.0 * (to - from) / total);
        if text_width(&share) + 4.0 < right - left {
            let color = if phase.color.is_dark() { PAPER } else { INK };
            canvas.colored_text(((left + right) / 2.0, middle), &share, Anchor::Middle, color);
        }
        from = to;
    }
    canvas.text((panel.x_at(total) + 4.0, middle), &super::table::digits(total), Anchor::Start);
}
