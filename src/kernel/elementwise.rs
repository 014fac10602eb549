//! Rectifiers and sums, element by element.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Real;
use super::fresh::filled;

/// Elements a task.
const CHUNK: usize = 1 << 14;

/// `max(x, 0)`; NaN stays.
#[must_use]
pub fn relu<T: Real>(x: &[T]) -> Vec<T> {
    map(x, x, |x, _| rectify(x))
}

/// `max(a + b, 0)`; NaN stays.
#[must_use]
pub fn add_relu<T: Real>(a: &[T], b: &[T]) -> Vec<T> {
    map(a, b, |a, b| rectify(a + b))
}

/// `gradient` where `output` is positive, else zero.
#[must_use]
pub fn gate<T: Real>(output: &[T], gradient: &[T]) -> Vec<T> {
    map(output, gradient, |output, gradient| if output > T::ZERO { gradient } else { T::ZERO })
}

/// `a + b`.
#[must_use]
pub fn add<T: Real>(a: &[T], b: &[T]) -> Vec<T> {
    map(a, b, |a, b| a + b)
}

/// `a·x`.
#[must_use]
pub fn scale<T: Real>(a: T, x: &[T]) -> Vec<T> {
    map(x, x, |x, _| a * x)
}

/// `a·x + b·y`.
#[must_use]
pub fn combine<T: Real>(a: T, x: &[T], b: T, y: &[T]) -> Vec<T> {
    map(x, y, |x, y| a * x + b * y)
}

/// `x ← keep·x + add·y`.
pub fn add_scaled<T: Real>(keep: T, x: &mut [T], add: T, y: &[T]) {
    x.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).for_each(|(x, y)| {
        for (x, &y) in x.iter_mut().zip(y) {
            *x = keep * *x + add * y;
        }
    });
}

/// The numbers of a step of Adam (Kingma & Ba 2015).
#[derive(Debug, Clone, Copy)]
pub struct Adam<T> {
    pub betas: [T; 2],
    /// `1 − β`.
    pub rests: [T; 2],
    /// `1 − β₁ᵗ` and `√(1 − β₂ᵗ)`.
    pub corrections: [T; 2],
    pub eps: T,
}

impl<T: Real> Adam<T> {
    /// New first and second moments, and the step.
    pub fn step(&self, first: &[T], second: &[T], update: &[T]) -> [Vec<T>; 3] {
        let m = map(first, update, |m, u| self.betas[0] * m + self.rests[0] * u);
        let v = map(second, update, |v, u| self.betas[1] * v + self.rests[1] * (u * u));
        let step = map(&m, &v, |m, v| m / (v.square_root() / self.corrections[1] + self.eps) / self.corrections[0]);
        [m, v, step]
    }
}

fn rectify<T: Real>(x: T) -> T {
    if x < T::ZERO { T::ZERO } else { x }
}

fn map<T: Real>(a: &[T], b: &[T], f: impl Fn(T, T) -> T + Sync) -> Vec<T> {
    let write = |out: &mut [MaybeUninit<T>]| {
        out.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).zip(b.par_chunks(CHUNK)).for_each(|((out, a), b)| {
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                out.write(f(a, b));
            }
        });
    };
    assert_eq!(a.len(), b.len());
    // SAFETY: both are as long as what is written.
    #[allow(unsafe_code)]
    unsafe {
        filled(a.len(), write)
    }
}
