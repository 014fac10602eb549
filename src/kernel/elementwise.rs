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

/// `a·x + b·y`.
#[must_use]
pub fn combine<T: Real>(a: T, x: &[T], b: T, y: &[T]) -> Vec<T> {
    map(x, y, |x, y| a * x + b * y)
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
