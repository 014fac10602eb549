//! Second moments of rows, `XᵀX`, by triangular products: half the work of a full one.

use super::engine::Engine;
use super::matrix::{self, mirror};
use super::product::Matrix;
use super::tiles::patches;
use super::{Geometry, Real, simd};

/// Rows that are gathered before they are multiplied: enough to make a product of it.
const TILE: usize = 1024;

/// `XᵀX` of `rows`, each of `columns` numbers.
#[must_use]
pub fn rows<T: Real>(rows: &[T], columns: usize) -> Vec<T> {
    let mut gram = Gram::new(columns, false);
    for tile in rows.chunks(TILE * columns) {
        gram.add(tile);
    }
    gram.finish()
}

/// `XᵀX` of the patches of a convolution's input, `(k·k·C_in) (+ 1)` square, without having all patches at once.
#[must_use]
pub fn conv<T: Real>(engine: Engine, g: &Geometry, x: &[T], ones: bool) -> Vec<T> {
    let fast = || T::from_single(simd::moments(engine.instance()?, g, T::single(x)?)?);
    if let Some(moments) = (!ones).then(fast).flatten() {
        return moments;
    }
    let (mut gram, mut buffer) = (Gram::new(g.patch(), ones), Vec::new());
    for first in (0..g.pixels()).step_by(TILE) {
        gram.add(patches(g, x, first, TILE.min(g.pixels() - first), &mut buffer));
    }
    gram.finish()
}

/// The sum so far; only its lower triangle is kept.
struct Gram<T> {
    columns: usize,
    /// `columns`, and one more for the ones.
    order: usize,
    sum: Vec<T>,
    /// Rows with their one behind them.
    padded: Vec<T>,
}

impl<T: Real> Gram<T> {
    fn new(columns: usize, ones: bool) -> Self {
        let order = columns + usize::from(ones);
        Self { columns, order, sum: matrix::zeros(order * order), padded: Vec::new() }
    }

    fn add(&mut self, rows: &[T]) {
        let count = rows.len() / self.columns;
        let rows = if self.order == self.columns {
            rows
        } else {
            self.padded.clear();
            for row in rows.chunks_exact(self.columns) {
                self.padded.extend_from_slice(row);
                self.padded.push(T::ONE);
            }
            &self.padded
        };
        let rows = Matrix::new(rows, count, self.order);
        matrix::add_lower(&mut self.sum, rows.transposed(), rows);
    }

    /// The whole matrix.
    fn finish(mut self) -> Vec<T> {
        mirror(&mut self.sum, self.order);
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::conv;
    use crate::kernel::Geometry;
    use crate::kernel::{Conv, Engine};
    use crate::random::Random;
    use proptest::prelude::*;

    /// Edge of a map and sixteens of channels: few channels, so many that a side is packed, maps of which two are listed together and a third
    /// by itself, and maps of which each is.
    fn shapes() -> impl Strategy<Value = (usize, usize)> {
        prop_oneof![
            (2usize..14, 1usize..3),
            (2usize..10, 8usize..10),
            (18usize..20, 1usize..2),
            (30usize..34, 1usize..2)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn shifted_correlations_agree_with_products_of_patches(
            batch in 1usize..4, (size, panels) in shapes(), longer in 0usize..6, tall: bool,
        ) {
            let inputs = 16 * panels;
            let (height, width) = if tall { (size + longer, size) } else { (size, size + longer) };
            let g = Geometry { batch, height, width, inputs, outputs: 1, kernel: 3, stride: 1, padding: 1 };
            let mut random = Random::new(1, "x");
            let mut x: Vec<f32> = (0..batch * g.image()).map(|_| random.normal() as f32).collect();
            let theirs = conv(Engine::PORTABLE, &g, &x, false);
            let largest = theirs.iter().fold(0f32, |largest, value| largest.max(value.abs()));
            let off = |ours: &[f32]| ours.iter().zip(&theirs).fold(0f32, |off, (a, b)| off.max((a - b).abs()));
            for engine in Engine::all().filter(|engine| engine.conv == Conv::Auto && engine.is_by_hand()) {
                let ours = conv(engine, &g, &x, false);
                prop_assert_eq!(ours.len(), theirs.len());
                prop_assert!(off(&ours) < 1e-5 * largest, "{engine:?}: {}", off(&ours) / largest);
                prop_assert_eq!(&ours, &conv(engine, &g, &x, false), "the same bits twice");
            }
            // Control: one number of a corner pixel matters.
            x[0] += 100.0;
            prop_assert!(off(&conv(Engine::AUTO, &g, &x, false)) > 1e-3 * largest);
        }
    }
}
