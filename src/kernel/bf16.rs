//! Products of square matrices with inputs rounded to bfloat16 and sums in float32: twice the arithmetic of float32, where a
//! processor has it.
//!
//! Elsewhere the same products are made of the same rounded inputs in the numbers' own type; only the order of the sums differs.

use rayon::prelude::*;

use super::product::Matrix;
use super::simd::pairs::{COLUMNS, Pairs, ROWS};
use super::simd::widest;
use super::{Real, matrix};

/// Which elements of a product are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    All,
    /// For a product that is symmetric: half the work.
    Lower,
}

/// Rows a task: their numbers stay in the outer cache.
const BAND: usize = 12 * ROWS;
/// Pairs of numbers that are multiplied at once: a panel of the other factor stays in the outer cache, too.
const DEPTH: usize = 512;

/// `a · b` of square matrices of `order`, both rounded to bfloat16; symmetric if `part` is [`Part::Lower`].
#[must_use]
pub fn product<T: Real>(a: &[T], b: &[T], order: usize, part: Part) -> Vec<T> {
    let fast = || T::from_single(in_pairs(Pairs::detect()?, T::single(a)?, T::single(b)?, order, part));
    fast().unwrap_or_else(|| portable(a, b, order, part))
}

fn portable<T: Real>(a: &[T], b: &[T], order: usize, part: Part) -> Vec<T> {
    let rounded = |values: &[T]| {
        values.par_iter().map(|&value| T::real(nearest(value.double() as f32).into())).collect::<Vec<T>>()
    };
    let (a, b) = (rounded(a), rounded(b));
    let (a, b) = (Matrix::new(&a, order, order), Matrix::new(&b, order, order));
    match part {
        Part::All => matrix::product(a, b),
        Part::Lower => matrix::symmetric_product(a, b),
    }
}

/// The nearest bfloat16; of two, that with an even last bit.
pub fn nearest(value: f32) -> f32 {
    f32::from_bits(u32::from(bits(value)) << 16)
}

/// The upper half of a float32, rounded; NaN stays one.
#[inline(always)]
fn bits(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
    if value.is_nan() { 0x7fc0 } else { rounded }
}

fn in_pairs(pairs: Pairs, a: &[f32], b: &[f32], order: usize, part: Part) -> Vec<f32> {
    let (a, half) = (packed(a, order), order.div_ceil(2));
    let mut panels = vec![0u32; order.div_ceil(COLUMNS) * half * COLUMNS];
    panels.par_chunks_mut((half * COLUMNS).max(1)).enumerate().for_each(|(panel, to)| {
        widest!({
            let columns = panel * COLUMNS..order.min((panel + 1) * COLUMNS);
            for (to, rows) in to.chunks_exact_mut(COLUMNS).zip(b.chunks(2 * order)) {
                let (first, second) = rows.split_at(order);
                for (to, &value) in to.iter_mut().zip(&first[columns.clone()]) {
                    *to = u32::from(bits(value));
                }
                for (to, &value) in to.iter_mut().zip(second.get(columns.clone()).unwrap_or_default()) {
                    *to |= u32::from(bits(value)) << 16;
                }
            }
        });
    });
    let mut out = matrix::zeros(order * order);
    let bands = out.par_chunks_mut((BAND * order).max(1)).zip(a.par_chunks((BAND * half).max(1)));
    bands.enumerate().rev().with_max_len(1).for_each(|(band, (out, a))| {
        for first in (0..half).step_by(DEPTH) {
            let depth = first..half.min(first + DEPTH);
            for (panel, columns) in panels.chunks_exact(half * COLUMNS).enumerate() {
                let columns = &columns[depth.start * COLUMNS..depth.end * COLUMNS];
                for (tile, out) in out.chunks_mut(ROWS * order).enumerate() {
                    let rows = out.len() / order;
                    let last = band * BAND + tile * ROWS + rows - 1;
                    if part == Part::Lower && panel * COLUMNS > last {
                        continue;
                    }
                    let row = |i: usize| &a[(tile * ROWS + i.min(rows - 1)) * half..][depth.clone()];
                    let sums = pairs.multiply(std::array::from_fn(row), columns);
                    let width = COLUMNS.min(order - panel * COLUMNS);
                    for (sums, out) in sums.iter().zip(out.chunks_exact_mut(order)) {
                        for (out, &sum) in out[panel * COLUMNS..][..width].iter_mut().zip(sums) {
                            *out += sum;
                        }
                    }
                }
            }
        }
    });
    if part == Part::Lower {
        matrix::mirror(&mut out, order);
    }
    out
}

