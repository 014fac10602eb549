//! The font of all figures.

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

/// DejaVu Sans 2.37 (<https://dejavu-fonts.github.io/>).
pub(super) const FILE: &[u8] = include_bytes!("../font/DejaVuSans.ttf");

/// The font's name in SVG; the metrics of the second are those of the first where it is missing.
pub(super) const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// The height that plotters calls a font's size (ascent to descent), in ems of this font.
pub(super) const SIZE_PER_EM: f64 = 2384.0 / 2048.0;

/// Half the height of a digit in ems: from the middle of a line of text to its baseline.
pub(super) const MIDDLE: f64 = 0.36;

/// The font of all figures, by plotters' measure of `size`.
pub(super) fn font(size: f64) -> FontDesc<'static> {
    // plotters keeps fonts in a table of its own. The file is part of this program, so it is known to be one; were it not,
    // plotters would say so when it draws.
    let _ = register_font(FONT, FontStyle::Normal, FILE);
    FontDesc::new(FontFamily::Name(FONT), size, FontStyle::Normal)
}
