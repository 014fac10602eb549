//! What is drawn, before it is SVG or PNG.

use super::style::{Color, INK, TEXT};
use super::words::{fit, wrap};

/// Right and down from the upper left corner, in points.
pub type Point = (f64, f64);

/// A sheet and what was put on it, the lowest first.
#[derive(Debug, Clone)]
pub struct Canvas {
    pub width: f64,
    pub height: f64,
    /// What it shows, for those who cannot see it.
    pub label: String,
    /// Why there is nothing to draw, if so.
    pub notice: Option<String>,
    pub(super) marks: Vec<Mark>,
}

#[derive(Debug, Clone)]
pub(super) enum Mark {
    /// `dash` has the lengths of strokes and gaps; empty is solid.
    Line {
        points: Vec<Point>,
        color: Color,
        width: f64,
        dash: &'static [f64],
    },
    Area {
        points: Vec<Point>,
        color: Color,
    },
    /// `at` is on the middle of the line of text; `turned` text runs upwards.
    Text {
        at: Point,
        text: String,
        size: f64,
        color: Color,
        anchor: Anchor,
        turned: bool,
    },
    /// Nothing to see: what a pointer over this rectangle is told, where there are pointers.
    Hover {
        from: Point,
        to: Point,
        text: String,
    },
}

impl Mark {
    /// The same, so much further down.
    fn moved(mut self, down: f64) -> Self {
        match &mut self {
            Self::Line { points, .. } | Self::Area { points, .. } => {
                points.iter_mut().for_each(|point| point.1 += down);
            }
            Self::Text { at, .. } => at.1 += down,
            Self::Hover { from, to, .. } => (from.1, to.1) = (from.1 + down, to.1 + down),
        }
        self
    }
}

/// Which part of a text is at its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    /// An empty white sheet.
    #[must_use]
    pub const fn new(width: f64, height: f64) -> Self {
        Self { width, height, label: String::new(), notice: None, marks: Vec::new() }
    }

    /// A sheet that says why there is nothing to draw.
    #[must_use]
    pub fn notice(width: f64, text: &str) -> Self {
        let lines = wrap(text, width - 2.0 * super::style::MARGIN);
        let mut canvas = Self::new(width, (lines.len() as f64 + 3.0) * super::style::LEADING);
        canvas.notice = Some(text.to_owned());
        for (i, line) in lines.iter().enumerate() {
            canvas.text((width / 2.0, (i as f64 + 2.0) * super::style::LEADING), line.trim(), Anchor::Middle);
        }
        canvas
    }

    /// Sheets of this width below each other, each under its title if it has one. Those that only say why there is nothing to draw are left out,
    /// unless all do.
    #[must_use]
    pub fn below_each_other(sheets: Vec<(Option<&str>, Self)>, width: f64) -> Self {
        const TITLE: f64 = super::style::LEADING * 1.5;
        let some = sheets.iter().any(|(_, sheet)| sheet.notice.is_none());
        let mut whole = Self::new(width, 0.0);
        for (title, sheet) in sheets {
            if !some {
                return sheet;
            }
            if sheet.notice.is_none() {
                let mut down = whole.height;
                if let Some(title) = title {
                    whole.text((width / 2.0, down + TITLE / 2.0), &fit(title, width), Anchor::Middle);
                    down += TITLE;
                }
                whole.marks.extend(sheet.marks.into_iter().map(|mark| mark.moved(down)));
                whole.height = down + sheet.height;
            }
        }
        whole
    }

    /// A polyline; fewer than two points are none.
    pub fn line(&mut self, points: Vec<Point>, color: Color, width: f64, dash: &'static [f64]) {
        if points.len() > 1 {
            self.marks.push(Mark::Line { points, color, width, dash });
        }
    }

    /// A filled polygon.
    pub fn area(&mut self, points: Vec<Point>, color: Color) {
        self.marks.push(Mark::Area { points, color });
    }

    /// A filled upright rectangle.
    pub fn rectangle(&mut self, (left, top): Point, (right, bottom): Point, color: Color) {
        self.area(vec![(left, top), (right, top), (right, bottom), (left, bottom)], color);
    }

    /// What a pointer over an upright rectangle is told.
    pub fn hover(&mut self, from: Point, to: Point, text: String) {
        self.marks.push(Mark::Hover { from, to, text });
    }

    /// A line of text in the usual size.
    pub fn text(&mut self, at: Point, text: &str, anchor: Anchor) {
        self.colored_text(at, text, anchor, INK);
    }

    /// The same in another colour.
    pub fn colored_text(&mut self, at: Point, text: &str, anchor: Anchor, color: Color) {
        self.marks.push(Mark::Text { at, text: text.to_owned(), size: TEXT, color, anchor, turned: false });
    }

    /// A line of text that runs upwards, by its middle.
    pub fn turned_text(&mut self, at: Point, text: &str) {
        let (text, anchor) = (text.to_owned(), Anchor::Middle);
        self.marks.push(Mark::Text { at, text, size: TEXT, color: INK, anchor, turned: true });
    }
}