/// Two bfloat16 a word, the first in the lower half; rows are filled up with a zero.
fn packed(values: &[f32], order: usize) -> Vec<u32> {
    let half = order.div_ceil(2);
    let mut words = vec![0; order * half];
    words.par_chunks_mut(half.max(1)).zip(values.par_chunks(order.max(1))).for_each(|(words, row)| {
        widest!({
            let (twos, rest) = row.as_chunks::<2>();
            for (word, two) in words.iter_mut().zip(twos) {
                *word = u32::from(bits(two[0])) | u32::from(bits(two[1])) << 16;
            }
            if let (Some(&value), Some(word)) = (rest.first(), words.last_mut()) {
                *word = u32::from(bits(value));
            }
        });
    });
    words
}

#[cfg(test)]
mod tests {
    use super::{Pairs, Part, bits, in_pairs, matrix, nearest, portable, product};
    use crate::kernel::product::Matrix;
    use crate::random::Random;
    use proptest::prelude::*;

    fn random(order: usize, purpose: &str) -> Vec<f32> {
        let mut random = Random::new(1, purpose);
        (0..order * order).map(|_| random.normal() as f32).collect()
    }

    fn off(a: &[f32], b: &[f32]) -> f64 {
        let norm = |x: &[f32]| matrix::norm(x);
        norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f32>>()) / norm(b)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn a_product_is_that_of_rounded_numbers(order in 1usize..200) {
            let (a, b) = (random(order, "a"), random(order, "b"));
            let theirs = portable(&a, &b, order, Part::All);
            prop_assert!(off(&product(&a, &b, order, Part::All), &theirs) < 1e-6);
            let symmetric: Vec<f32> = (0..order * order).map(|i| a[i] + a[i % order * order + i / order]).collect();
            let square = portable(&symmetric, &symmetric, order, Part::Lower);
            prop_assert!(off(&product(&symmetric, &symmetric, order, Part::Lower), &square) < 1e-6);
            let exact = matrix::product(Matrix::new(&a, order, order), Matrix::new(&b, order, order));
            let rounding = off(&theirs, &exact);
            // Control: inputs that were not rounded give another product.
            prop_assert!(rounding < 1e-2 && (order < 8 || rounding > 1e-4), "{rounding}");
        }
    }

    #[expect(clippy::print_stderr, reason = "says what was not tested")]
    #[test]
    fn deep_sums_agree_with_their_twin() {
        let Some(pairs) = Pairs::detect() else {
            eprintln!("skipped: this processor has no avx512bf16");
            return;
        };
        // More pairs than are multiplied at once.
        let order = 1100;
        let (a, b) = (random(order, "a"), random(order, "b"));
        assert!(off(&in_pairs(pairs, &a, &b, order, Part::All), &portable(&a, &b, order, Part::All)) < 1e-6);
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest_with_ties_to_even() {
        for (value, rounded) in
            [(1.0, 1.0), (1.0 + 1.0 / 256.0, 1.0), (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0), (-0.1, -205.0 / 2048.0)]
        {
            assert_eq!(nearest(value), rounded);
        }
        assert!(nearest(f32::NAN).is_nan() && nearest(f32::INFINITY).is_infinite());
        assert_eq!(bits(f32::MAX), bits(f32::INFINITY));
    }
}
