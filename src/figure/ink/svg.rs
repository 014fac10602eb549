//! A canvas as SVG. Text stays text, in a font that readers may lack: the names of fonts with the same metrics follow.

use std::fmt::Write as _;

use super::canvas::{Anchor, Canvas, Mark, Point};
use super::font::{FONT, MIDDLE};
use super::style::{Color, PAPER, Theme, arm_of};
use crate::text::plain;

/// The whole document.
#[must_use]
pub fn svg(canvas: &Canvas, theme: Theme) -> String {
    let (width, height) = (canvas.width, canvas.height);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}pt\" height=\"{height}pt\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\" role=\"img\" aria-label=\"{}\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
        escape(&canvas.label),
        theme.css(PAPER)
    );
    for mark in &canvas.marks {
        svg.push_str(&element(mark, theme));
        svg.push('\n');
    }
    svg.push_str("</svg>\n");
    svg
}

fn element(mark: &Mark, theme: Theme) -> String {
    match mark {
        Mark::Line { points, color, width, dash } => {
            let dash = match dash {
                [] => String::new(),
                lengths => format!(
                    " stroke-dasharray=\"{}\"",
                    lengths.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
                ),
            };
            let class = class(*color, theme);
            format!(
                "<polyline{class} points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" \
                 stroke-linejoin=\"round\"{dash}/>",
                coordinates(points),
                theme.css(*color)
            )
        }
        Mark::Area { points, color } => {
            let opacity = if color.alpha < 1.0 { format!(" fill-opacity=\"{}\"", color.alpha) } else { String::new() };
            format!(
                "<polygon{} points=\"{}\" fill=\"{}\"{opacity}/>",
                class(*color, theme),
                coordinates(points),
                theme.css(*color)
            )
        }
        Mark::Hover { from: (left, top), to: (right, bottom), text } => format!(
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"none\" pointer-events=\"all\">\
             <title>{}</title></rect>",
            right - left,
            bottom - top,
            escape(text)
        ),
        Mark::Text { at: (x, y), text, size, color, anchor, turned } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let turn = if *turned { " rotate(-90)" } else { "" };
            format!(
                "<text transform=\"translate({x:.2} {y:.2}){turn}\" y=\"{:.2}\" font-size=\"{size}\" fill=\"{}\" \
                 text-anchor=\"{anchor}\">{}</text>",
                MIDDLE * size,
                theme.css(*color),
                escape(text)
            )
        }
    }
}

/// On a page, the class by which an arm's lines and marks are found.
fn class(color: Color, theme: Theme) -> String {
    let arm = arm_of(color).filter(|_| theme == Theme::Page);
    arm.map_or(String::new(), |arm| format!(" class=\"arm{arm}\""))
}

fn coordinates(points: &[Point]) -> String {
    points.iter().fold(String::new(), |mut all, (x, y)| {
        let space = if all.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(all, "{space}{x:.2},{y:.2}");
        all
    })
}

/// Text that cannot be taken for markup, of characters that XML takes.
#[must_use]
pub fn escape(text: &str) -> String {
    plain(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Canvas, Theme, svg};

    #[test]
    fn names_cannot_break_the_document() {
        let mut canvas = Canvas::new(10.0, 10.0);
        canvas.text((5.0, 5.0), "a<b & \"c\">", Anchor::Start);
        assert!(svg(&canvas, Theme::Light).contains(">a&lt;b &amp; &quot;c&quot;&gt;</text>"));
    }
}
