//! Convolution and its gradients: chooses among the ways to compute them.
//!
//! Activations are `N×H×W×C`, weights the matrix `(k·k·C_in) × C_out`. Float32 on a processor with vectors goes through Winograd's
//! transforms or hand-made loops, found out at run time so that a plain build is as fast as a native one; all else, and the gradient by a 1×1
//! weight, through [`tiles`](super::tiles).

use rayon::prelude::*;

pub use super::engine::Engine;
use super::simd::{self, Instance};
use super::{Geometry, Real, tiles};

/// Pixels a task.
const BLOCK: usize = 64;

/// `y = patches(x) · weight (+ bias)`, `N×H'×W'×C_out`.
#[must_use]
pub fn forward<T: Real>(engine: Engine, g: &Geometry, x: &[T], weight: &[T], bias: Option<&[T]>) -> Vec<T> {
    let fast = in_single(engine, &[x, weight], |instance, slices| {
        simd::forward(instance, engine.conv, g, slices[0], slices[1])
    });
    let mut y = fast.unwrap_or_else(|| tiles::forward(g, x, weight));
    if let Some(bias) = bias {
        y.par_chunks_mut(BLOCK * g.outputs).for_each(|y| {
            for pixel in y.chunks_exact_mut(g.outputs) {
                for (y, &bias) in pixel.iter_mut().zip(bias) {
                    *y += bias;
                }
            }
        });
    }
    y
}

/// The gradient by `x` of a loss whose gradient by `y` is `dy`.
#[must_use]
pub fn grad_input<T: Real>(engine: Engine, g: &Geometry, dy: &[T], weight: &[T]) -> Vec<T> {
    let fast = in_single(engine, &[dy, weight], |instance, slices| {
        simd::grad_input(instance, engine.conv, g, slices[0], slices[1])
    });
    fast.unwrap_or_else(|| tiles::grad_input(g, dy, weight))
}

/// The gradient by the weight, `(k·k·C_in) × C_out`, of a loss whose gradient by `y` is `dy`.
#[must_use]
pub fn grad_weight<T: Real>(engine: Engine, g: &Geometry, x: &[T], dy: &[T]) -> Vec<T> {
    let fast = in_single(engine, &[x, dy], |instance, slices| {
        simd::grad_weight(instance, engine.conv, g, slices[0], slices[1])
    });
    fast.unwrap_or_else(|| tiles::grad_weight(g, x, dy))
}

/// The gradient by the bias: sums over pixels, those of a block in their own type.
#[must_use]
pub fn grad_bias<T: Real>(outputs: usize, dy: &[T]) -> Vec<T> {
    let block = |dy: &[T]| {
        let mut sums = vec![T::ZERO; outputs];
        for pixel in dy.chunks_exact(outputs) {
            for (sum, &dy) in sums.iter_mut().zip(pixel) {
                *sum += dy;
            }
        }
        sums
    };
    let blocks: Vec<Vec<T>> = dy.par_chunks(BLOCK * outputs).map(block).collect();
    (0..outputs).map(|i| T::real(blocks.iter().map(|sums| sums[i].double()).sum())).collect()
}

/// Calls a kernel that exists for float32 on some processors, if the engine may and these numbers and this processor are such.
fn in_single<T: Real>(
    engine: Engine,
    slices: &[&[T]],
    kernel: impl FnOnce(Instance, &[&[f32]]) -> Vec<f32>,
) -> Option<Vec<T>> {
    let instance = engine.instance()?;
    let slices: Option<Vec<&[f32]>> = slices.iter().map(|slice| T::single(slice)).collect();
    T::from_single(kernel(instance, &slices?))
}

#[cfg(test)]
mod tests {
    use super::{Engine, Geometry, forward, grad_input, grad_weight};
    use crate::kernel::Conv;
    use crate::random::Random;
    use proptest::prelude::*;

    fn random(count: usize, purpose: &str) -> Vec<f32> {
        let mut random = Random::new(1, purpose);
        (0..count).map(|_| random.normal() as f32).collect()
    }

