//! Rectifiers and sums, element by element.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Real;
use super::fresh::filled;
use super::simd::widest;

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

/// `a·x`, rounded once: `a` need not fit into float32.
#[must_use]
pub fn scale<T: Real>(a: f64, x: &[T]) -> Vec<T> {
    map(x, x, |x, _| T::real(a * x.double()))
}

/// `a·x + b·y`, rounded once.
#[must_use]
pub fn combine<T: Real>(a: f64, x: &[T], b: f64, y: &[T]) -> Vec<T> {
    map(x, y, |x, y| T::real(a * x.double() + b * y.double()))
}

/// `x ← keep·x + add·y`, rounded once.
pub fn add_scaled<T: Real>(keep: f64, x: &mut [T], add: f64, y: &[T]) {
    x.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).for_each(|(x, y)| {
        widest!({
            for (x, &y) in x.iter_mut().zip(y) {
                *x = T::real(keep * x.double() + add * y.double());
            }
        });
    });
}

/// `√(β·root² + (1−β)·u²)`, computed in float64, where squares of every float32 have room.
#[must_use]
pub fn root_of_average<T: Real>(beta: f64, root: &[T], u: &[T]) -> Vec<T> {
    map(root, u, |root, u| T::real((beta * root.double().powi(2) + (1.0 - beta) * u.double().powi(2)).sqrt()))
}

/// `x / (root/c + ε)`.
#[must_use]
pub fn over_root<T: Real>(x: &[T], root: &[T], c: f64, eps: f64) -> Vec<T> {
    map(x, root, |x, root| T::real(x.double() / (root.double() / c + eps)))
}

/// The numbers of a step of Adam (Kingma & Ba 2015).
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    pub betas: [f64; 2],
    /// What m and `√v` are divided by.
    pub corrections: [f64; 2],
    pub eps: f64,
    /// Whether v is of the updates' distances from their mean, with ε added (AdaBelief, Zhuang et al. 2020).
    pub belief: bool,
}

impl Adam {
    /// `m ← β₁m + (1−β₁)u`, `√v ← √(β₂v + (1−β₂)u²)`, and the step `m / (√v/c₂ + ε) / c₁`, in this order.
    ///
    /// Computed in float64, where squares of every float32 have room.
    pub fn step<T: Real>(&self, first: &[T], root: &[T], update: &[T]) -> [Vec<T>; 3] {
        let (betas, rests) = (self.betas, self.betas.map(|beta| 1.0 - beta));
        let m = map(first, update, |m, u| T::real(betas[0] * m.double() + rests[0] * u.double()));
        let moved = |root: f64, u: f64, add: f64| T::real((betas[1] * (root * root) + rests[1] * (u * u) + add).sqrt());
        let root = if self.belief {
            // u less the new m, of which a small β₁ leaves nothing where m is rounded first.
            let off = map(first, update, |m, u| T::real(betas[0] * (u.double() - m.double())));
            map(root, &off, |root, off| moved(root.double(), off.double(), self.eps))
        } else {
            map(root, update, |root, u| moved(root.double(), u.double(), 0.0))
        };
        let [c1, c2] = self.corrections;
        let step = map(&m, &root, |m, root| T::real(m.double() / (root.double() / c2 + self.eps) / c1));
        [m, root, step]
    }
}

fn rectify<T: Real>(x: T) -> T {
    if x < T::ZERO { T::ZERO } else { x }
}

fn map<T: Real>(a: &[T], b: &[T], f: impl Fn(T, T) -> T + Sync) -> Vec<T> {
    let write = |out: &mut [MaybeUninit<T>]| {
        out.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).zip(b.par_chunks(CHUNK)).for_each(|((out, a), b)| {
            widest!({
                for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                    out.write(f(a, b));
                }
            });
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

            let roots = each(&|i| b[i].abs());
            let adam = |belief| Adam { betas: [0.9, 0.99], corrections: [0.19, 0.14], eps: 1e-8, belief };
            let (rest, small) = (1.0 - 0.9, 1.0 - 0.99);
            let [first, second, step] = adam(false).step(&a, &roots, &c);
            prop_assert_eq!(&first, &each(&|i| 0.9 * a[i] + rest * c[i]));
            prop_assert_eq!(&second, &each(&|i| (0.99 * (b[i] * b[i]) + small * (c[i] * c[i]) + 0.0).sqrt()));
            prop_assert_eq!(step, each(&|i| first[i] / (second[i] / 0.14 + 1e-8) / 0.19));
            let [_, believed, _] = adam(true).step(&a, &roots, &c);
            let off = each(&|i| 0.9 * (c[i] - a[i]));
            prop_assert_eq!(&believed, &each(&|i| (0.99 * (b[i] * b[i]) + small * (off[i] * off[i]) + 1e-8).sqrt()));
            // In float32 squares have room, and the step is of size 1, not 0.
            let huge = [3e30_f32, 1e-30, -1e19];
            let [_, root, step] = adam(false).step(&[0.0; 3], &[0.0; 3], &huge);
            for ((huge, root), step) in huge.into_iter().zip(root).zip(step) {
                prop_assert!((f64::from(root / huge.abs()) - small.sqrt()).abs() < 1e-6);
                prop_assert!(huge.abs() < 1.0 || (f64::from(step.abs()) - rest / (small.sqrt() / 0.14) / 0.19).abs() < 1e-6);
            }
        }
    }
}
