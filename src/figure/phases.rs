//! What a step spends its time on.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::gather::{self, Lines, Member};
use super::ink::style::{AREAS, BELOW, Color, LEADING, MARGIN};
use super::ink::{Anchor, Canvas, Frame, Key, Legend, Panel, Scale, Swatch, names, text_width};
use super::{Data, Figure, numbers, summary, texts};
use crate::catalog::Entry;
use crate::record::{Metric, Scope};
use crate::stats;

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

    /// `line, label, left_out`, and for each phase milliseconds a step, the mean over epochs and finished trials.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let lines = summary::leading(data)?;
        let left_out = summary::left_out(&lines)?;
        let lines = Lines::new(&lines)?;
        let mut steps: BTreeMap<(u32, &str), Vec<[f64; Metric::PHASES.len()]>> = BTreeMap::new();
        for member in lines.members(data)?.into_iter().filter(|member| member.finished) {
            if let Some(step) = step(data, &member)? {
                steps.entry((member.line, member.label)).or_default().push(step);
            }
        }
        let mut columns = vec![
            Column::new("line".into(), steps.keys().map(|key| key.0).collect::<Vec<_>>()),
            Column::new("label".into(), steps.keys().map(|key| key.1).collect::<Vec<_>>()),
            Column::new("left_out".into(), vec![left_out; steps.len()]),
        ];
        for (i, phase) in Metric::PHASES.into_iter().enumerate() {
            let mean = |steps: &Vec<[f64; _]>| stats::mean(&steps.iter().map(|step| step[i]).collect::<Vec<_>>());
            columns.push(Column::new(title(phase).into(), steps.values().map(mean).collect::<Vec<_>>()));
        }
        DataFrame::new(steps.len(), columns)
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        bars(numbers, width, &Metric::PHASES, ("time per step (ms)", "ms"), None)
    }
}

/// A bar for each row of `label` and a column for each of these phases, in a unit; with a `note` below.
pub fn bars(
    numbers: &DataFrame,
    width: f64,
    of: &[Metric],
    (axis, unit): (&str, &'static str),
    note: Option<String>,
) -> PolarsResult<Canvas> {
    let labels = texts(numbers, "label")?;
    let phases = phases(numbers, of, unit)?;
    let total = |bar: usize| phases.iter().map(|phase| phase.amounts[bar]).sum::<f64>();
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
    let legend = Legend::new(keys.collect(), summary::caption(numbers, note)?, width);
    let mut canvas = Canvas::new(width, bottom + BELOW + legend.height());
    panel.x_axis(&mut canvas, axis);
    for (bar, name) in names.iter().enumerate() {
        let (_, middle) = panel.at((0.0, panel.row(bar)));
        canvas.text((left - 6.0, middle), name, Anchor::End);
        draw_bar(&mut canvas, &panel, &phases, bar, middle);
    }
    panel.border(&mut canvas);
    legend.draw(&mut canvas, (width / 2.0, bottom + BELOW));
    Ok(canvas)
}

/// The milliseconds of each phase in a step of a trial; nothing of one without steps.
fn step(data: &Data, member: &Member<'_>) -> PolarsResult<Option<[f64; Metric::PHASES.len()]>> {
    let (mut seconds, mut steps) = ([0.0; Metric::PHASES.len()], 0);
    for row in gather::of(data, member)?.filter(|row| row.is_in(&Scope::Train)) {
        steps = steps.max(row.step);
        if let Some(phase) = Metric::PHASES.into_iter().position(|phase| row.is_a(phase)) {
            seconds[phase] += row.value;
        }
    }
    Ok((steps > 0).then(|| seconds.map(|seconds| 1e3 * seconds / steps as f64)))
}

/// From one bar to the next.
const PITCH: f64 = 18.0;

struct Phase {
    title: &'static str,
    color: Color,
    unit: &'static str,
    /// Of a step, by bar.
    amounts: Vec<f64>,
}

/// The phases that take time anywhere.
fn phases(frame: &DataFrame, of: &[Metric], unit: &'static str) -> PolarsResult<Vec<Phase>> {
    let mut phases = Vec::new();
    for (metric, color) in Metric::PHASES.into_iter().zip(AREAS).filter(|(metric, _)| of.contains(metric)) {
        let title = title(metric);
        let amounts = numbers(frame, title)?;
        if amounts.iter().any(|&amount| amount > 0.0) {
            phases.push(Phase { title, color, unit, amounts });
        }
    }
    Ok(phases)
}

/// `phase_forward` is `forward` here, and moments are called what everybody calls them.
pub fn title(phase: Metric) -> &'static str {
    if phase == Metric::PhaseMoments {
        return "statistics";
    }
    phase.name().trim_start_matches("phase_")
}

/// The phases of one bar, with their share where there is room to write it, and the total behind.
fn draw_bar(canvas: &mut Canvas, panel: &Panel, phases: &[Phase], bar: usize, middle: f64) {
    let (top, bottom) = (middle - LEADING / 2.0, middle + LEADING / 2.0);
    let total: f64 = phases.iter().map(|phase| phase.amounts[bar]).sum();
    let mut from = 0.0;
    for phase in phases {
        let to = from + phase.amounts[bar];
        let (left, right) = (panel.x_at(from), panel.x_at(to));
        canvas.rectangle((left, top), (right, bottom), phase.color);
        let share = match phase.unit {
            "%" => super::table::digits(to - from),
            _ => format!("{:.0} %", 100.0 * (to - from) / total),
        };
        if text_width(&share) + 4.0 < right - left {
            canvas.colored_text(((left + right) / 2.0, middle), &share, Anchor::Middle, phase.color.of_text());
        }
        let told = super::table::digits(to - from);
        canvas.hover((left, top), (right, bottom), format!("{}: {told} {}", phase.title, phase.unit));
        from = to;
    }
    canvas.text((panel.x_at(total) + 4.0, middle), &super::table::digits(total), Anchor::Start);
}
