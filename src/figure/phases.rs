//! What a step spends its time on.

use polars::prelude::*;

use super::ink::style::{AREAS, BELOW, Color, LEADING, MARGIN};
use super::ink::{Anchor, Canvas, Frame, Key, Legend, Panel, Scale, Swatch, names, text_width};
use super::{Data, Figure, numbers, summary, texts};
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

    /// `line, label, omitted`, and for each phase milliseconds a step, the mean over epochs and finished trials.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let lines = summary::leading(data, None)?;
        let train = || col("scope").eq(lit(Scope::Train.name().to_owned()));
        let mut of_trial = vec![
            col("line").first(),
            col("label").first(),
            col("omitted").first(),
            col("step").filter(train()).max().cast(DataType::Float64).alias("steps"),
        ];
        let mut of_line = vec![col("omitted").first()];
        for phase in Metric::PHASES {
            of_trial.push(col("value").filter(summary::is(&Scope::Train, phase)).sum().alias(phase.name()));
            of_line.push((lit(1e3) * col(phase.name()) / col("steps")).mean().alias(title(phase)));
        }
        summary::rows(data, &lines)?
            .filter(summary::finished())
            .group_by([col("trial")])
            .agg(of_trial)
            .filter(col("steps").gt(lit(0.0)))
            .group_by([col("line"), col("label")])
            .agg(of_line)
            .sort(["line"], SortMultipleOptions::default())
            .collect()
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let labels = texts(numbers, "label")?;
        let phases = phases(numbers)?;
        let total = |bar: usize| phases.iter().map(|phase| phase.milliseconds[bar]).sum::<f64>();
        let longest = (0..labels.len()).map(total).fold(0.0, f64::max);
        if longest <= 0.0 {
            return Ok(Canvas::notice(width, "No trial has finished, so there are no phases to show."));
        }
        let (names, left) = names(&labels, width);
        let bottom = MARGIN + labels.len() as f64 * PITCH;
        let frame = Frame { left, top: MARGIN, right: width - 2.0 * MARGIN, bottom };
        // Room for the total behind the longest bar.
        let room = 1.0 + 26.0 / (frame.right - left);
        let panel = Panel::of_rows(frame, Scale::from_zero(&[room * longest]), labels.len());
        let keys = phases.iter().map(|phase| Key { swatch: Swatch::Area(phase.color), text: phase.title.into() });
        let legend = Legend::new(keys.collect(), summary::caption(numbers, None)?, width);
        let mut canvas = Canvas::new(width, bottom + BELOW + legend.height());
        panel.x_axis(&mut canvas, "time per step (ms)");
        for (bar, name) in names.iter().enumerate() {
            let (_, middle) = panel.at((0.0, panel.row(bar)));
            canvas.text((left - 6.0, middle), name, Anchor::End);
            draw_bar(&mut canvas, &panel, &phases, bar, middle);
        }
        panel.border(&mut canvas);
        legend.draw(&mut canvas, (width / 2.0, bottom + BELOW));
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
            canvas.colored_text(((left + right) / 2.0, middle), &share, Anchor::Middle, phase.color.of_text());
        }
        let told = super::table::digits(to - from);
        canvas.hover((left, top), (right, bottom), format!("{}: {told} ms, {share}", phase.title));
        from = to;
    }
    canvas.text((panel.x_at(total) + 4.0, middle), &super::table::digits(total), Anchor::Start);
}
