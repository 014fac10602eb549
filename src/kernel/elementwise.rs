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

#[cfg(test)]
mod tests {
    use super::{Adam, add, add_relu, add_scaled, combine, gate, relu, scale};
    use crate::random::Random;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// The bits of a plain loop, over many tasks and their rest.
        #[test]
        fn each_is_its_definition_at_every_element(count in 1usize..50_000) {
            let random = |purpose: &str| {
                let mut random = Random::new(1, purpose);
                (0..count).map(|_| random.normal()).collect::<Vec<f64>>()
            };
            let (a, b, c) = (random("a"), random("b"), random("c"));
            let each = |f: &dyn Fn(usize) -> f64| (0..count).map(f).collect::<Vec<f64>>();
            prop_assert_eq!(relu(&a), each(&|i| a[i].max(0.0)));
            prop_assert_eq!(add_relu(&a, &b), each(&|i| (a[i] + b[i]).max(0.0)));
            prop_assert_eq!(gate(&a, &b), each(&|i| if a[i] > 0.0 { b[i] } else { 0.0 }));
            prop_assert_eq!(add(&a, &b), each(&|i| a[i] + b[i]));
            prop_assert_eq!(scale(0.3, &a), each(&|i| 0.3 * a[i]));
            prop_assert_eq!(combine(0.3, &a, -2.0, &b), each(&|i| 0.3 * a[i] + -2.0 * b[i]));
            let mut sum = a.clone();
            add_scaled(0.3, &mut sum, -2.0, &b);
            prop_assert_eq!(sum, each(&|i| 0.3 * a[i] + -2.0 * b[i]));

            let squares = each(&|i| b[i] * b[i]);
            let adam = Adam { betas: [0.9, 0.99], rests: [0.1, 0.01], corrections: [0.19, 0.14], eps: 1e-8 };
            let [first, second, step] = adam.step(&a, &squares, &c);
            prop_assert_eq!(&first, &each(&|i| 0.9 * a[i] + 0.1 * c[i]));
            prop_assert_eq!(&second, &each(&|i| 0.99 * squares[i] + 0.01 * (c[i] * c[i])));
            prop_assert_eq!(step, each(&|i| first[i] / (second[i].sqrt() / 0.14 + 1e-8) / 0.19));
        }
    }
}
