//! Dense products on one thread, by faer, for kernels that split their work themselves.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::Real;

/// A matrix in a slice.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    /// Whether the numbers are those of its columns, one after the other.
    by_columns: bool,
}

impl<'a, T> Matrix<'a, T> {
    /// `rows × columns`, row after row.
    #[must_use]
    pub fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns);
        Self { values, rows, columns, by_columns: false }
    }

    /// Rows and columns.
    #[must_use]
    pub const fn dims(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// For faer.
    pub(super) fn view(&self) -> MatRef<'a, T> {
        if self.by_columns {
            MatRef::from_column_major_slice(self.values, self.rows, self.columns)
        } else {
            MatRef::from_row_major_slice(self.values, self.rows, self.columns)
        }
    }

    /// The transpose, without moving a number.
    #[must_use]
    pub const fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, by_columns: !self.by_columns, ..self }
    }
}

/// `a · b`, row after row.
#[must_use]
pub fn new<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> Vec<T> {
    let mut out = vec![T::ZERO; a.rows * b.columns];
    set(&mut out, a, b);
    out
}

/// `out = a · b`, `out` row after row.
pub fn set<T: Real>(out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    multiply(out, a, b, Accum::Replace);
}

/// `out += a · b`, `out` row after row.
pub fn add<T: Real>(out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    multiply(out, a, b, Accum::Add);
}

fn multiply<T: Real>(out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>, accum: Accum) {
    let out = MatMut::from_row_major_slice_mut(out, a.rows, b.columns);
    matmul(out, accum, a.view(), b.view(), T::ONE, Par::Seq);
}

#[cfg(test)]
mod tests {
    use super::{Matrix, add, new, set};

    #[test]
    fn products_of_transposes_are_made_set_and_added() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 2.0, 1.0]);
        let mut out = [9.0; 6];
        set(&mut out, Matrix::new(&a, 3, 2), Matrix::new(&b, 2, 2));
        assert_eq!(out, [5.0, 2.0, 11.0, 4.0, 17.0, 6.0]);
        assert_eq!(new(Matrix::new(&a, 3, 2), Matrix::new(&b, 2, 2)), out);
        add(&mut out, Matrix::new(&a, 2, 3).transposed(), Matrix::new(&b, 2, 2).transposed());
        assert_eq!(out, [6.0, 8.0, 13.0, 13.0, 20.0, 18.0]);
    }
}
