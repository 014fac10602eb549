//! Layer normalisation: every row by its own mean and variance.

use rayon::prelude::*;

use super::Real;
use super::simd::widest;

/// Rows a task, and rows whose sums are taken in the numbers' own type.
const BLOCK: usize = 64;

/// `γ·x̂ + β` with `x̂ = (x − mean)/√(variance + ε)` over each row of as many numbers as γ has.
#[must_use]
pub fn forward<T: Real>(x: &[T], gamma: &[T], beta: &[T], epsilon: f64) -> Vec<T> {
    let columns = gamma.len();
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(BLOCK * columns).zip(x.par_chunks(BLOCK * columns)).for_each(|(y, x)| {
        widest!({
            for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
                let (mean, inverse) = moments(x, epsilon);
                for (((y, &x), &gamma), &beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                    *y = (x - mean) * inverse * gamma + beta;
                }
            }
        });
    });
    y
}

/// Gradients by `x`, `γ` and `β` of a loss whose gradient by the output is `dy`.
#[must_use]
pub fn backward<T: Real>(x: &[T], gamma: &[T], epsilon: f64, dy: &[T]) -> [Vec<T>; 3] {
    let (columns, size) = (gamma.len(), BLOCK * gamma.len());
    let mut dx = vec![T::ZERO; x.len()];
    let blocks = dx.par_chunks_mut(size).zip(x.par_chunks(size)).zip(dy.par_chunks(size));
    let of_block = |((dx, x), dy): ((&mut [T], &[T]), &[T])| widest!(block_backward(dx, x, gamma, epsilon, dy));
    let sums: Vec<[Vec<T>; 2]> = blocks.map(of_block).collect();
    let total = |which: usize| {
        let mut total = vec![0.0; columns];
        for sum in &sums {
            for (total, &sum) in total.iter_mut().zip(&sum[which]) {
                *total += sum.double();
            }
        }
        total.into_iter().map(T::real).collect()
    };
    let (grad_gamma, grad_beta) = (total(0), total(1));
    [dx, grad_gamma, grad_beta]
}

/// Puts the gradient by `x` of some rows to `dx`, and returns those by γ and β.
#[inline(always)]
fn block_backward<T: Real>(dx: &mut [T], x: &[T], gamma: &[T], epsilon: f64, dy: &[T]) -> [Vec<T>; 2] {
    let columns = gamma.len();
    let (mut grad_gamma, mut grad_beta) = (vec![T::ZERO; columns], vec![T::ZERO; columns]);
    let rows = dx.chunks_exact_mut(columns).zip(x.chunks_exact(columns)).zip(dy.chunks_exact(columns));
    let share = T::real(1.0 / columns as f64);
    for ((dx, x), dy) in rows {
        let (mean, inverse) = moments(x, epsilon);
        for ((((grad_gamma, grad_beta), dx), &x), &dy) in
            grad_gamma.iter_mut().zip(&mut grad_beta).zip(dx.iter_mut()).zip(x).zip(dy)
        {
            // For now x̂.
            *dx = (x - mean) * inverse;
            *grad_gamma += dy * *dx;
            *grad_beta += dy;
        }
        // dx = (γ·dy − mean(γ·dy) − x̂·mean(γ·dy·x̂)) / σ
        let pull = sum(columns, |i| gamma[i] * dy[i]) * share;
        let lean = sum(columns, |i| gamma[i] * dy[i] * dx[i]) * share;
        for ((dx, &dy), &gamma) in dx.iter_mut().zip(dy).zip(gamma) {
            *dx = (gamma * dy - pull - *dx * lean) * inverse;
        }
    }
    [grad_gamma, grad_beta]
}

/// Mean of a row, and 1/√(variance + ε).
#[inline(always)]
fn moments<T: Real>(row: &[T], epsilon: f64) -> (T, T) {
    let count = row.len() as f64;
    let mean = sum(row.len(), |i| row[i].double()) / count;
    let variance = sum(row.len(), |i| (row[i].double() - mean) * (row[i].double() - mean)) / count;
    (T::real(mean), T::real(1.0 / (variance + epsilon).sqrt()))
}

/// The sum of `of(i)` for all `i` below `count`, sixteen of them at once.
#[inline(always)]
fn sum<N: Copy + Default + std::ops::Add<Output = N>>(count: usize, of: impl Fn(usize) -> N) -> N {
    let mut sums = [N::default(); 16];
    for at in 0..count / 16 {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = *sum + of(at * 16 + i);
        }
    }
    let rest = (count / 16 * 16..count).fold(N::default(), |sum, i| sum + of(i));
    sums.into_iter().fold(rest, |total, sum| total + sum)
}
