//! A rectangle with two axes, and marks placed by their numbers.

use super::canvas::{Anchor, Canvas, Point};
use super::scale::Scale;
use super::style::{BELOW, COLUMN, FRAME, GRID, LEADING, LEFT, Look, MARGIN};
use super::words::{fit_apart, text_width};

const HEIGHT: f64 = 122.0;
const TICK: f64 = 3.0;

/// The rectangle inside the axes.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// Panels beside and below each other that fill a figure: some in a row, or one where the figure is as wide as one column of a paper.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    width: f64,
    columns: usize,
}

impl Grid {
    /// For so many panels in a figure of this width, two in a row.
    #[must_use]
    pub fn new(width: f64, panels: usize) -> Self {
        Self::of_rows(width, panels.min(2))
    }

    /// With up to three panels in a row, if they are as many.
    #[must_use]
    pub fn of_rows(width: f64, in_a_row: usize) -> Self {
        Self { width, columns: if width > COLUMN { in_a_row.clamp(1, 3) } else { 1 } }
    }

    /// Where panels go that come in groups of these sizes, each of which begins a row.
    #[must_use]
    pub fn places(&self, groups: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let place = |(start, places): (usize, Vec<usize>), size: usize| {
            let places = [places, (start..start + size).collect()].concat();
            ((start + size).next_multiple_of(self.columns), places)
        };
        groups.into_iter().fold((0, Vec::new()), place).1
    }

    /// The rectangle of a panel, counted from 0 along rows.
    #[must_use]
    pub fn frame(&self, index: usize) -> Frame {
        let (row, column) = (index / self.columns, index % self.columns);
        let width = self.width / self.columns as f64 - LEFT - MARGIN;
        let left = LEFT + column as f64 * (width + MARGIN + LEFT);
        let top = MARGIN + row as f64 * (HEIGHT + BELOW + MARGIN);
        Frame { left, top, right: left + width, bottom: top + HEIGHT }
    }

    /// Where a legend below so many panels starts.
    #[must_use]
    pub fn below(&self, panels: usize) -> f64 {
        self.frame(panels.max(1) - 1).bottom + BELOW
    }
}

/// The names of rows as they fit to the left of a panel, and where that panel starts.
#[must_use]
pub fn names(names: &[String], width: f64) -> (Vec<String>, f64) {
    let names = fit_apart(names, 0.4 * width);
    let widest = names.iter().map(|name| text_width(name)).fold(0.0, f64::max);
    (names, MARGIN + widest + 6.0)
}

/// A rectangle in which numbers have places.
#[derive(Debug)]
pub struct Panel {
    pub frame: Frame,
    pub x: Scale,
    pub y: Scale,
}

impl Panel {
    /// A panel with `count` rows in place of numbers along y, the first on top.
    #[must_use]
    pub fn of_rows(frame: Frame, x: Scale, count: usize) -> Self {
        Self { frame, x, y: Scale::rows(count) }
    }

    /// Where the middle of a row is along y.
    #[must_use]
    pub fn row(&self, index: usize) -> f64 {
        self.y.high() - 0.5 - index as f64
    }

    /// Grid, frame, ticks and names of both axes. Comes first, as the lowest.
    pub fn axes(&self, canvas: &mut Canvas, x_name: &str, y_name: &str) {
        let Frame { left, top, right, bottom } = self.frame;
        self.x_axis(canvas, x_name);
        for tick in &self.y.ticks {
            let y = self.y_at(tick.value);
            canvas.line(vec![(left, y), (right, y)], GRID, 0.5, &[]);
            canvas.line(vec![(left - TICK, y), (left, y)], FRAME, 0.6, &[]);
            canvas.text((left - TICK - 2.0, y), &tick.label, Anchor::End);
        }
        canvas.turned_text((left - LEFT + 5.0, (top + bottom) / 2.0), y_name);
        self.border(canvas);
    }

    /// Ticks, grid and name of the x axis alone, for a panel of rows.
    pub fn x_axis(&self, canvas: &mut Canvas, name: &str) {
        let Frame { left, top, right, bottom } = self.frame;
        let mut free_from = f64::NEG_INFINITY;
        for tick in &self.x.ticks {
            let x = self.x_at(tick.value);
            canvas.line(vec![(x, top), (x, bottom)], GRID, 0.5, &[]);
            canvas.line(vec![(x, bottom), (x, bottom + TICK)], FRAME, 0.6, &[]);
            // Ticks at chosen values may be close: a label that would run into the last one is left out.
            let half = text_width(&tick.label) / 2.0;
            if x - half > free_from {
                canvas.text((x, bottom + TICK + 6.5), &tick.label, Anchor::Middle);
                free_from = x + half + 3.0;
            }
        }
        // A long name beside long names of rows would run out of the picture.
        let half = text_width(name) / 2.0;
        let center = ((left + right) / 2.0).min(canvas.width - half - 1.0).max(half + 1.0);
        canvas.text((center, bottom + TICK + 6.5 + LEADING), name, Anchor::Middle);
    }

