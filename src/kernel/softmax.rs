//! Softmax of rows, in their place.

use super::elementary::Elementary;
use super::matrix::dot;

/// `e^(x − max) / Σ e^(x − max)` of a row; a row with a NaN becomes NaN.
#[inline(always)]
pub fn forward<T: Elementary>(row: &mut [T]) {
    let largest = fold(row, T::NEG_INFINITY, |largest, x| if x > largest { x } else { largest });
    for x in row.iter_mut() {
        *x = T::exp(*x - largest);
    }
    let share = T::ONE / fold(row, T::ZERO, |sum, x| sum + x);
    for x in row {
        *x *= share;
    }
}

/// `y · (dy − ⟨y, dy⟩)` of each row of `columns` numbers, in the place of `dy`.
#[inline(always)]
pub fn backward<T: Elementary>(y: &[T], dy: &mut [T], columns: usize) {
    for (y, dy) in y.chunks_exact(columns).zip(dy.chunks_exact_mut(columns)) {
        let product = dot(y, dy);
        for (dy, &y) in dy.iter_mut().zip(y) {
            *dy = y * (*dy - product);
        }
    }
}

/// Over many numbers at once, so that the compiler can: the order depends on their count alone.
#[inline(always)]
fn fold<T: Elementary>(row: &[T], start: T, of: impl Fn(T, T) -> T) -> T {
    let (chunks, rest) = row.as_chunks::<16>();
    let mut many = [start; 16];
    for x in chunks {
        for (many, &x) in many.iter_mut().zip(x) {
            *many = of(*many, x);
        }
    }
    rest.iter().copied().chain(many).fold(start, of)
}
