//! The screen's ink: a head, the trials as a table, their curves, and the keys. What there is no room for is left out.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Axis, Block, Borders, Cell, Chart, Dataset, GraphType, Paragraph, Table, Wrap};

use super::screen::{self, Screen};
use crate::experiment::Standing;
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

    const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "test accuracy (%)",
            Self::Loss => "training loss",
        }
    }
}

/// What the person in front of it chose to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    pub curve: Curve,
    /// The trial in the first row of the table.
    pub top: usize,
}

impl View {
    /// Moves the table by so many rows, downwards if there are more than 0.
    pub fn scroll(&mut self, rows: isize) {
        self.top = self.top.saturating_add_signed(rows);
    }
}

/// Lines of a terminal that leave room for a chart.
const ROOM: u16 = 16;

/// Draws the sweep `title`. The view is moved back where it went beyond the last trial.
pub fn draw(frame: &mut Frame<'_>, title: &str, screen: &Screen, view: &mut View) {
    let height = frame.area().height;
    let chart = if height < ROOM { 0 } else { height * 9 / 20 };
    let [head, trials, curves, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Fill(1),
        Constraint::Length(chart),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let counts: Vec<String> = screen.counts.iter().map(|(count, of)| format!("{count} {}", of.name())).collect();
    let counts = if counts.is_empty() { "no trials".to_owned() } else { counts.join(" · ") };
    let first = Line::from(vec![title.to_owned().bold(), format!("  {counts}").into()]);
    frame.render_widget(Paragraph::new(vec![first, times(screen).into()]), head);
    table(frame, trials, screen, view);
    if chart > 0 {
        chart_of(frame, curves, screen, view.curve);
    }
    let help = format!("q quit · ↑ ↓ PgUp PgDn scroll · Tab {}", view.curve.next().name());
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
        Some(0.0) => format!("{elapsed} · nothing left to run"),
        Some(seconds) if runs => format!("{elapsed} · about {} left", span(seconds)),
        Some(seconds) => format!("{elapsed} · about {} of training left, which nobody runs", span(seconds)),
        None => format!("{elapsed} · how long it takes is known after an epoch"),
    }
}

/// `48 s`, `12 min 05 s`, `3 h 20 min`, `2 d 4 h`.
fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86400);
    match whole {
        ..60 => format!("{whole} s"),
        60..3600 => format!("{minutes} min {:02} s", whole % 60),
        3600..86400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// The widest that a trial's name may be.
const NAME: usize = 34;

fn table(frame: &mut Frame<'_>, area: Rect, screen: &Screen, view: &mut View) {
    // Of its own are the line above and the head.
    let visible = usize::from(area.height.saturating_sub(2));
    let all = screen.rows.len();
    view.top = view.top.min(all.saturating_sub(visible));
    let last = all.min(view.top + visible);
    let shown = &screen.rows[view.top..last];
    let title =
        if shown.len() < all { format!(" trials {}–{last} of {all} ", view.top + 1) } else { " trials ".into() };
    let name = screen.lines.iter().map(|line| line.label.chars().count()).max().unwrap_or(0);
    let seed = screen.rows.iter().map(|row| row.seed.unwrap_or(0).to_string().len()).max().unwrap_or(0);
    let lengths = [name.min(NAME) + 2, seed.max(4), 8, 9, 9, 9].map(|length| Constraint::Length(length as u16));
    let heads = ["  trial", "seed", "state", "epoch", "accuracy", "seconds", ""];
    let heads =
        heads.iter().enumerate().map(|(place, head)| if is_number(place) { right(*head) } else { Cell::from(*head) });
    let table =
        Table::new(shown.iter().map(|row| cells(row, screen)), lengths.into_iter().chain([Constraint::Fill(1)]))
            .header(ratatui::widgets::Row::new(heads).bold())
            .block(Block::new().borders(Borders::TOP).title(title));
    frame.render_widget(table, area);
}

/// Whether a column of the table has numbers, which end below each other.
const fn is_number(place: usize) -> bool {
    matches!(place, 1 | 3 | 4 | 5)
}

fn right<'a>(text: impl Into<Line<'a>>) -> Cell<'a> {
    Cell::from(Text::from(text.into().right_aligned()))
}

fn cells<'a>(row: &'a screen::Row, screen: &'a Screen) -> ratatui::widgets::Row<'a> {
    let label = screen.lines.get(row.line).map_or("", |line| &line.label);
    let name = Line::from(vec![Span::styled("■ ", ink(row.line)), label.into()]);
    let standing = match row.standing {
        Standing::Running => row.standing.name().green(),
        Standing::Diverged | Standing::Failed | Standing::Broken => row.standing.name().red(),
        Standing::Finished => row.standing.name().into(),
        Standing::Stopped | Standing::Waiting => row.standing.name().dim(),
    };
    let epoch = row.epochs.map_or(String::new(), |epochs| format!("{}/{epochs}", row.epoch));
    let accuracy = row.accuracy.map_or(String::new(), |accuracy| format!("{:.2} %", 100.0 * accuracy));
    let seconds = row.seconds.map_or(String::new(), |seconds| format!("{seconds:.1}"));
    let seed = row.seed.map_or(String::new(), |seed| seed.to_string());
    ratatui::widgets::Row::new([
        Cell::from(name),
        right(seed),
        Cell::from(standing),
        right(epoch),
        right(accuracy),
        right(seconds),
        Cell::from(row.note.as_str().dim()),
    ])
}

fn chart_of(frame: &mut Frame<'_>, area: Rect, screen: &Screen, curve: Curve) {
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

/// The colour of a line as in the figures, as near as the 256 colours come that every terminal has.
fn ink(line: usize) -> Style {
    let color = figure::hue(line).map_or(Color::Reset, |rgb| {
        let [red, green, blue] = rgb.map(|part| {
            const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
            (0..6u8).min_by_key(|&level| LEVELS[usize::from(level)].abs_diff(part)).unwrap_or(0)
        });
        Color::Indexed(16 + 36 * red + 6 * green + blue)
    });
    Style::new().fg(color)
}
