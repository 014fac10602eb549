//! Drawing: lines, areas and text on a canvas of points (1/72 inch), kept as a list, so that an SVG and a PNG show the same.
//!
//! On top of the canvas are scales with sensible ticks, panels with axes, legends, and the one look of all figures. Nothing
//! here knows what is drawn: no arm, no metric, no data frame.

mod font;

mod canvas;

mod words;

pub mod style;

mod scale;

mod panel;

mod legend;

mod mark;

mod svg;

mod png;

mod pdf;

pub use canvas::{Anchor, Canvas, Point};
pub use legend::{Key, Legend, Swatch};
pub use panel::{Frame, Grid, Panel, names};
pub use pdf::pdf;
pub use png::write_png;
pub use scale::{Scale, exact, parse};
pub use style::Theme;
pub use svg::{escape, svg};
pub use words::{fit, fit_apart, text_width};
