//! How much memory training takes.

use polars::prelude::*;

use super::ink::style::{BELOW, INK, LEADING, MARGIN};
use super::ink::{Anchor, Canvas, Frame, Legend, Panel, Scale, names};
use super::{Data, Figure, counts, looks, summary, table, texts};
use crate::catalog::Entry;

/// A bar for each line of trials: the peak of the process's resident memory.
pub struct Memory;

impl Figure for Memory {
    fn entry(&self) -> Entry {
        Entry { name: "memory", help: "peak resident memory", example: "nkfac-bench figure results/quickstart memory" }
    }

    /// `line, label, arm, point, seeds, peak_rss_bytes, peak_rss_bytes_sd, left_out`.
    fn query(&self, data: &Data) -> PolarsResult<DataFrame> {
        let columns = ["line", "label", "arm", "point", "seeds", "peak_rss_bytes", "peak_rss_bytes_sd", "left_out"];
        summary::by_line(data, &summary::leading(data)?)?.select(columns)
    }

    fn draw(&self, numbers: &DataFrame, width: f64) -> PolarsResult<Canvas> {
        let (labels, looks) = (texts(numbers, "label")?, looks(numbers)?);
        let mebibytes = |column: &str| -> PolarsResult<Vec<f64>> {
            Ok(super::numbers(numbers, column)?.into_iter().map(|bytes| bytes / f64::from(1 << 20)).collect())
        };
        let (means, sds) = (mebibytes("peak_rss_bytes")?, mebibytes("peak_rss_bytes_sd")?);
        let longest = means.iter().zip(&sds).map(|(mean, sd)| mean + sd.max(0.0)).fold(0.0, f64::max);
        if longest <= 0.0 {
            return Ok(Canvas::notice(width, "No trial has finished and told its memory."));
        }
        let (names, left) = names(&labels, width);
        let bottom = MARGIN + labels.len() as f64 * PITCH;
        let frame = Frame { left, top: MARGIN, right: width - 2.0 * MARGIN, bottom };
        // Room for the number behind the longest bar.
        let room = 1.0 + 26.0 / (frame.right - left);
        let panel = Panel::of_rows(frame, Scale::from_zero(&[room * longest]), labels.len());
        let legend =
            Legend::new(Vec::new(), summary::caption(numbers, summary::spread(&counts(numbers, "seeds")?))?, width);
        let mut canvas = Canvas::new(width, bottom + BELOW + legend.height());
        panel.x_axis(&mut canvas, "peak resident memory (MiB)");
        for (bar, label) in labels.iter().enumerate() {
            let (zero, middle) = panel.at((0.0, panel.row(bar)));
            canvas.text((left - 6.0, middle), &names[bar], Anchor::End);
            let (mean, sd) = (means[bar], sds[bar]);
            if mean.is_nan() {
                canvas.text((zero + 4.0, middle), "diverged", Anchor::Start);
                continue;
            }
            let (top, foot, end) = (middle - LEADING / 2.0, middle + LEADING / 2.0, panel.x_at(mean));
            let color = looks[bar].color;
            canvas.rectangle((zero, top), (end, foot), color);
            canvas.hover((zero, top), (end, foot), format!("{label}: {} MiB", table::spread(mean, sd, 1)));
            let reach = panel.x_at(mean + sd.max(0.0));
            if sd > 0.0 {
                canvas.line(vec![(panel.x_at(mean - sd), middle), (end, middle)], color.of_text(), 1.0, &[]);
                canvas.line(vec![(end, middle), (reach, middle)], INK, 1.0, &[]);
            }
            canvas.text((reach + 4.0, middle), &table::digits(mean), Anchor::Start);
        }
        panel.border(&mut canvas);
        legend.draw(&mut canvas, (width / 2.0, bottom + BELOW));
        Ok(canvas)
    }
}

/// From one bar to the next.
const PITCH: f64 = 18.0;
