//! Batch normalisation over rows of channels, with or without a rectifier behind it.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Real;
use super::fresh::filled;
use super::simd::widest;

/// Rows a task.
const BLOCK: usize = 512;
/// Rows that are summed in their own type, so that they are taken many at once; their sums are summed in float64.
const SUMMED: usize = 128;

/// What a batch was normalised by.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments<T> {
    pub mean: Vec<T>,
    /// Biased: the mean square distance from the mean.
    pub variance: Vec<T>,
}

/// Means and biased variances of the channels of `x`, in one pass over memory.
///
/// Each block has its own mean and square distances from it; blocks are put together in their order (Chan, Golub & LeVeque 1983).
#[must_use]
pub fn moments<T: Real>(x: &[T], channels: usize) -> Moments<T> {
    let of_block = |x: &[T]| widest!(block_moments(x, channels));
    let blocks: Vec<[Vec<T>; 2]> = x.par_chunks(SUMMED * channels).map(of_block).collect();
    let (mut count, mut mean, mut squares) = (0.0, vec![0.0; channels], vec![0.0; channels]);
    for (block, x) in blocks.iter().zip(x.chunks(SUMMED * channels)) {
        let rows = (x.len() / channels) as f64;
        let share = rows / (count + rows);
        for (((mean, squares), new_mean), new_squares) in
            mean.iter_mut().zip(&mut squares).zip(&block[0]).zip(&block[1])
        {
            let step = new_mean.double() - *mean;
            *squares += new_squares.double() + step * step * count * share;
            *mean += step * share;
        }
        count += rows;
    }
    let reals = |values: Vec<f64>, by: f64| values.into_iter().map(|value| T::real(value / by)).collect();
    Moments { mean: reals(mean, 1.0), variance: reals(squares, count) }
}

/// Means of a block, and sums of square distances from them. Summed are differences from the first row, so that the mean of equal numbers is
/// that number.
#[inline(always)]
fn block_moments<T: Real>(x: &[T], channels: usize) -> [Vec<T>; 2] {
    let (mut mean, mut squares) = (vec![T::ZERO; channels], vec![T::ZERO; channels]);
    let first = &x[..channels];
    for row in x.chunks_exact(channels) {
        for ((mean, &x), &first) in mean.iter_mut().zip(row).zip(first) {
            *mean += x - first;
        }
    }
    let rows = T::real((x.len() / channels) as f64);
    for (mean, &first) in mean.iter_mut().zip(first) {
        *mean = first + *mean / rows;
    }
    for row in x.chunks_exact(channels) {
        for ((squares, &mean), &x) in squares.iter_mut().zip(&mean).zip(row) {
            *squares += (x - mean) * (x - mean);
        }
    }
    [mean, squares]
}

/// `(x − mean) · scale + shift`, channel by channel; no less than zero if `rectified`. The difference comes first: `shift − mean · scale` loses
/// all digits of a channel whose mean is many times its deviation.
#[must_use]
pub fn affine<T: Real>(x: &[T], [mean, scale, shift]: [&[T]; 3], rectified: bool) -> Vec<T> {
    let factors = [mean, scale, shift];
    if rectified {
        map_rows(x, factors, |x, [mean, scale, shift]| {
            let y = (x - mean) * scale + shift;
            if y < T::ZERO { T::ZERO } else { y }
        })
    } else {
        map_rows(x, factors, |x, [mean, scale, shift]| (x - mean) * scale + shift)
    }
}

fn map_rows<T: Real>(x: &[T], [mean, scale, shift]: [&[T]; 3], of: impl Fn(T, [T; 3]) -> T + Sync) -> Vec<T> {
    let channels = scale.len();
    let write = |y: &mut [MaybeUninit<T>]| {
        y.par_chunks_mut(BLOCK * channels).zip(x.par_chunks(BLOCK * channels)).for_each(|(y, x)| {
            widest!({
                for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    for ((((y, &x), &mean), &scale), &shift) in y.iter_mut().zip(x).zip(mean).zip(scale).zip(shift) {
                        y.write(of(x, [mean, scale, shift]));
                    }
                }
            });
        });
    };
    assert!(x.len().is_multiple_of(channels) && mean.len() == channels && shift.len() == channels);
    // SAFETY: `x` is whole rows, each of which is written.
    #[allow(unsafe_code)]
    unsafe {
        filled(x.len(), write)
    }
}

/// `γ·(x − mean)/√(variance + ε) + β`; no less than zero if `rectified`.
#[must_use]
pub fn forward<T: Real>(
    x: &[T],
    moments: &Moments<T>,
    gamma: &[T],
    beta: &[T],
    epsilon: f64,
    rectified: bool,
) -> Vec<T> {
    let scale: Vec<T> =
        inverse_deviation(moments, epsilon).iter().zip(gamma).map(|(&inverse, &gamma)| inverse * gamma).collect();
    affine(x, [&moments.mean, &scale, beta], rectified)
}

