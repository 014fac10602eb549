//! Depthwise convolution: every channel by a k×k window of its own, channel-last.
//!
//! `x` is `N×H×W×C`, the weight `k×k×C`. The loops run over channels, so that the compiler takes many at once.

use rayon::prelude::*;

use super::simd::widest;
use super::{Geometry, Real};

/// `y`, `N×H'×W'×C`.
#[must_use]
pub fn forward<T: Real>(g: &Geometry, x: &[T], weight: &[T]) -> Vec<T> {
    let channels = g.inputs;
    let mut y = vec![T::ZERO; g.pixels() * channels];
    y.par_chunks_mut(g.out_width() * channels).enumerate().for_each(|(at, y)| {
        let (image, row) = (at / g.out_height(), at % g.out_height());
        let x = &x[image * g.image()..][..g.image()];
        widest!({
            for (column, y) in y.chunks_exact_mut(channels).enumerate() {
                for (tap, pixel) in window(g, row, column) {
                    add_product(y, &x[pixel * channels..], &weight[tap * channels..]);
                }
            }
        });
    });
    y
}

/// The gradient by `x` of a loss whose gradient by the output is `dy`.
#[must_use]
pub fn grad_input<T: Real>(g: &Geometry, dy: &[T], weight: &[T]) -> Vec<T> {
    let channels = g.inputs;
    let mut dx = vec![T::ZERO; g.batch * g.image()];
    dx.par_chunks_mut(g.image()).zip(dy.par_chunks(g.positions() * channels)).for_each(|(dx, dy)| {
        widest!({
            for (at, dy) in dy.chunks_exact(channels).enumerate() {
                for (tap, pixel) in window(g, at / g.out_width(), at % g.out_width()) {
                    add_product(&mut dx[pixel * channels..][..channels], dy, &weight[tap * channels..]);
                }
            }
        });
    });
    dx
}

/// The gradient by the weight: within an image in the numbers' own type, over images in float64 and in their order.
#[must_use]
pub fn grad_weight<T: Real>(g: &Geometry, x: &[T], dy: &[T]) -> Vec<T> {
    let channels = g.inputs;
    let of_image = |(x, dy): (&[T], &[T])| {
        let mut sum = vec![T::ZERO; g.kernel * g.kernel * channels];
        widest!({
            for (at, dy) in dy.chunks_exact(channels).enumerate() {
                for (tap, pixel) in window(g, at / g.out_width(), at % g.out_width()) {
                    add_product(&mut sum[tap * channels..][..channels], dy, &x[pixel * channels..]);
                }
            }
        });
        sum
    };
    let images = x.par_chunks(g.image()).zip(dy.par_chunks(g.positions() * channels));
    let images: Vec<Vec<T>> = images.map(of_image).collect();
    let mut total = vec![0.0; g.kernel * g.kernel * channels];
    for image in images {
        for (total, sum) in total.iter_mut().zip(image) {
            *total += sum.double();
        }
    }
    total.into_iter().map(T::real).collect()
}

/// `out += a · b`, channel by channel, as far as `out` goes.
#[inline(always)]
fn add_product<T: Real>(out: &mut [T], a: &[T], b: &[T]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out += a * b;
    }
}

/// The taps that fall into the image for output pixel (`row`, `column`), each with the pixel under it.
fn window(g: &Geometry, row: usize, column: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
    let (rows, top) = g.reach(row, g.height);
    let (columns, left) = g.reach(column, g.width);
    let (kernel, width) = (g.kernel, g.width);
    rows.enumerate().flat_map(move |(down, tap_row)| {
        columns
            .clone()
            .enumerate()
            .map(move |(right, tap_column)| (tap_row * kernel + tap_column, (top + down) * width + left + right))
    })
}
