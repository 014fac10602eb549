//! Max and average pooling over `N×H×W×C`, for any window.

use rayon::prelude::*;

use super::{Geometry, Real};

/// The largest value in each window and the pixel of its image that holds it; the first of equals, and padding never.
#[must_use]
pub fn max<T: Real>(g: &Geometry, x: &[T]) -> (Vec<T>, Vec<u32>) {
    let count = g.pixels() * g.inputs;
    let (mut y, mut winners) = (vec![T::NEG_INFINITY; count], vec![0; count]);
    let image = g.positions() * g.inputs;
    let images = y.par_chunks_mut(image).zip(winners.par_chunks_mut(image)).zip(x.par_chunks(g.image()));
    images.for_each(|((y, winners), x)| {
        let pixels = y.chunks_exact_mut(g.inputs).zip(winners.chunks_exact_mut(g.inputs));
        for (at, (y, winners)) in pixels.enumerate() {
            for pixel in window(g, at) {
                let x = &x[pixel * g.inputs..][..g.inputs];
                for ((y, winner), &x) in y.iter_mut().zip(winners.iter_mut()).zip(x) {
                    // A NaN wins too, so that it is not hidden.
                    if x > *y || x.double().is_nan() {
                        (*y, *winner) = (x, pixel as u32);
                    }
                }
            }
        }
    });
    (y, winners)
}

/// Sends each gradient to its winner.
#[must_use]
pub fn max_backward<T: Real>(g: &Geometry, dy: &[T], winners: &[u32]) -> Vec<T> {
    let mut dx = vec![T::ZERO; g.batch * g.image()];
    let image = g.positions() * g.inputs;
    let images = dx.par_chunks_mut(g.image()).zip(dy.par_chunks(image)).zip(winners.par_chunks(image));
    images.for_each(|((dx, dy), winners)| {
        for (dy, winners) in dy.chunks_exact(g.inputs).zip(winners.chunks_exact(g.inputs)) {
            for (channel, (&dy, &winner)) in dy.iter().zip(winners).enumerate() {
                dx[winner as usize * g.inputs + channel] += dy;
            }
        }
    });
    dx
}

/// The mean of each window, zeros of the padding counted.
#[must_use]
pub fn average<T: Real>(g: &Geometry, x: &[T]) -> Vec<T> {
    let share = T::real(1.0 / (g.kernel * g.kernel) as f64);
    let mut y = vec![T::ZERO; g.pixels() * g.inputs];
    y.par_chunks_mut(g.positions() * g.inputs).zip(x.par_chunks(g.image())).for_each(|(y, x)| {
        for (at, y) in y.chunks_exact_mut(g.inputs).enumerate() {
            for pixel in window(g, at) {
                for (y, &x) in y.iter_mut().zip(&x[pixel * g.inputs..][..g.inputs]) {
                    *y += x * share;
                }
            }
        }
    });
    y
}

/// Spreads each gradient evenly over its window.
#[must_use]
pub fn average_backward<T: Real>(g: &Geometry, dy: &[T]) -> Vec<T> {
    let share = T::real(1.0 / (g.kernel * g.kernel) as f64);
    let mut dx = vec![T::ZERO; g.batch * g.image()];
    dx.par_chunks_mut(g.image()).zip(dy.par_chunks(g.positions() * g.inputs)).for_each(|(dx, dy)| {
        for (at, dy) in dy.chunks_exact(g.inputs).enumerate() {
            for pixel in window(g, at) {
                for (dx, &dy) in dx[pixel * g.inputs..][..g.inputs].iter_mut().zip(dy) {
                    *dx += dy * share;
                }
            }
        }
    });
    dx
}

/// The pixels of an image that output pixel `at` of it sees, in row order.
fn window(g: &Geometry, at: usize) -> impl Iterator<Item = usize> + use<> {
    let (rows, top) = g.reach(at / g.out_width(), g.height);
    let (columns, left) = g.reach(at % g.out_width(), g.width);
    let (width, across) = (g.width, columns.len());
    (0..rows.len()).flat_map(move |down| (0..across).map(move |right| (top + down) * width + left + right))
}
