//! The curves of a sweep.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Borders, Chart, Dataset, GraphType, Paragraph};

use super::dash;
use super::ink::ink;
use super::screen::{self, Screen};
use crate::figure;
use crate::record::Goal;

/// What the chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// On the test set, of this one of the goals that there are.
    Test(usize),
    /// On a logarithmic axis.
    Loss,
}

impl Default for Curve {
    fn default() -> Self {
        Self::Test(0)
    }
}

impl Curve {
    /// The one that comes next, of trials that are judged by so many goals.
    #[must_use]
    pub const fn next(self, goals: usize) -> Self {
        match self {
            Self::Test(place) if place + 1 < goals => Self::Test(place + 1),
            Self::Test(_) => Self::Loss,
            Self::Loss => Self::Test(0),
        }
    }

    /// What it is called, with its unit.
    #[must_use]
    pub fn name(self, goals: &[Goal]) -> String {
        match self.goal(goals) {
            Some(goal) => goal.head(&format!("test {}", goal.title)),
            None => "training loss".to_owned(),
        }
    }

    /// What is shown on the test set, if it is that. A sweep may turn out to have fewer goals than another.
    fn goal(self, goals: &[Goal]) -> Option<Goal> {
        match self {
            Self::Test(place) => goals.get(place).or_else(|| goals.first()).copied(),
            Self::Loss => None,
        }
    }
}

/// Draws the curves.
pub fn chart(frame: &mut Frame<'_>, area: Rect, screen: &Screen, curve: Curve) {
    let block = Block::new().borders(Borders::TOP).title(legend(screen, curve));
    let goal = curve.goal(&screen.goals);
    let lines: Vec<Vec<(f64, f64)>> = screen.lines.iter().map(|line| points(line, goal)).collect();
    let Some(y) = bounds(lines.iter().flatten().map(|(_, y)| *y), goal) else {
        frame.render_widget(Paragraph::new("no epoch has ended yet".dim()).block(block), area);
        return;
    };
    let last = screen.epochs.max(2) as f64;
    // A character of braille has two by four dots.
    let scale = (2.0 * f64::from(area.width) / (last - 1.0), 4.0 * f64::from(area.height) / (y[1] - y[0]));
    let dashed: Vec<_> =
        screen.lines.iter().zip(&lines).map(|(line, points)| dash::dots(points, line.point, scale)).collect();
    let set = |(i, line): (usize, &screen::Line)| {
        let set = Dataset::default().style(ink(line.arm)).marker(Marker::Braille);
        match &dashed[i] {
            Some(dots) => set.data(dots).graph_type(GraphType::Scatter),
            None => set.data(&lines[i]).graph_type(GraphType::Line),
        }
    };
    let sets = screen.lines.iter().enumerate().map(set).collect();
    let labels = [y[0], f64::midpoint(y[0], y[1]), y[1]].map(|y| match goal {
        Some(_) => figure::digits(y),
        None if y < -2.0 => format!("{:.1e}", 10f64.powf(y)),
        None => figure::digits(10f64.powf(y)),
    });
    let chart = Chart::new(sets)
        .block(block)
        .x_axis(Axis::default().bounds([1.0, last]).labels(["1".to_owned(), last.to_string()]))
        .y_axis(Axis::default().bounds(y).labels(labels));
    frame.render_widget(chart, area);
}

/// What is drawn, and in which colours: above the chart, where it covers no curve.
fn legend(screen: &Screen, curve: Curve) -> Line<'_> {
    let mut spans = vec![Span::from(format!(" {} by epoch, mean of seeds ", curve.name(&screen.goals)))];
    let goal = curve.goal(&screen.goals);
    for line in screen.lines.iter().filter(|line| goal.is_none() || line.goal.is_none() || line.goal == goal) {
        let sign = format!(" {} ", dash::sign(line.point));
        spans.extend([Span::styled(sign, ink(line.arm)), Span::from(format!("{} ", line.label))]);
    }
    Line::from(spans)
}

/// A curve in the units of its axis, nothing of a line that is judged by another goal; without a goal the logarithm of the training loss.
fn points(line: &screen::Line, goal: Option<Goal>) -> Vec<(f64, f64)> {
    match goal {
        None => line.loss.iter().map(|(epoch, loss)| (*epoch, loss.log10())).filter(finite).collect(),
        Some(_) if line.goal != goal => Vec::new(),
        Some(goal) => line.test.iter().map(|(epoch, test)| (*epoch, goal.units * test)).filter(finite).collect(),
    }
}

fn finite((_, y): &(f64, f64)) -> bool {
    y.is_finite()
}

/// What an axis must show, with some air; `None` of nothing.
fn bounds(values: impl Iterator<Item = f64>, goal: Option<Goal>) -> Option<[f64; 2]> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    let is_share = goal == Some(Goal::ACCURACY);
    let air = (0.05 * (high - low)).max(if is_share { 0.5 } else { 0.05 });
    let (low, high) = (low - air, high + air);
    if !low.is_finite() {
        return None;
    }
    Some(if is_share { [low.max(0.0), high.min(100.0)] } else { [low, high] })
}
