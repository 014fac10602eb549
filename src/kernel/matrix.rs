//! Square matrices and products on all threads, by faer: what curvature is made of.
//!
//! Matrices are slices in row order. Results do not depend on how work is split.

use std::mem::MaybeUninit;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::{self, factor::LltRegularization};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::{Accum, MatMut, MatRef, Par, Spec};
use rayon::prelude::*;

use super::Real;
use super::fresh::filled;
use super::product::Matrix;

/// Edge of the blocks that are mirrored at once, so that both sides stay in cache.
const BLOCK: usize = 64;
/// Bands of rows that a triangle is cut into.
const BANDS: usize = 16;
/// Elements a task.
const CHUNK: usize = 1 << 15;

/// `a · b`, row after row.
#[must_use]
pub fn product<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> Vec<T> {
    let ((rows, inner), columns) = (a.dims(), b.dims().1);
    assert_eq!(inner, b.dims().0);
    let mut out = zeros(rows * columns);
    let target = MatMut::from_row_major_slice_mut(&mut out, rows, columns);
    matmul(target, Accum::Replace, a.view(), b.view(), T::ONE, Par::rayon(0));
    out
}

/// `a · b` of two matrices whose product is symmetric: half the work.
#[must_use]
pub fn symmetric_product<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> Vec<T> {
    let order = a.dims().0;
    let mut out = zeros(order * order);
    add_lower(&mut out, a, b);
    mirror(&mut out, order);
    out
}

/// Adds the lower triangle of `a · b`, and a little more, to `out`. faer's own triangular product is no faster than a full one where the
/// inner dimension is small.
pub fn add_lower<T: Real>(out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    let ((order, inner), columns) = (a.dims(), b.dims().1);
    assert!(inner == b.dims().0 && order == columns && out.len() == order * order);
    let band = order.div_ceil(BANDS).next_multiple_of(8);
    let (a, b) = (a.view(), b.view());
    // The longest bands first, so that threads end together.
    out.par_chunks_mut(band * order).enumerate().rev().with_max_len(1).for_each(|(i, out)| {
        let (first, rows) = (i * band, out.len() / order);
        let target = MatMut::from_row_major_slice_mut(out, rows, order).subcols_mut(0, first + rows);
        let b = b.subcols(0, first + rows);
        matmul(target, Accum::Add, a.subrows(first, rows), b, T::ONE, Par::Seq);
    });
}

/// The inverse of the symmetric positive definite `factor + δI`, by `LLᵀ`; `None` if it is not, or holds a number that is not finite.
#[must_use]
pub fn cholesky_inverse<T: Real>(factor: &[T], damping: f64, order: usize) -> Option<Vec<T>> {
    if !norm(factor).is_finite() {
        return None;
    }
    let mut lower = factor.to_vec();
    for diagonal in lower.iter_mut().step_by(order + 1) {
        *diagonal += T::real(damping);
    }
    let par = Par::rayon(0);
    // In column order the rows of a symmetric matrix are its columns.
    let factored = MatMut::from_column_major_slice_mut(&mut lower, order, order);
    let scratch = llt::factor::cholesky_in_place_scratch::<T>(order, par, Spec::default());
    let mut memory = MemBuffer::try_new(scratch).ok()?;
    llt::factor::cholesky_in_place(
        factored,
        LltRegularization::default(),
        par,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .ok()?;
    let mut root = zeros(order * order);
    let factored = MatRef::from_column_major_slice(&lower, order, order);
    invert_lower_triangular(MatMut::from_column_major_slice_mut(&mut root, order, order), factored, par);
    // L⁻ᵀL⁻¹ where L was: faer's own inverse keeps a third matrix, which is what a step needs most memory for.
    let root = MatRef::from_column_major_slice(&root, order, order);
    triangular::matmul(
        MatMut::from_row_major_slice_mut(&mut lower, order, order),
        BlockStructure::TriangularLower,
        Accum::Replace,
        root.transpose(),
        BlockStructure::TriangularUpper,
        root,
        BlockStructure::TriangularLower,
        T::ONE,
        par,
    );
    mirror(&mut lower, order);
    norm(&lower).is_finite().then_some(lower)
}

/// Copies the lower triangle to the upper one.
pub fn mirror<T: Real>(matrix: &mut [T], order: usize) {
    for top in (0..order).step_by(BLOCK) {
        let bottom = order.min(top + BLOCK);
        let (band, below) = matrix[top * order..].split_at_mut((bottom - top) * order);
        for row in 0..bottom - top {
            for column in 0..row {
                band[column * order + top + row] = band[row * order + top + column];
            }
        }
        // Sixteen columns of what is below are a line of the cache.
        band.par_chunks_mut(16 * order).enumerate().for_each(|(part, band)| {
            let rows = band.len() / order;
            for (i, below) in below.chunks_exact(order).enumerate() {
                for (row, &value) in below[top + part * 16..][..rows].iter().enumerate() {
                    band[row * order + bottom + i] = value;
                }
            }
        });
    }
}

/// `matrix · v` of a symmetric matrix, of which the lower triangle alone is read: what takes the time is to read it.
#[must_use]
pub fn times_vector<T: Real>(matrix: &[T], v: &[T]) -> Vec<T> {
    let order = v.len();
    assert_eq!(matrix.len(), order * order);
    let band = order.div_ceil(BANDS).max(BLOCK);
    let part = |(i, rows): (usize, &[T])| {
        let mut sums = vec![T::ZERO; (i * band + band).min(order)];
        for (row, values) in rows.chunks_exact(order).enumerate() {
            let place = i * band + row;
            let (left, on_diagonal) = (&values[..place], values[place]);
            let sum = dot(left, &v[..place]) + on_diagonal * v[place];
            sums[place] += sum;
            for (sum, &value) in sums[..place].iter_mut().zip(left) {
                *sum += value * v[place];
            }
        }
        sums
    };
    let parts: Vec<Vec<T>> = matrix.par_chunks(band * order.max(1)).enumerate().with_max_len(1).map(part).collect();
    let mut total = vec![T::ZERO; order];
    for part in parts {
        for (total, sum) in total.iter_mut().zip(part) {
            *total += sum;
        }
    }
    total
}

/// `√Σ (a − δ)²` over all elements, `δ` being `diagonal` on the diagonal of a square of `order`, else 0.
#[must_use]
pub fn distance<T: Real>(a: &[T], order: usize, diagonal: T) -> f64 {
    let row = |(i, row): (usize, &[T])| {
        let off = (row[i] - diagonal).double();
        wide_dot(&row[..i], &row[..i]) + wide_dot(&row[i + 1..], &row[i + 1..]) + off * off
    };
    if order == 0 {
        return 0.0;
    }
    let rows: Vec<f64> = a.par_chunks_exact(order).enumerate().map(row).collect();
    rows.iter().sum::<f64>().sqrt()
}

/// The square root of the sum of squares.
#[must_use]
pub fn norm<T: Real>(values: &[T]) -> f64 {
    inner(values, values).sqrt()
}

/// `Σ aᵢbᵢ` of as many numbers.
#[must_use]
pub fn inner<T: Real>(a: &[T], b: &[T]) -> f64 {
    let chunks: Vec<f64> = a.par_chunks(1 << 12).zip(b.par_chunks(1 << 12)).map(|(a, b)| wide_dot(a, b)).collect();
    chunks.iter().sum()
}

/// As [`dot`], in float64, where products of every float32 have room.
fn wide_dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let sums = a
        .iter()
        .zip(b)
        .fold([0.0; 16], |sums: [f64; 16], (a, b)| std::array::from_fn(|i| sums[i] + a[i].double() * b[i].double()));
    let rest = a_rest.iter().zip(b_rest).fold(0.0, |sum, (&a, &b)| sum + a.double() * b.double());
    sums.into_iter().fold(rest, |total, sum| total + sum)
}

