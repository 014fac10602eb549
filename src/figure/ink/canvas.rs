//! What is drawn, before it is SVG or PNG.

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

use super::style::{Color, INK, TEXT};

/// Right and down from the upper left corner, in points.
pub type Point = (f64, f64);

/// The font's name in SVG; the metrics of the second are those of the first where it is missing.
pub(super) const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// The height that plotters calls a font's size (ascent to descent), in ems of this font.
pub(super) const SIZE_PER_EM: f64 = 2384.0 / 2048.0;

/// Half the height of a digit in ems: from the middle of a line of text to its baseline.
pub(super) const MIDDLE: f64 = 0.36;

/// A sheet and what was put on it, the lowest first.
#[derive(Debug, Clone)]
pub struct Canvas {
    pub width: f64,
    pub height: f64,
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
        Self { width, height, notice: None, marks: Vec::new() }
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

/// The width of a text in the usual size.
#[must_use]
pub fn text_width(text: &str) -> f64 {
    // Layouts are in whole pixels: measured large, they are exact enough.
    const LARGE: f64 = 1000.0;
    let ems = match font(LARGE * SIZE_PER_EM).layout_box(text) {
        Ok(((left, _), (right, _))) => f64::from(right - left) / LARGE,
        Err(_) => 0.6 * text.chars().count() as f64,
    };
    ems * TEXT
}

/// A text cut to at most this width, where need be with an ellipsis.
#[must_use]
pub fn fit(text: &str, width: f64) -> String {
    let all: Vec<char> = text.chars().collect();
    longest(text, width, |kept| all[..kept].iter().chain(&['…']).collect())
}

/// The same with the ellipsis in place of the middle.
fn fit_middle(text: &str, width: f64) -> String {
    let all: Vec<char> = text.chars().collect();
    longest(text, width, |kept| {
        let (start, end) = (kept / 2, all.len() - kept.div_ceil(2));
        all[..start].iter().chain(&['…']).chain(&all[end..]).collect()
    })
}

/// The text if it fits, or else the longest cut of it that does.
fn longest(text: &str, width: f64, cut: impl Fn(usize) -> String) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let (mut kept, mut over) = (0, text.chars().count());
    while kept + 1 < over {
        let middle = usize::midpoint(kept, over);
        if text_width(&cut(middle)) <= width { kept = middle } else { over = middle }
    }
    cut(kept)
}

/// Texts cut to at most this width that are still told apart: at their ends, or where those differ, in the middle.
#[must_use]
pub fn fit_apart(texts: &[String], width: f64) -> Vec<String> {
    let is_apart = |fitted: &[String]| {
        let pairs = || texts.iter().zip(fitted).enumerate();
        pairs().all(|(i, (text, cut))| pairs().skip(i + 1).all(|(_, (other, same))| cut != same || text == other))
    };
    let ends: Vec<String> = texts.iter().map(|text| fit(text, width)).collect();
    if is_apart(&ends) {
        return ends;
    }
    let middles: Vec<String> = texts.iter().map(|text| fit_middle(text, width)).collect();
    if is_apart(&middles) {
        return middles;
    }
    let numbered = texts.iter().enumerate().map(|(i, text)| match text_width(text) > width {
        true => {
            let first = texts.iter().position(|other| other == text).unwrap_or(i);
            let number = format!(" [{}]", first + 1);
            fit(text, width - text_width(&number)) + &number
        }
        false => text.clone(),
    });
    numbered.collect()
}

/// A text in lines of at most this width, broken between words, or within those that are longer.
#[must_use]
pub fn wrap(text: &str, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace().flat_map(|word| pieces(word, width)) {
        let longer = lines.last().map(|line| format!("{line} {word}")).filter(|line| text_width(line) <= width);
        match (lines.last_mut(), longer) {
            (Some(last), Some(longer)) => *last = longer,
            _ => lines.push(word),
        }
    }
    lines
}

/// A word in pieces of at most this width.
fn pieces(word: &str, width: f64) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for c in word.chars() {
        match pieces.last_mut() {
            Some(last) if last.is_empty() || text_width(&format!("{last}{c}")) <= width => last.push(c),
            _ => pieces.push(c.into()),
        }
    }
    pieces
}

/// The font of all figures, by plotters' measure of `size`.
pub(super) fn font(size: f64) -> FontDesc<'static> {
    // plotters keeps fonts in a table of its own. The file is part of this program, so it is known to be one; were it not,
    // plotters would say so when it draws.
    let _ = register_font(FONT, FontStyle::Normal, include_bytes!("../font/DejaVuSans.ttf"));
    FontDesc::new(FontFamily::Name(FONT), size, FontStyle::Normal)
}
