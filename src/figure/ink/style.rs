//! The one look of all figures: sizes for a two-column page, colours that colour-blind readers can tell apart.

/// The width of a figure across both columns, in points: seven inches.
pub const PAGE: f64 = 504.0;
/// The same for one column: three and three eighths.
pub const COLUMN: f64 = 243.0;
/// The size of all text.
pub const TEXT: f64 = 7.5;
/// From one line of text to the next.
pub const LEADING: f64 = 12.0;

/// Room at the edge of the page.
pub const MARGIN: f64 = 8.0;
/// Room for tick labels and the name of an axis to the left of a panel.
pub const LEFT: f64 = 47.0;
/// The same below it.
pub const BELOW: f64 = 30.0;

/// A colour with its opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Color {
    pub rgb: [u8; 3],
    pub alpha: f64,
}

impl Color {
    const fn new(hex: u32) -> Self {
        let [_, red, green, blue] = hex.to_be_bytes();
        Self { rgb: [red, green, blue], alpha: 1.0 }
    }

    /// The same, to see through.
    #[must_use]
    pub const fn faint(self) -> Self {
        Self { rgb: self.rgb, alpha: 0.18 }
    }

    /// The colour in which text is easiest to read on it.
    #[must_use]
    pub fn of_text(self) -> Self {
        let [red, green, blue] = self.rgb.map(f64::from);
        if 0.299 * red + 0.587 * green + 0.114 * blue < 140.0 { ON_DARK } else { ON_LIGHT }
    }

    /// Between dark blue for 0 and yellow for 1, through grey: an ordered scale that colour-blind readers see too (after cividis).
    #[must_use]
    pub fn of_share(share: f64) -> Self {
        const STOPS: [[f64; 3]; 5] = [
            [0.0, 34.0, 78.0],
            [65.0, 77.0, 107.0],
            [124.0, 123.0, 120.0],
            [188.0, 174.0, 108.0],
            [254.0, 232.0, 56.0],
        ];
        let place = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
        let below = (place as usize).min(STOPS.len() - 2);
        let between = place - below as f64;
        let rgb = std::array::from_fn(|i| {
            let (low, high) = (STOPS[below][i], STOPS[below + 1][i]);
            (low + between * (high - low)).round() as u8
        });
        Self { rgb, alpha: 1.0 }
    }
}

/// What a figure lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    #[default]
    Light,
    Dark,
    /// A page of HTML that defines `--ink`, `--paper`, `--grid` and `--frame`.
    Page,
}

impl Theme {
    /// The colour that stands for another here. Those of data are the same everywhere.
    #[must_use]
    pub fn color(self, color: Color) -> Color {
        let dark = [(INK, 0x00e6_e6e6), (PAPER, 0x0015_181c), (GRID, 0x0034_383e), (FRAME, 0x0082_868c)];
        let found = dark.into_iter().find(|(light, _)| light.rgb == color.rgb && self == Self::Dark);
        found.map_or(color, |(_, hex)| Color { alpha: color.alpha, ..Color::new(hex) })
    }

    /// The same as CSS.
    #[must_use]
    pub fn css(self, color: Color) -> String {
        let variables = [(INK, "ink"), (PAPER, "paper"), (GRID, "grid"), (FRAME, "frame")];
        match variables.into_iter().find(|(light, _)| light.rgb == color.rgb && self == Self::Page) {
            Some((_, name)) => format!("var(--{name})"),
            None => {
                let [red, green, blue] = self.color(color).rgb;
                format!("#{red:02x}{green:02x}{blue:02x}")
            }
        }
    }
}

/// Text on a light and on a dark area, whatever the theme.
const ON_LIGHT: Color = Color::new(0x0011_1111);
const ON_DARK: Color = Color::new(0x00fe_fefe);

pub const INK: Color = Color::new(0x0022_2222);
pub const PAPER: Color = Color::new(0x00ff_ffff);
pub const GRID: Color = Color::new(0x00e2_e2e2);
pub const FRAME: Color = Color::new(0x0088_8888);

/// Colours for lines after Okabe and Ito's (<https://jfly.uni-koeln.de/color/>); pink and amber are darker, and violet stands for sky blue, so that
/// each has a contrast of 3 to white and to dark paper (WCAG 2.1, 1.4.11).
const LINES: [Color; 7] = [
    Color::new(0x0000_72b2),
    Color::new(0x00d5_5e00),
    Color::new(0x0000_9e73),
    Color::new(0x00c4_6a9c),
    Color::new(0x00a9_7c00),
    Color::new(0x007d_5fd0),
    INK,
];

/// The same with yellow for areas, in an order in which neighbours differ in lightness.
pub const AREAS: [Color; 9] = [
    Color::new(0x0056_b4e9),
    Color::new(0x0000_72b2),
    Color::new(0x0000_9e73),
    Color::new(0x00f0_e442),
    Color::new(0x00e6_9f00),
    Color::new(0x00d5_5e00),
    Color::new(0x00cc_79a7),
    Color::new(0x0055_5555),
    Color::new(0x00bb_bbbb),
];

const DASHES: [&[f64]; 5] = [&[], &[5.0, 1.8], &[1.4, 1.6], &[5.0, 1.6, 1.4, 1.6], &[8.0, 2.5]];

/// The colour of arm number `index` in red, green and blue; `None` where it is that of text. For who draws with other ink.
#[must_use]
pub fn hue(index: usize) -> Option<[u8; 3]> {
    let color = LINES[index % LINES.len()];
    (color != INK).then_some(color.rgb)
}

/// The arm that a colour stands for, of those that have one of their own.
#[must_use]
pub fn arm_of(color: Color) -> Option<usize> {
    LINES.iter().position(|line| line.rgb == color.rgb && *line != INK)
}

/// How one line differs from the others.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub color: Color,
    pub dash: &'static [f64],
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
}

impl Look {
    /// The look of an arm at a point of the sweep, both counted from 0: the colour is the arm, the dash is the point, and marks differ in both. From
    /// the eighth arm on colours come again with the next dash.
    #[must_use]
    pub fn new(arm: usize, point: usize) -> Self {
        let shapes = [Shape::Circle, Shape::Square, Shape::Triangle, Shape::Diamond];
        Self {
            color: LINES[arm % LINES.len()],
            dash: DASHES[(point + arm / LINES.len()) % DASHES.len()],
            shape: shapes[(arm + point) % shapes.len()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Color, LINES, PAPER, Theme};

    /// The ratio of WCAG 2.1.
    fn contrast(one: Color, other: Color) -> f64 {
        let luminance = |color: Color| {
            let [red, green, blue] = color.rgb.map(|part| {
                let part = f64::from(part) / 255.0;
                if part <= 0.03928 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05
        };
        let (one, other) = (luminance(one), luminance(other));
        one.max(other) / one.min(other)
    }

    #[test]
    fn lines_stand_out_from_light_and_dark_paper() {
        for theme in [Theme::Light, Theme::Dark] {
            for line in LINES {
                let ratio = contrast(theme.color(line), theme.color(PAPER));
                assert!(ratio >= 3.0, "{line:?} {theme:?}: {ratio}");
            }
        }
        assert!(contrast(Color::new(0x00e6_9f00), PAPER) < 3.0, "control: amber is lost on white");
    }
}
