//! GELU, `x·Φ(x)` with the normal distribution's Φ (Hendrycks & Gimpel 2016), without approximation by tanh.

use rayon::prelude::*;

use super::elementary::Elementary;
use super::simd::widest;

/// Elements a task.
const CHUNK: usize = 1 << 12;

/// `x·Φ(x)`.
#[must_use]
pub fn forward<T: Elementary>(x: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        widest!({
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x * distribution(x);
            }
        });
    });
    y
}

/// `dy · (Φ(x) + x·φ(x))`.
#[must_use]
pub fn backward<T: Elementary>(x: &[T], dy: &[T]) -> Vec<T> {
    let height = T::real(0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2);
    let mut dx = vec![T::ZERO; x.len()];
    dx.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).zip(dy.par_chunks(CHUNK)).for_each(|((dx, x), dy)| {
        widest!({
            for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                let density = height * T::exp(x * x * T::real(-0.5));
                *dx = dy * (distribution(x) + x * density);
            }
        });
    });
    dx
}

/// Φ(x).
#[inline(always)]
fn distribution<T: Elementary>(x: T) -> T {
    T::real(0.5) * (T::ONE + T::erf(x * T::real(std::f64::consts::FRAC_1_SQRT_2)))
}
