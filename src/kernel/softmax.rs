//! Softmax by rows.

use rayon::prelude::*;

use super::elementary::Elementary;

/// Rows a task.
const BLOCK: usize = 64;

/// `e^(x − max) / Σ e^(x − max)` over each row of `columns` numbers; a row with a NaN becomes NaN.
#[must_use]
pub fn forward<T: Elementary>(x: &[T], columns: usize) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(BLOCK * columns).zip(x.par_chunks(BLOCK * columns)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
            let largest = x.iter().fold(T::NEG_INFINITY, |largest, &x| if x > largest { x } else { largest });
            let mut sum = T::ZERO;
            for (y, &x) in y.iter_mut().zip(x) {
                *y = T::exp(x - largest);
                sum += *y;
            }
            let share = T::ONE / sum;
            for y in y {
                *y *= share;
            }
        }
    });
    y
}

/// `y · (dy − ⟨y, dy⟩)` by rows.
#[must_use]
pub fn backward<T: Elementary>(y: &[T], dy: &[T], columns: usize) -> Vec<T> {
    let mut dx = vec![T::ZERO; y.len()];
    let size = BLOCK * columns;
    dx.par_chunks_mut(size).zip(y.par_chunks(size)).zip(dy.par_chunks(size)).for_each(|((dx, y), dy)| {
        let rows = dx.chunks_exact_mut(columns).zip(y.chunks_exact(columns)).zip(dy.chunks_exact(columns));
        for ((dx, y), dy) in rows {
            let product = y.iter().zip(dy).fold(T::ZERO, |sum, (&y, &dy)| sum + y * dy);
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = y * (dy - product);
            }
        }
    });
    dx
}
