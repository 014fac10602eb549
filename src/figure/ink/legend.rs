//! What stands for what, in columns below a figure, where it covers no data.

use super::canvas::{Anchor, Canvas, Point};
use super::style::{Color, LEADING, Look, MARGIN};
use super::words::{fit_apart, text_width, wrap};

const SWATCH: f64 = 22.0;
const GAP: f64 = 16.0;

/// One thing and its name.
#[derive(Debug, Clone)]
pub struct Key {
    pub swatch: Swatch,
    pub text: String,
}

/// A sample of what is drawn.
#[derive(Debug, Clone)]
pub enum Swatch {
    Line(Look),
    Mark(Look),
    Area(Color),
}

/// Keys in as many columns as fit.
#[derive(Debug)]
pub struct Legend {
    keys: Vec<Key>,
    /// Its lines.
    caption: Vec<String>,
    columns: usize,
    column_width: f64,
}

impl Legend {
    /// Lays out `keys` within `width`, long ones shortened, and below them a `caption`.
    #[must_use]
    pub fn new(mut keys: Vec<Key>, caption: Option<String>, width: f64) -> Self {
        let texts: Vec<String> = keys.iter().map(|key| key.text.clone()).collect();
        for (key, text) in keys.iter_mut().zip(fit_apart(&texts, width - 2.0 * MARGIN - SWATCH - 4.0)) {
            key.text = text;
        }
        let widest = keys.iter().map(|key| text_width(&key.text)).fold(0.0, f64::max);
        let column_width = SWATCH + 4.0 + widest + GAP;
        let fitting = ((width + GAP) / column_width).floor() as usize;
        let columns = fitting.clamp(1, keys.len().max(1));
        let caption = caption.map_or(Vec::new(), |caption| wrap(&caption, width - 2.0 * MARGIN));
        Self { keys, caption, columns, column_width }
    }

    /// How much room it takes downwards.
    #[must_use]
    pub fn height(&self) -> f64 {
        (self.rows() + self.caption.len() as f64) * LEADING + MARGIN / 2.0
    }

    fn rows(&self) -> f64 {
        self.keys.len().div_ceil(self.columns) as f64
    }

    /// Draws it, centred below `top`.
    pub fn draw(&self, canvas: &mut Canvas, (center, top): Point) {
        let left = center - (self.columns as f64 * self.column_width - GAP) / 2.0;
        for (i, key) in self.keys.iter().enumerate() {
            let x = left + (i % self.columns) as f64 * self.column_width;
            let y = top + ((i / self.columns) as f64 + 0.5) * LEADING;
            let middle = (x + SWATCH / 2.0, y);
            match &key.swatch {
                Swatch::Line(look) => {
                    canvas.line(vec![(x, y), (x + SWATCH, y)], look.color, 1.1, look.dash);
                    look.mark(canvas, middle);
                }
                Swatch::Mark(look) => look.mark(canvas, (x + SWATCH - 4.0, y)),
                Swatch::Area(color) => canvas.rectangle((x + SWATCH - 10.0, y - 3.5), (x + SWATCH, y + 3.5), *color),
            }
            canvas.text((x + SWATCH + 4.0, y), &key.text, Anchor::Start);
        }
        for (i, line) in self.caption.iter().enumerate() {
            canvas.text((center, top + (self.rows() + i as f64 + 0.5) * LEADING), line, Anchor::Middle);
        }
    }
}
