//! Convolution as products with tiles of patches: for any geometry, number type and processor.
//!
//! A tile of output pixels has its patches copied side by side into a buffer that stays in cache, and one single-threaded
//! product a tile does the rest.

use rayon::prelude::*;

use super::product::{self, Matrix};
use super::{Geometry, Real};

/// Output pixels a tile.
const TILE: usize = 128;

/// `patches(x) · weight`.
pub fn forward<T: Real>(g: &Geometry, x: &[T], weight: &[T]) -> Vec<T> {
    let weight = Matrix::new(weight, g.patch(), g.outputs);
    let mut y = vec![T::ZERO; g.pixels() * g.outputs];
    y.par_chunks_mut(TILE * g.outputs).enumerate().for_each_init(Vec::new, |buffer, (tile, y)| {
        let pixels = y.len() / g.outputs;
        let patches = patches(g, x, tile * TILE, pixels, buffer);
        product::set(y, Matrix::new(patches, pixels, g.patch()), weight);
    });
    y
}

/// The gradient by the input.
pub fn grad_input<T: Real>(g: &Geometry, dy: &[T], weight: &[T]) -> Vec<T> {
    let weight = Matrix::new(weight, g.patch(), g.outputs).transposed();
    let mut dx = vec![T::ZERO; g.batch * g.image()];
    if g.is_pointwise() {
        dx.par_chunks_mut(TILE * g.inputs).zip(dy.par_chunks(TILE * g.outputs)).for_each(|(dx, dy)| {
            product::set(dx, Matrix::new(dy, dy.len() / g.outputs, g.outputs), weight);
        });
        return dx;
    }
    let images = dx.par_chunks_mut(g.image()).zip(dy.par_chunks(g.positions() * g.outputs));
    images.for_each_init(Vec::new, |buffer, (dx, dy)| {
        for (tile, dy) in dy.chunks(TILE * g.outputs).enumerate() {
            let pixels = dy.len() / g.outputs;
            buffer.resize(TILE * g.patch(), T::ZERO);
            let patches = &mut buffer[..pixels * g.patch()];
            product::set(patches, Matrix::new(dy, pixels, g.outputs), weight);
            for (i, patch) in patches.chunks_exact(g.patch()).enumerate() {
                add_patch(g, patch, tile * TILE + i, dx);
            }
        }
    });
    dx
}

/// The gradient by the weight.
pub fn grad_weight<T: Real>(g: &Geometry, x: &[T], dy: &[T]) -> Vec<T> {
    // Nothing is copied where a patch is a pixel, and the fewer sums are added up the better.
    let length = if g.is_pointwise() { g.pixels().div_ceil(rayon::current_num_threads()).max(TILE) } else { TILE };
    let tiles = g.pixels().div_ceil(length);
    let parts = rayon::current_num_threads().clamp(1, tiles);
    let part = |part: usize| {
        let (mut sum, mut buffer) = (Vec::new(), Vec::new());
        for tile in part * tiles / parts..(part + 1) * tiles / parts {
            let pixels = length.min(g.pixels() - tile * length);
            let dy = Matrix::new(&dy[tile * length * g.outputs..][..pixels * g.outputs], pixels, g.outputs);
            let patches = patches(g, x, tile * length, pixels, &mut buffer);
            let patches = Matrix::new(patches, pixels, g.patch()).transposed();
            if sum.is_empty() {
                sum = product::new(patches, dy);
            } else {
                product::add(&mut sum, patches, dy);
            }
        }
        sum
    };
    add_up((0..parts).into_par_iter().map(part).collect())
}

/// The sum of partial sums, in their order.
pub(super) fn add_up<T: Real>(parts: Vec<Vec<T>>) -> Vec<T> {
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_default();
    for part in parts {
        total.par_chunks_mut(1 << 14).zip(part.par_chunks(1 << 14)).for_each(|(total, part)| {
            for (total, &part) in total.iter_mut().zip(part) {
                *total += part;
            }
        });
    }
    total
}

/// The patches of `pixels` output pixels from number `first` on, `pixels × (k·k·C_in)`: the input itself if each is one of its pixels.
pub(super) fn patches<'a, T: Real>(
    g: &Geometry,
    x: &'a [T],
    first: usize,
    pixels: usize,
    buffer: &'a mut Vec<T>,
) -> &'a [T] {
    if g.is_pointwise() {
        return &x[first * g.inputs..][..pixels * g.inputs];
    }
    buffer.resize(pixels * g.patch(), T::ZERO);
    for (i, patch) in buffer.chunks_exact_mut(g.patch()).enumerate() {
        copy_patch(g, x, first + i, patch);
    }
    buffer
}

/// Copies the patch of one output pixel, zeros where it leaves the image.
fn copy_patch<T: Real>(g: &Geometry, x: &[T], pixel: usize, patch: &mut [T]) {
    let (image, row, column) = place(g, pixel);
    let x = &x[image * g.image()..][..g.image()];
    let ((rows, top), (columns, left)) = (g.reach(row, g.height), g.reach(column, g.width));
    let length = columns.len() * g.inputs;
    for (dy, line) in patch.chunks_exact_mut(g.kernel * g.inputs).enumerate() {
        if !rows.contains(&dy) || length == 0 {
            line.fill(T::ZERO);
            continue;
        }
        let start = ((top + dy - rows.start) * g.width + left) * g.inputs;
        let (before, rest) = line.split_at_mut(columns.start * g.inputs);
        let (inside, after) = rest.split_at_mut(length);
        before.fill(T::ZERO);
        inside.copy_from_slice(&x[start..start + length]);
        after.fill(T::ZERO);
    }
}

/// Adds the patch of one output pixel of an image to that image.
fn add_patch<T: Real>(g: &Geometry, patch: &[T], pixel: usize, image: &mut [T]) {
    let (_, row, column) = place(g, pixel);
    let ((rows, top), (columns, left)) = (g.reach(row, g.height), g.reach(column, g.width));
    let length = columns.len() * g.inputs;
    if length == 0 {
        return;
    }
    for dy in rows.clone() {
        let start = ((top + dy - rows.start) * g.width + left) * g.inputs;
        let line = &patch[(dy * g.kernel + columns.start) * g.inputs..][..length];
        for (image, &value) in image[start..start + length].iter_mut().zip(line) {
            *image += value;
        }
    }
}

/// Image, row and column of an output pixel.
pub(super) const fn place(g: &Geometry, pixel: usize) -> (usize, usize, usize) {
    let (image, rest) = (pixel / g.positions(), pixel % g.positions());
    (image, rest / g.out_width(), rest % g.out_width())
}
