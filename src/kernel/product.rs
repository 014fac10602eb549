//! Dense products on one thread, for kernels that split their work themselves.

use faer::MatRef;

use super::Real;
use super::fresh::filled;

/// A matrix in a slice.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// `rows × columns`, row after row.
    #[must_use]
    pub fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns);
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// Rows and columns.
    #[must_use]
    pub const fn dims(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// For faer.
    pub(super) fn view(&self) -> MatRef<'a, T> {
        if self.column_stride == 1 {
            MatRef::from_row_major_slice(self.values, self.rows, self.columns)
        } else {
            MatRef::from_column_major_slice(self.values, self.rows, self.columns)
        }
    }

    /// The transpose, without moving a number.
    #[must_use]
    pub const fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `a · b`, row after row.
#[must_use]
#[allow(unsafe_code)]
pub fn new<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> Vec<T> {
    assert!(a.columns > 0);
    // SAFETY: the product has as many numbers, and as none of them is a sum of nothing, each is stored.
    unsafe { filled(a.rows * b.columns, |out| multiply(out.as_mut_ptr().cast(), a, b, false)) }
}

/// `out = a · b`, `out` row after row.
#[allow(unsafe_code)]
pub fn set<T: Real>(out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    assert_eq!(out.len(), a.rows * b.columns);
    // SAFETY: checked above.
    unsafe { multiply(out.as_mut_ptr(), a, b, false) };
}

/// `out += a · b`, `out` row after row.
#[allow(unsafe_code)]
pub fn add<T: Real>(out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    assert_eq!(out.len(), a.rows * b.columns);
    // SAFETY: checked above.
    unsafe { multiply(out.as_mut_ptr(), a, b, true) };
}

/// `out = a · b`, or `out += a · b` if `accumulate`.
///
/// # Safety
/// `out` is room for `a.rows × b.columns` numbers, which are there already if `accumulate`.
#[allow(unsafe_code)]
unsafe fn multiply<T: Real>(out: *mut T, a: Matrix<'_, T>, b: Matrix<'_, T>, accumulate: bool) {
    assert_eq!(a.columns, b.rows);
    // SAFETY: the caller's promise about `out`. `a` and `b` lie within their slices for every index below their dimensions: `new` checks
    // the length and `transposed` only exchanges dimensions together with their strides.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            b.columns as isize,
            accumulate,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            if accumulate { T::ONE } else { T::ZERO },
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
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