    /// ‖a − b‖ / ‖b‖.
    fn distance(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
        norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied()).max(1e-6)
    }

    fn engines_agree(g: Geometry) -> Result<(), TestCaseError> {
        let x = random(g.batch * g.image(), "x");
        let weight = random(g.patch() * g.outputs, "weight");
        let dy = random(g.pixels() * g.outputs, "dy");
        let all = |engine| {
            [
                forward(engine, &g, &x, &weight, None),
                grad_input(engine, &g, &dy, &weight),
                grad_weight(engine, &g, &x, &dy),
            ]
        };
        let portable = all(Engine::PORTABLE);
        for engine in Engine::all().filter(|engine| engine.is_by_hand()) {
            let ours = all(engine);
            for (ours, theirs) in ours.iter().zip(&portable) {
                let distance = distance(ours, theirs);
                prop_assert!(distance < 2e-5, "{engine:?} of {g:?}: {distance}");
            }
            if engine.conv == Conv::Auto {
                prop_assert_eq!(ours, all(engine), "the same bits twice");
            }
        }
        // Control: another weight gives another result.
        let other = forward(Engine::AUTO, &g, &x, &random(weight.len(), "other"), None);
        prop_assert!(distance(&other, &portable[0]) > 0.1);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn engines_agree_on_any_geometry(
            batch in 1usize..5, height in 7usize..12, width in 7usize..12, inputs in 1usize..40, outputs in 1usize..40,
            kernel in 1usize..8, stride in 1usize..4, padding in 0usize..4,
        ) {
            engines_agree(Geometry { batch, height, width, inputs, outputs, kernel, stride, padding })?;
        }

        #[test]
        fn the_number_of_threads_changes_no_bit(
            batch in 1usize..8, size in 4usize..12, inputs in 1usize..40, outputs in 1usize..40, kernel in 1usize..4,
            stride in 1usize..3,
        ) {
            let g = Geometry { batch, height: size, width: size, inputs, outputs, kernel, stride, padding: kernel / 2 };
            let (x, weight) = (random(g.batch * g.image(), "x"), random(g.patch() * g.outputs, "weight"));
            let dy = random(g.pixels() * g.outputs, "dy");
            let with = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| (forward(Engine::AUTO, &g, &x, &weight, None), grad_input(Engine::AUTO, &g, &dy, &weight)))
            };
            let one = with(1);
            prop_assert_eq!(&with(2), &one);
            prop_assert_eq!(&with(5), &one);
        }

        #[test]
        fn engines_agree_where_pixels_are_few(
            batch in 1usize..18, height in 1usize..5, width in 1usize..5, inputs in 1usize..4, outputs in 1usize..4, padding in 1usize..3,
        ) {
            let (inputs, outputs, kernel) = (16 * inputs, 16 * outputs, 2 * padding + 1);
            engines_agree(Geometry { batch, height, width, inputs, outputs, kernel, stride: 1, padding })?;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]

        #[test]
        fn engines_agree_where_winograd_fits(
            batch in 1usize..40, height in 4usize..13, width in 4usize..13, inputs in 1usize..4, outputs in 1usize..4,
        ) {
            let (inputs, outputs) = (16 * inputs, 16 * outputs);
            engines_agree(Geometry { batch, height, width, inputs, outputs, kernel: 3, stride: 1, padding: 1 })?;
        }

        #[test]
        fn engines_agree_where_one_tap_is_multiplied_in_parts(
            batch in 1usize..3, size in 3usize..6, inputs in 250usize..530, outputs in 250usize..530, kernel in 1usize..4,
            stride in 1usize..3,
        ) {
            let padding = kernel / 2;
            engines_agree(Geometry { batch, height: size, width: size, inputs, outputs, kernel, stride, padding })?;
        }

        #[test]
        fn engines_agree_where_winograd_takes_tiles_in_stages(batch in 14usize..18, height in 28usize..33, width in 28usize..33) {
            engines_agree(Geometry { batch, height, width, inputs: 16, outputs: 16, kernel: 3, stride: 1, padding: 1 })?;
        }
    }
}
