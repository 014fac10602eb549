//! The marks of lines, on a canvas.

use super::canvas::{Canvas, Point};
use super::style::{Look, PAPER, Shape};

impl Look {
    /// Puts this line's mark at a point.
    pub fn mark(&self, canvas: &mut Canvas, at: Point) {
        canvas.area(self.outline(at), self.color);
    }

    /// The same, hollow: for what was not reached.
    pub fn hollow_mark(&self, canvas: &mut Canvas, at: Point) {
        let mut outline = self.outline(at);
        canvas.area(outline.clone(), PAPER);
        outline.push(outline[0]);
        canvas.line(outline, self.color, 0.9, &[]);
    }

    fn outline(&self, (x, y): Point) -> Vec<Point> {
        let polygon = |corners: u32, radius: f64, turn: f64| {
            let corner = |i: u32| {
                let angle = std::f64::consts::TAU * (f64::from(i) / f64::from(corners) + turn);
                (x + radius * angle.sin(), y - radius * angle.cos())
            };
            (0..corners).map(corner).collect()
        };
        match self.shape {
            Shape::Circle => polygon(24, 2.0, 0.0),
            Shape::Square => polygon(4, 2.5, 0.125),
            Shape::Triangle => polygon(3, 2.7, 0.0),
            Shape::Diamond => polygon(4, 2.7, 0.0),
        }
    }
}
