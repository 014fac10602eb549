//! The screen's ink: a head, the trials as a table, their curves, and the keys. What there is no room for is left out.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::chart::chart;
use super::screen::Screen;
use super::table::table;
use super::view::View;
use crate::runner::Standing;
use crate::text::span;

/// Lines of a terminal that leave room for a chart.
const ROOM: u16 = 16;

/// Draws the sweep `title`. The view is moved back where it went beyond the last trial.
pub fn draw(frame: &mut Frame<'_>, title: &str, screen: &Screen, view: &mut View) {
    let height = frame.area().height;
    let for_chart = if height < ROOM { 0 } else { height * 9 / 20 };
    let [head, trials, curves, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Fill(1),
        Constraint::Length(for_chart),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let counts: Vec<String> = screen.counts.iter().map(|(count, of)| format!("{count} {}", of.name())).collect();
    let counts = if counts.is_empty() { "no trials".to_owned() } else { counts.join(" · ") };
    let first = Line::from(vec![title.to_owned().bold(), format!("  {counts}").into()]);
    frame.render_widget(Paragraph::new(vec![first, times(screen).into()]), head);
    table(frame, trials, screen, view);
    if for_chart > 0 {
        chart(frame, curves, screen, view.curve);
    }
    let help =
        format!("q quit · ↑ ↓ PgUp PgDn scroll · Tab {}", view.curve.next(screen.goals.len()).name(&screen.goals));
    frame.render_widget(Paragraph::new(help.dim()), keys);
}

/// Says that there is nothing to draw of the sweep `title`, and why.
pub fn notice(frame: &mut Frame<'_>, title: &str, text: &str) {
    let lines = vec![title.to_owned().bold().into(), Line::from(text.to_owned()), "q quit".dim().into()];
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), frame.area());
}

fn times(screen: &Screen) -> String {
    let runs = screen.counts.iter().any(|(_, standing)| *standing == Standing::Running);
    let elapsed = screen.elapsed.map_or("not begun".to_owned(), |seconds| format!("{} so far", span(seconds)));
    match screen.left {
        Some(left) if left.seconds == 0.0 && !runs => format!("{elapsed} · nothing left to run"),
        Some(left) if runs => format!("{elapsed} · {left}"),
        Some(left) => format!("{elapsed} · {left}, and nothing runs"),
        None => format!("{elapsed} · time left is known after the first steps"),
    }
}
