use ratatui::style::{Color, Style};

use crate::figure;

/// The colour of an arm as in the figures, as near as the 256 colours come that every terminal has.
pub fn ink(arm: usize) -> Style {
    let color = figure::hue(arm).map_or(Color::Reset, |rgb| {
        let [red, green, blue] = rgb.map(|part| {
            const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
            (0..6u8).min_by_key(|&level| LEVELS[usize::from(level)].abs_diff(part)).unwrap_or(0)
        });
        Color::Indexed(16 + 36 * red + 6 * green + blue)
    });
    Style::new().fg(color)
}
