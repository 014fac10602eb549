//! A canvas as PNG, at twice the resolution of a screen.
//!
//! plotters fills polygons without softening their edges, so they are drawn several times too large and shrunk.

use std::path::Path;

use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::{FontTransform, RGBAColor};

use super::canvas::{Anchor, Canvas, Mark, Point};
use super::font::{MIDDLE, SIZE_PER_EM, font};
use super::style::{Color, PAPER, Theme};
use super::words::text_width;

/// Pixels a point: a screen has 96 pixels an inch, of 72 points.
const SCALE: f64 = 2.0 * 96.0 / 72.0;

/// How many times too large everything is drawn.
const OVER: usize = 3;

/// Writes the image to `path`.
pub fn write_png(canvas: &Canvas, theme: Theme, path: &Path) -> anyhow::Result<()> {
    let pixels = |length: f64| (length * SCALE).round() as usize;
    let (width, height) = (pixels(canvas.width), pixels(canvas.height));
    let size = |times: usize| ((width * times) as u32, (height * times) as u32);
    let mut large = theme.color(PAPER).rgb.repeat(width * OVER * height * OVER);
    let mut backend = BitMapBackend::with_buffer(&mut large, size(OVER));
    for mark in &canvas.marks {
        draw(&mut backend, mark, theme)?;
    }
    drop(backend);
    let mut file = BitMapBackend::new(path, size(1));
    file.blit_bitmap((0, 0), size(1), &shrink(&large, width))?;
    file.present()?;
    Ok(())
}

fn draw(backend: &mut BitMapBackend<'_>, mark: &Mark, theme: Theme) -> anyhow::Result<()> {
    match mark {
        Mark::Hover { .. } => {}
        Mark::Line { points, color, width, dash } => {
            for stroke in strokes(points, dash) {
                draw_stroke(backend, &stroke, theme.color(*color), *width)?;
            }
        }
        Mark::Area { points, color } => {
            backend.fill_polygon(points.iter().copied().map(pixel), &rgba(theme.color(*color)))?;
        }
        Mark::Text { at, text, size, color, anchor, turned } => {
            let size = *size * SCALE * OVER as f64 * SIZE_PER_EM;
            let ahead = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => text_width(text) / 2.0,
                Anchor::End => text_width(text),
            };
            // plotters puts the baseline half of its `size` below the point where a text starts.
            let above = MIDDLE * size / SIZE_PER_EM - size / 2.0;
            let (x, y) = if *turned { pixel((at.0, at.1 + ahead)) } else { pixel((at.0 - ahead, at.1)) };
            let above = above.round() as i32;
            let (transform, start) = if *turned {
                (FontTransform::Rotate270, (x + above, y))
            } else {
                (FontTransform::None, (x, y + above))
            };
            backend.draw_text(text, &font(size).transform(transform).color(&rgba(theme.color(*color))), start)?;
        }
    }
    Ok(())
}

/// A polyline as a rectangle for each of its segments and a disc at each of its joints.
fn draw_stroke(backend: &mut BitMapBackend<'_>, points: &[Point], color: Color, width: f64) -> anyhow::Result<()> {
    for segment in points.windows(2) {
        let &[(x0, y0), (x1, y1)] = segment else { continue };
        let length = (x1 - x0).hypot(y1 - y0);
        if length > 0.0 {
            let (across_x, across_y) = ((y0 - y1) / length * width / 2.0, (x1 - x0) / length * width / 2.0);
            let corners = [
                (x0 + across_x, y0 + across_y),
                (x1 + across_x, y1 + across_y),
                (x1 - across_x, y1 - across_y),
                (x0 - across_x, y0 - across_y),
            ];
            backend.fill_polygon(corners.map(pixel), &rgba(color))?;
        }
    }
    let radius = (width / 2.0 * SCALE * OVER as f64).round() as u32;
    for &joint in points.iter().skip(1).take(points.len().saturating_sub(2)) {
        backend.draw_circle(pixel(joint), radius, &rgba(color), true)?;
    }
    Ok(())
}

/// The strokes of a dashed polyline: those parts that its pattern of strokes and gaps leaves.
fn strokes(points: &[Point], dash: &[f64]) -> Vec<Vec<Point>> {
    let Some(&first) = points.first().filter(|_| !dash.is_empty()) else { return vec![points.to_vec()] };
    let mut pattern = dash.iter().copied().enumerate().cycle();
    let (mut phase, mut left) = pattern.next().unwrap_or_default();
    let (mut all, mut stroke, mut from) = (Vec::new(), vec![first], first);
    for &to in &points[1..] {
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length <= left {
                left -= length;
                stroke.push(to);
                from = to;
                break;
            }
            let share = left / length;
            from = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
            stroke.push(from);
            let ended = std::mem::replace(&mut stroke, vec![from]);
            if phase % 2 == 0 {
                all.push(ended);
            }
            (phase, left) = pattern.next().unwrap_or_default();
        }
    }
    if phase % 2 == 0 {
        all.push(stroke);
    }
    all
}

/// The means of blocks of [`OVER`]² pixels of three bytes; `width` is that of the result.
fn shrink(large: &[u8], width: usize) -> Vec<u8> {
    let mut small = Vec::with_capacity(large.len() / (OVER * OVER));
    for rows in large.chunks_exact(3 * width * OVER * OVER) {
        for x in 0..width {
            for channel in 0..3 {
                let samples = (0..OVER * OVER).map(|i| {
                    let (row, column) = (i / OVER, x * OVER + i % OVER);
                    usize::from(rows[3 * (row * width * OVER + column) + channel])
                });
                small.push((samples.sum::<usize>() / (OVER * OVER)) as u8);
            }
        }
    }
    small
}

fn pixel((x, y): Point) -> (i32, i32) {
    let place = |length: f64| (length * SCALE * OVER as f64).round() as i32;
    (place(x), place(y))
}

fn rgba(color: Color) -> RGBAColor {
    let [red, green, blue] = color.rgb;
    RGBAColor(red, green, blue, color.alpha)
}

#[cfg(test)]
mod tests {
    use super::{shrink, strokes};

    #[test]
    fn dashes_go_on_around_corners() {
        let corner = [(0.0, 0.0), (3.0, 0.0), (3.0, 4.0)];
        let expected = vec![vec![(0.0, 0.0), (2.0, 0.0)], vec![(3.0, 0.0), (3.0, 2.0)], vec![(3.0, 3.0), (3.0, 4.0)]];
        assert_eq!(strokes(&corner, &[2.0, 1.0]), expected);
        assert_eq!(strokes(&corner, &[]), [corner.to_vec()]);
    }

    #[test]
    fn shrinking_takes_means() {
        let block = |level: u8| vec![level; 3 * 3];
        let row = [block(0), block(90)].concat();
        let bright = [block(90), block(90)].concat();
        assert_eq!(shrink(&[row.clone(), row, bright].concat(), 2), [30, 30, 30, 90, 90, 90]);
    }
}
