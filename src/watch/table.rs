//! The trials of a sweep, a row each.

use super::dash::sign;
use super::ink::ink;
use super::screen::{self, Screen};
use super::view::View;
use crate::runner::Standing;
use crate::text;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Stylize;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Cell, Row, Table};

/// The widest that a trial's name may be.
const NAME: usize = 34;

/// Draws as many trials as there is room for, from the view's on, which is moved back where it is too far.
pub fn table(frame: &mut Frame<'_>, area: Rect, screen: &Screen, view: &mut View) {
    // Of its own are the line above and the head.
    let visible = usize::from(area.height.saturating_sub(2));
    let all = screen.rows.len();
    view.top = view.top.min(all.saturating_sub(visible));
    let last = all.min(view.top + visible);
    let shown = &screen.rows[view.top..last];
    let title =
        if shown.len() < all { format!(" trials {}–{last} of {all} ", view.top + 1) } else { " trials ".into() };
    let name = screen.lines.iter().map(|line| text::width(&line.label)).max().unwrap_or(0);
    let seed = screen.rows.iter().map(|row| row.seed.unwrap_or(0).to_string().len()).max().unwrap_or(0);
    let widest = screen.rows.iter().map(|row| text::width(&test(row))).max().unwrap_or(0).max(9);
    let lengths = [name.min(NAME) + 2, seed.max(4), 8, 9, widest, 9].map(|length| Constraint::Length(length as u16));
    let judged = if let [only] = screen.goals.as_slice() { only.title } else { "test" };
    let heads = ["  trial", "seed", "state", "epoch", judged, "seconds", ""];
    let heads =
        heads.iter().enumerate().map(|(place, head)| if is_number(place) { right(*head) } else { Cell::from(*head) });
    let table =
        Table::new(shown.iter().map(|row| cells(row, screen)), lengths.into_iter().chain([Constraint::Fill(1)]))
            .header(Row::new(heads).bold())
            .block(Block::new().borders(Borders::TOP).title(title));
    frame.render_widget(table, area);
}

/// The last value on the test set.
fn test(row: &screen::Row) -> String {
    row.test.map_or(String::new(), |(goal, value)| goal.show(value))
}

/// Whether a column of the table has numbers, which end below each other.
const fn is_number(place: usize) -> bool {
    matches!(place, 1 | 3 | 4 | 5)
}

fn right<'a>(text: impl Into<Line<'a>>) -> Cell<'a> {
    Cell::from(Text::from(text.into().right_aligned()))
}

fn cells<'a>(row: &'a screen::Row, screen: &'a Screen) -> Row<'a> {
    let looks = |line: &'a screen::Line| (line.label.as_str(), line.arm, line.point);
    let (label, arm, point) = screen.lines.get(row.line).map_or(("", 0, 0), looks);
    let name = Line::from(vec![Span::styled(format!("{} ", sign(point)), ink(arm)), label.into()]);
    let standing = match row.standing {
        Standing::Running => row.standing.name().green(),
        Standing::Diverged | Standing::Failed | Standing::Broken => row.standing.name().red(),
        Standing::Finished => row.standing.name().into(),
        Standing::Stopped | Standing::Waiting => row.standing.name().dim(),
    };
    let epoch = row.epochs.map_or(String::new(), |epochs| format!("{}/{epochs}", row.epoch));
    let seconds = row.seconds.map_or(String::new(), |seconds| format!("{seconds:.1}"));
    let seed = row.seed.map_or(String::new(), |seed| seed.to_string());
    Row::new([
        Cell::from(name),
        right(seed),
        Cell::from(standing),
        right(epoch),
        right(test(row)),
        right(seconds),
        Cell::from(row.note.as_str().dim()),
    ])
}