/// Sixteen partial sums, in an array that is carried through the loop by value: so they stay in vector registers.
#[inline(always)]
pub(super) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let sums = a.iter().zip(b).fold([T::ZERO; 16], |sums, (a, b)| std::array::from_fn(|i| sums[i] + a[i] * b[i]));
    let rest = a_rest.iter().zip(b_rest).fold(T::ZERO, |sum, (&a, &b)| sum + a * b);
    sums.into_iter().fold(rest, |total, sum| total + sum)
}

/// Zeros, put there on all threads.
pub(super) fn zeros<T: Real>(count: usize) -> Vec<T> {
    let write = |out: &mut [MaybeUninit<T>]| {
        out.par_chunks_mut(CHUNK).for_each(|out| {
            for out in out {
                out.write(T::ZERO);
            }
        });
    };
    // SAFETY: all of it is written.
    #[allow(unsafe_code)]
    unsafe {
        filled(count, write)
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, distance, mirror, norm, product, symmetric_product, times_vector};
    use crate::random::Random;
    use proptest::prelude::*;

    fn random(count: usize) -> Vec<f64> {
        let mut random = Random::new(1, "matrix");
        (0..count).map(|_| random.normal()).collect()
    }

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-10)
    }

    /// The product by its definition.
    fn by_hand(a: &[f64], b: &[f64], [rows, inner, columns]: [usize; 3]) -> Vec<f64> {
        let element = |i: usize| (0..inner).map(|k| a[i / columns * inner + k] * b[k * columns + i % columns]).sum();
        (0..rows * columns).map(element).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn products_norms_and_mirrors_are_what_they_say(rows in 1usize..90, inner in 1usize..40, columns in 1usize..30) {
            let (a, b) = (random(rows * inner), random(inner * columns));
            let ours = product(Matrix::new(&a, rows, inner), Matrix::new(&b, inner, columns));
            prop_assert!(close(&ours, &by_hand(&a, &b, [rows, inner, columns])));
            let gram = product(Matrix::new(&a, rows, inner), Matrix::new(&a, rows, inner).transposed());
            let square = symmetric_product(Matrix::new(&gram, rows, rows), Matrix::new(&gram, rows, rows));
            prop_assert!(close(&square, &by_hand(&gram, &gram, [rows, rows, rows])));
            let v = &random(rows)[..];
            prop_assert!(close(&times_vector(&gram, v), &by_hand(&gram, v, [rows, rows, 1])));
            let mut mirrored = random(rows * rows);
            mirror(&mut mirrored, rows);
            for i in 0..rows * rows {
                prop_assert!(mirrored[i] == mirrored[i % rows * rows + i / rows]);
            }
            let sum: f64 = a.iter().map(|a| a * a).sum();
            prop_assert!((norm(&a) - sum.sqrt()).abs() < 1e-10);
            let off: f64 = (0..rows * rows)
                .map(|i| gram[i] - if i.is_multiple_of(rows + 1) { 1.0 } else { 0.0 })
                .map(|off| off * off)
                .sum();
            prop_assert!((distance(&gram, rows, 1.0) - off.sqrt()).abs() < 1e-9);
            // Control: another distance.
            prop_assert!((distance(&gram, rows, 2.0) - off.sqrt()).abs() > 1e-9);
        }
    }
}
