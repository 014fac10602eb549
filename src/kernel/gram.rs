//! Second moments of rows, `XᵀX`, by triangular products: half the work of a full one.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, MatMut, MatRef, Par};

use super::tiles::patches;
use super::{Geometry, Real};

/// Rows that are gathered before they are multiplied: enough to make a product of it.
const TILE: usize = 512;

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
pub fn conv<T: Real>(g: &Geometry, x: &[T], ones: bool) -> Vec<T> {
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
        Self { columns, order, sum: vec![T::ZERO; order * order], padded: Vec::new() }
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
        let rows = MatRef::from_row_major_slice(rows, count, self.order);
        matmul(
            MatMut::from_row_major_slice_mut(&mut self.sum, self.order, self.order),
            BlockStructure::TriangularLower,
            Accum::Add,
            rows.transpose(),
            BlockStructure::Rectangular,
            rows,
            BlockStructure::Rectangular,
            T::ONE,
            Par::rayon(0),
        );
    }

    /// The whole matrix.
    fn finish(mut self) -> Vec<T> {
        for row in 0..self.order {
            for column in 0..row {
                self.sum[column * self.order + row] = self.sum[row * self.order + column];
            }
        }
        self.sum
    }
}
