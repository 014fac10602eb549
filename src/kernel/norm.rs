//! Batch normalisation in training, over rows of channels.

use rayon::prelude::*;

use super::Real;

/// Rows a task.
const BLOCK: usize = 512;
/// Rows whose sums are taken in float32, if that is their type.
const SUMMED: usize = 128;

/// What a batch was normalised by.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments<T> {
    pub mean: Vec<T>,
    /// Biased: the mean square distance from the mean.
    pub variance: Vec<T>,
}

/// Means and biased variances of the channels of `x`, in two passes.
#[must_use]
pub fn moments<T: Real>(x: &[T], channels: usize) -> Moments<T> {
    let count = (x.len() / channels) as f64;
    let means = |sums: Vec<f64>| -> Vec<T> { sums.into_iter().map(|sum| T::from_f64(sum / count)).collect() };
    let mean = means(sums(x, x, channels, |_, x, _| x));
    let variance = means(sums(x, x, channels, |channel, x, _| (x - mean[channel]) * (x - mean[channel])));
    Moments { mean, variance }
}

/// Sums of `of(channel, x, y)` over rows: within a block in their own type, so that they are taken many at once, over blocks in
/// float64, in a fixed order.
fn sums<T: Real>(x: &[T], y: &[T], channels: usize, of: impl Fn(usize, T, T) -> T + Sync) -> Vec<f64> {
    let block = |(x, y): (&[T], &[T])| {
        let mut sums = vec![T::ZERO; channels];
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact(channels)) {
            for (channel, ((sum, &x), &y)) in sums.iter_mut().zip(x).zip(y).enumerate() {
                *sum += of(channel, x, y);
            }
        }
        sums.into_iter().map(Real::to_f64).collect()
    };
    let size = SUMMED * channels;
    add_up(x.par_chunks(size).zip(y.par_chunks(size)).map(block).collect(), channels)
}

fn add_up(blocks: Vec<Vec<f64>>, channels: usize) -> Vec<f64> {
    let mut total = vec![0.0; channels];
    for block in blocks {
        for (total, sum) in total.iter_mut().zip(block) {
            *total += sum;
        }
    }
    total
}

/// `x · scale + shift`, channel by channel.
#[must_use]
pub fn affine<T: Real>(x: &[T], scale: &[T], shift: &[T]) -> Vec<T> {
    let channels = scale.len();
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(BLOCK * channels).zip(x.par_chunks(BLOCK * channels)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for (((y, &x), &scale), &shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                *y = x * scale + shift;
            }
        }
    });
    y
}

/// `γ·(x − mean)/√(variance + ε) + β`.
#[must_use]
pub fn forward<T: Real>(x: &[T], moments: &Moments<T>, gamma: &[T], beta: &[T], epsilon: f64) -> Vec<T> {
    let scale: Vec<T> =
        inverse_deviation(moments, epsilon).iter().zip(gamma).map(|(&inverse, &gamma)| inverse * gamma).collect();
    let shift: Vec<T> =
        beta.iter().zip(&moments.mean).zip(&scale).map(|((&beta, &mean), &scale)| beta - mean * scale).collect();
    affine(x, &scale, &shift)
}

/// Gradients by `x`, `γ` and `β` of a loss whose gradient by the output is `dy`.
#[must_use]
pub fn backward<T: Real>(x: &[T], moments: &Moments<T>, gamma: &[T], epsilon: f64, dy: &[T]) -> [Vec<T>; 3] {
    let channels = gamma.len();
    let inverse = inverse_deviation(moments, epsilon);
    let products = sums(x, dy, channels, |channel, x, dy| dy * (x - moments.mean[channel]));
    let sums = sums(dy, dy, channels, |_, dy, _| dy);
    let grad_gamma: Vec<T> = products.iter().zip(&inverse).map(|(&sum, &inverse)| T::from_f64(sum) * inverse).collect();
    let grad_beta: Vec<T> = sums.into_iter().map(T::from_f64).collect();
    // dx = γ/σ · (dy − mean(dy) − x̂ · mean(dy · x̂)), as a·dy − b·x − c.
    let count = T::from_f64((x.len() / channels) as f64);
    let a: Vec<T> = gamma.iter().zip(&inverse).map(|(&gamma, &inverse)| gamma * inverse).collect();
    let b: Vec<T> = (0..channels).map(|i| a[i] * inverse[i] * grad_gamma[i] / count).collect();
    let c: Vec<T> = (0..channels).map(|i| a[i] * grad_beta[i] / count - b[i] * moments.mean[i]).collect();
    let mut dx = vec![T::ZERO; x.len()];
    let blocks =
        dx.par_chunks_mut(BLOCK * channels).zip(x.par_chunks(BLOCK * channels)).zip(dy.par_chunks(BLOCK * channels));
    blocks.for_each(|((dx, x), dy)| {
        let rows = dx.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).zip(dy.chunks_exact(channels));
        for ((dx, x), dy) in rows {
            let factors = a.iter().zip(&b).zip(&c);
            for (((dx, &x), &dy), ((&a, &b), &c)) in dx.iter_mut().zip(x).zip(dy).zip(factors) {
                *dx = a * dy - b * x - c;
            }
        }
    });
    [dx, grad_gamma, grad_beta]
}

fn inverse_deviation<T: Real>(moments: &Moments<T>, epsilon: f64) -> Vec<T> {
    moments.variance.iter().map(|variance| T::from_f64(1.0 / (variance.to_f64() + epsilon).sqrt())).collect()
}