    /// The frame itself, over the ends of grid lines.
    pub fn border(&self, canvas: &mut Canvas) {
        let Frame { left, top, right, bottom } = self.frame;
        canvas.line(vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], FRAME, 0.6, &[]);
    }

    /// A line through points that are numbers; one that is not breaks it, and what is beyond the y axis is cut off.
    pub fn line(&self, canvas: &mut Canvas, points: &[Point], look: &Look) {
        for run in points.split(|point| !is_finite(point)) {
            for piece in self.visible(run) {
                canvas.line(piece, look.color, 1.1, look.dash);
            }
        }
    }

    /// The pieces of a line that are within the y axis, on the canvas.
    fn visible(&self, points: &[Point]) -> Vec<Vec<Point>> {
        let mut pieces: Vec<Vec<Point>> = vec![Vec::new()];
        for pair in points.windows(2) {
            let &[(x0, y0), (x1, y1)] = pair else { continue };
            let (from, to) = (self.y.place_of(y0), self.y.place_of(y1));
            // Where along the segment the lower and the upper end are crossed.
            let crossings = [0.0, 1.0].map(|end| (end - from) / (to - from));
            let (enters, leaves) = if from == to || !(from - to).is_finite() {
                if (0.0..=1.0).contains(&from) { (0.0, 1.0) } else { (1.0, 0.0) }
            } else {
                (crossings[0].min(crossings[1]).max(0.0), crossings[0].max(crossings[1]).min(1.0))
            };
            if enters >= leaves {
                pieces.push(Vec::new());
                continue;
            }
            let (left, right) = (self.x_at(x0), self.x_at(x1));
            let (height, bottom) = (self.frame.bottom - self.frame.top, self.frame.bottom);
            let at = |share: f64| (left + share * (right - left), bottom - (from + share * (to - from)) * height);
            if let Some(last) = pieces.last_mut() {
                if last.is_empty() {
                    last.push(at(enters));
                }
                last.push(at(leaves));
            }
            if leaves < 1.0 {
                pieces.push(Vec::new());
            }
        }
        pieces
    }

    /// The number of a mark that is beyond an axis, beside the edge where it is drawn, with an arrow to where it is.
    pub fn tell_beyond(&self, canvas: &mut Canvas, point: Point, number: &str) {
        let (x, y) = self.at(point);
        let (beside, below) = (self.x.beyond(point.0), self.y.beyond(point.1));
        if beside < 0 {
            canvas.text((x + 5.0, y), &format!("← {number}"), Anchor::Start);
        } else if beside > 0 && below == 0 {
            canvas.text((x - 5.0, y), &format!("{number} →"), Anchor::End);
        } else if below != 0 {
            let (arrow, up) = if below < 0 { ("↓", 7.0) } else { ("↑", -7.0) };
            let text = format!("{arrow} {number}");
            let half = text_width(&text) / 2.0;
            let x = x.clamp(self.frame.left + half + 2.0, self.frame.right - half - 2.0);
            canvas.text((x, y - up), &text, Anchor::Middle);
        }
    }

    /// The area between two numbers at each x: `(x, low, high)`.
    pub fn band(&self, canvas: &mut Canvas, points: &[(f64, f64, f64)], look: &Look) {
        for run in points.split(|&(x, low, high)| !is_finite(&(x, low)) || !high.is_finite()) {
            if run.len() > 1 {
                let upper = run.iter().map(|&(x, _, high)| self.at((x, high)));
                let lower = run.iter().rev().map(|&(x, low, _)| self.at((x, low)));
                canvas.area(upper.chain(lower).collect(), look.color.faint());
            }
        }
    }

    /// The mark of a line at a point.
    pub fn mark(&self, canvas: &mut Canvas, point: Point, look: &Look) {
        if is_finite(&point) {
            look.mark(canvas, self.at(point));
        }
    }

    /// What a pointer near a point is told.
    pub fn hover(&self, canvas: &mut Canvas, point: Point, text: String) {
        const REACH: f64 = 4.0;
        if is_finite(&point) {
            let (x, y) = self.at(point);
            canvas.hover((x - REACH, y - REACH), (x + REACH, y + REACH), text);
        }
    }

    /// From one point to another, for the spread around a mean.
    pub fn whisker(&self, canvas: &mut Canvas, from: Point, to: Point, look: &Look) {
        if is_finite(&from) && is_finite(&to) {
            canvas.line(vec![self.at(from), self.at(to)], look.color, 1.0, &[]);
        }
    }

    /// Where a point is on the canvas.
    #[must_use]
    pub fn at(&self, (x, y): Point) -> Point {
        (self.x_at(x), self.y_at(y))
    }

    /// Where a number along x is on the canvas.
    #[must_use]
    pub fn x_at(&self, x: f64) -> f64 {
        self.frame.left + self.x.place(x) * (self.frame.right - self.frame.left)
    }

    fn y_at(&self, y: f64) -> f64 {
        self.frame.bottom - self.y.place(y) * (self.frame.bottom - self.frame.top)
    }
}

fn is_finite((x, y): &Point) -> bool {
    x.is_finite() && y.is_finite()
}

#[cfg(test)]
mod tests {
    use super::{COLUMN, Grid};

    #[test]
    fn a_group_of_panels_begins_a_row() {
        let wide = Grid::of_rows(2.0 * COLUMN, 3);
        assert_eq!(wide.places([3, 2, 1, 4, 1]), [0, 1, 2, 3, 4, 6, 9, 10, 11, 12, 15]);
        // As wide as a column of a paper there is one in a row.
        assert_eq!(Grid::of_rows(COLUMN, 3).places([2, 1]), [0, 1, 2]);
    }
}