/// Gradients by `x`, `γ` and `β` of a loss whose gradient by the output is `dy`; `rectified` is that output, if it was.
#[must_use]
pub fn backward<T: Real>(
    x: &[T],
    moments: &Moments<T>,
    gamma: &[T],
    epsilon: f64,
    dy: &[T],
    rectified: Option<&[T]>,
) -> [Vec<T>; 3] {
    match rectified {
        Some(y) => gated_backward(x, moments, gamma, epsilon, dy, y, |dy, y| if y > T::ZERO { dy } else { T::ZERO }),
        None => gated_backward(x, moments, gamma, epsilon, dy, dy, |dy, _| dy),
    }
}

fn gated_backward<T: Real>(
    x: &[T],
    moments: &Moments<T>,
    gamma: &[T],
    epsilon: f64,
    dy: &[T],
    y: &[T],
    gate: impl Fn(T, T) -> T + Sync,
) -> [Vec<T>; 3] {
    let channels = gamma.len();
    let inverse = inverse_deviation(moments, epsilon);
    let [products, sums] = gradient_sums(x, &moments.mean, dy, y, &gate);
    let grad_gamma: Vec<T> = products.iter().zip(&inverse).map(|(&sum, &inverse)| T::real(sum) * inverse).collect();
    let grad_beta: Vec<T> = sums.into_iter().map(T::real).collect();
    // dx = γ/σ · (dy − mean(dy) − x̂ · mean(dy · x̂)), as a·dy − b·(x − mean) − c.
    let count = T::real((x.len() / channels) as f64);
    let a: Vec<T> = gamma.iter().zip(&inverse).map(|(&gamma, &inverse)| gamma * inverse).collect();
    let b: Vec<T> = (0..channels).map(|i| a[i] * inverse[i] * grad_gamma[i] / count).collect();
    let c: Vec<T> = (0..channels).map(|i| a[i] * grad_beta[i] / count).collect();
    let size = BLOCK * channels;
    let write = |dx: &mut [MaybeUninit<T>]| {
        let blocks = dx.par_chunks_mut(size).zip(x.par_chunks(size)).zip(dy.par_chunks(size)).zip(y.par_chunks(size));
        blocks.for_each(|(((dx, x), dy), y)| {
            widest!({
                let rows = dx.chunks_exact_mut(channels).zip(x.chunks_exact(channels));
                for (((dx, x), dy), y) in rows.zip(dy.chunks_exact(channels)).zip(y.chunks_exact(channels)) {
                    let factors = a.iter().zip(&b).zip(&c).zip(&moments.mean);
                    let numbers = dx.iter_mut().zip(x).zip(dy).zip(y).zip(factors);
                    for ((((dx, &x), &dy), &y), (((&a, &b), &c), &mean)) in numbers {
                        dx.write(a * gate(dy, y) - b * (x - mean) - c);
                    }
                }
            });
        });
    };
    assert!(x.len() == dy.len() && x.len() == y.len() && x.len().is_multiple_of(channels));
    // SAFETY: all are as long and whole rows, each of which is written.
    #[allow(unsafe_code)]
    let dx = unsafe { filled(x.len(), write) };
    [dx, grad_gamma, grad_beta]
}

/// Sums over rows of `dy·(x − mean)` and of `dy`, in a fixed order.
fn gradient_sums<T: Real>(x: &[T], mean: &[T], dy: &[T], y: &[T], gate: &(impl Fn(T, T) -> T + Sync)) -> [Vec<f64>; 2] {
    let channels = mean.len();
    let size = SUMMED * channels;
    let block = |((x, dy), y): ((&[T], &[T]), &[T])| widest!(block_sums(x, mean, dy, y, gate));
    let blocks: Vec<_> = x.par_chunks(size).zip(dy.par_chunks(size)).zip(y.par_chunks(size)).map(block).collect();
    let mut total = [vec![0.0; channels], vec![0.0; channels]];
    for block in &blocks {
        for (total, block) in total.iter_mut().zip(block) {
            for (total, sum) in total.iter_mut().zip(block) {
                *total += sum.double();
            }
        }
    }
    total
}

/// The same of one block.
#[inline(always)]
fn block_sums<T: Real>(x: &[T], mean: &[T], dy: &[T], y: &[T], gate: &impl Fn(T, T) -> T) -> [Vec<T>; 2] {
    let channels = mean.len();
    let (mut products, mut sums) = (vec![T::ZERO; channels], vec![T::ZERO; channels]);
    for ((x, dy), y) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)).zip(y.chunks_exact(channels)) {
        let rows = products.iter_mut().zip(&mut sums).zip(mean).zip(x).zip(dy).zip(y);
        for (((((product, sum), &mean), &x), &dy), &y) in rows {
            let dy = gate(dy, y);
            *product += dy * (x - mean);
            *sum += dy;
        }
    }
    [products, sums]
}

fn inverse_deviation<T: Real>(moments: &Moments<T>, epsilon: f64) -> Vec<T> {
    moments.variance.iter().map(|variance| T::real(1.0 / (variance.double() + epsilon).sqrt())).collect()
}
