//! The curves of a sweep.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Borders, Chart, Dataset, GraphType, Paragraph};

use super::ink::ink;
use super::screen::{self, Screen};
use crate::figure;

/// What the chart shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Curve {
    #[default]
    Accuracy,
    /// On a logarithmic axis.
    Loss,
}

impl Curve {
    /// The one that comes next.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Accuracy => Self::Loss,
            Self::Loss => Self::Accuracy,
        }
    }

    /// What it is called, with its unit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "test accuracy (%)",
            Self::Loss => "training loss",
        }
    }
}

/// Draws the curves.
pub fn chart(frame: &mut Frame<'_>, area: Rect, screen: &Screen, curve: Curve) {
    let block = Block::new().borders(Borders::TOP).title(legend(screen, curve));
    let lines: Vec<Vec<(f64, f64)>> = screen.lines.iter().map(|line| points(line, curve)).collect();
    let Some(y) = bounds(lines.iter().flatten().map(|(_, y)| *y), curve) else {
        frame.render_widget(Paragraph::new("no epoch has ended yet".dim()).block(block), area);
        return;
    };
    let set = |(place, points)| {
        let set = Dataset::default().data(points).style(ink(place));
        set.marker(Marker::Braille).graph_type(GraphType::Line)
    };
    let sets = lines.iter().map(Vec::as_slice).enumerate().map(set).collect();
    let last = screen.epochs.max(2) as f64;
    let labels = [y[0], f64::midpoint(y[0], y[1]), y[1]].map(|y| match curve {
        Curve::Accuracy => figure::digits(y),
        Curve::Loss if y < -2.0 => format!("{:.1e}", 10f64.powf(y)),
        Curve::Loss => figure::digits(10f64.powf(y)),
    });
    let chart = Chart::new(sets)
        .block(block)
        .x_axis(Axis::default().bounds([1.0, last]).labels(["1".to_owned(), last.to_string()]))
        .y_axis(Axis::default().bounds(y).labels(labels));
    frame.render_widget(chart, area);
}

/// What is drawn, and in which colours: above the chart, where it covers no curve.
fn legend(screen: &Screen, curve: Curve) -> Line<'_> {
    let mut spans = vec![Span::from(format!(" {} by epoch, mean of seeds ", curve.name()))];
    for (place, line) in screen.lines.iter().enumerate() {
        spans.extend([Span::styled(" ■ ", ink(place)), Span::from(format!("{} ", line.label))]);
    }
    Line::from(spans)
}

/// A curve in the units of its axis: percent, or the logarithm of the loss.
fn points(line: &screen::Line, curve: Curve) -> Vec<(f64, f64)> {
    let scaled = match curve {
        Curve::Accuracy => line.accuracy.iter().map(|(epoch, accuracy)| (*epoch, 100.0 * accuracy)),
        Curve::Loss => return line.loss.iter().map(|(epoch, loss)| (*epoch, loss.log10())).filter(finite).collect(),
    };
    scaled.filter(finite).collect()
}

fn finite((_, y): &(f64, f64)) -> bool {
    y.is_finite()
}

/// What an axis must show, with some air; `None` of nothing.
fn bounds(values: impl Iterator<Item = f64>, curve: Curve) -> Option<[f64; 2]> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    let air = (0.05 * (high - low)).max(if curve == Curve::Accuracy { 0.5 } else { 0.05 });
    let (low, high) = (low - air, high + air);
    if !low.is_finite() {
        return None;
    }
    Some(if curve == Curve::Accuracy { [low.max(0.0), high.min(100.0)] } else { [low, high] })
}
