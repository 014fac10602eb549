//! Convolution of so few pixels that their weights outweigh all else, stride 1.
//!
//! Each task packs a panel of weights where it uses them, so that weights are read from memory once and nothing as large is written.
//! Pixels of the same place in all images stand together: a tap that leaves the image leaves it for all pixels of a register tile, and
//! is left out.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::instance::Instance;
use super::tile::{MOST, ROWS, Tile};
use crate::kernel::Geometry;
use crate::kernel::fresh::{filled, put};
use crate::kernel::scratch::Scratch;

/// Pixels up to which this way wins.
const FEW: usize = 256;

/// Whether this way exists for a geometry and wins.
pub fn wins(g: &Geometry) -> bool {
    let same = g.stride == 1 && g.kernel == 2 * g.padding + 1;
    same && g.kernel > 1 && g.pixels() <= FEW && g.inputs.is_multiple_of(16) && g.outputs.is_multiple_of(16)
}

/// `patches(x) · weight`.
pub fn forward(instance: Instance, g: &Geometry, x: &[f32], weight: &[f32]) -> Vec<f32> {
    let tile = Tile::new(instance, g.outputs);
    let columns = tile.columns;
    correlate(tile, g, x, |panel, tap, to| {
        let weight = &weight[tap * g.inputs * g.outputs..][..g.inputs * g.outputs];
        for (to, weight) in to.chunks_exact_mut(columns).zip(weight.chunks_exact(g.outputs)) {
            to.copy_from_slice(&weight[panel * columns..][..columns]);
        }
    })
}

/// The gradient by the input: the convolution of the gradient with the weights turned by half a turn, inputs and outputs exchanged.
pub fn grad_input(instance: Instance, g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let turned = Geometry { inputs: g.outputs, outputs: g.inputs, ..*g };
    let tile = Tile::new(instance, g.inputs);
    let columns = tile.columns;
    correlate(tile, &turned, dy, |panel, tap, to| {
        let opposite = g.kernel * g.kernel - 1 - tap;
        let weight = &weight[(opposite * g.inputs + panel * columns) * g.outputs..][..columns * g.outputs];
        for (output, to) in to.chunks_exact_mut(columns).enumerate() {
            for (to, weight) in to.iter_mut().zip(weight[output..].iter().step_by(g.outputs)) {
                *to = *weight;
            }
        }
    })
}

/// The gradient by the weight: each tap sums over the pixels that it reaches.
pub fn grad_weight(instance: Instance, g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let pixels = by_place(g);
    let tile = Tile::new(instance, g.outputs);
    let columns = tile.columns;
    let tap = |(tap, dw): (usize, &mut [MaybeUninit<f32>])| {
        let reached = |&pixel: &Pixel| Some((reach(g, pixel, tap)? * g.inputs, pixel.number(g) * g.outputs));
        let (xs, ys): (Vec<_>, Vec<_>) = pixels.iter().filter_map(reached).unzip();
        let mut sums = Scratch::new(g.inputs * columns);
        for panel in 0..g.outputs / columns {
            tile.outer(x, &xs, &dy[panel * columns..], &ys, &mut sums, false);
            for (dw, sums) in dw.chunks_exact_mut(g.outputs).zip(sums.chunks_exact(columns)) {
                put(&mut dw[panel * columns..][..columns], sums);
            }
        }
    };
    // SAFETY: every panel of every row is written.
    #[allow(unsafe_code)]
    unsafe {
        filled(g.patch() * g.outputs, |dw| {
            dw.par_chunks_mut(g.inputs * g.outputs).with_max_len(1).enumerate().for_each(tap);
        })
    }
}

/// `pack(panel, tap, to)` says the weights of a tap to the outputs of a panel, `C_in × columns`.
fn correlate(tile: Tile, g: &Geometry, x: &[f32], pack: impl Fn(usize, usize, &mut [f32]) + Sync) -> Vec<f32> {
    let (pixels, columns) = (by_place(g), tile.columns);
    let groups: Vec<Group> = pixels.chunks(tile.rows).map(|pixels| Group::new(tile, g, pixels)).collect();
    // `panels × pixels × columns`.
    let mut products = Scratch::new(pixels.len() * g.outputs);
    products.par_chunks_mut(pixels.len() * columns).with_max_len(1).enumerate().for_each(|(panel, products)| {
        let size = g.inputs * columns;
        let mut weights = Scratch::new(g.kernel * g.kernel * size);
        for (tap, weights) in weights.chunks_exact_mut(size).enumerate() {
            if groups.iter().any(|group| group.taps.iter().any(|&(at, _)| at == tap)) {
                pack(panel, tap, weights);
            }
        }
        let zeros = vec![0.0; g.inputs];
        for (group, products) in groups.iter().zip(products.chunks_mut(tile.rows * columns)) {
            let mut sums = [0.0; MOST];
            group.multiply(tile, x, &zeros, &weights, &mut sums[..group.height * columns]);
            products.copy_from_slice(&sums[..products.len()]);
        }
    });
    let write = |y: &mut [MaybeUninit<f32>]| {
        for (panel, products) in products.chunks_exact(pixels.len() * columns).enumerate() {
            for (pixel, products) in pixels.iter().zip(products.chunks_exact(columns)) {
                put(&mut y[pixel.number(g) * g.outputs + panel * columns..][..columns], products);
            }
        }
    };
    // SAFETY: every panel of every pixel is written.
    #[allow(unsafe_code)]
    unsafe {
        filled(g.pixels() * g.outputs, write)
    }
}

/// A pixel of a map; maps of inputs and outputs are of one size here.
#[derive(Debug, Clone, Copy)]
struct Pixel {
    image: usize,
    row: usize,
    column: usize,
}

impl Pixel {
    fn number(self, g: &Geometry) -> usize {
        (self.image * g.height + self.row) * g.width + self.column
    }
}

/// All pixels, those of the same place in all images together.
fn by_place(g: &Geometry) -> Vec<Pixel> {
    let places = (0..g.height).flat_map(|row| (0..g.width).map(move |column| (row, column)));
    places.flat_map(|(row, column)| (0..g.batch).map(move |image| Pixel { image, row, column })).collect()
}

/// The number of the pixel that a tap reaches from another, if it is inside.
fn reach(g: &Geometry, pixel: Pixel, tap: usize) -> Option<usize> {
    let row = (pixel.row + tap / g.kernel).checked_sub(g.padding).filter(|&row| row < g.height)?;
    let column = (pixel.column + tap % g.kernel).checked_sub(g.padding).filter(|&column| column < g.width)?;
    Some(Pixel { row, column, ..pixel }.number(g))
}

/// The pixels of a register tile, and the taps that reach the image from any of them.
struct Group {
    /// The tap, and where the channels of the pixels are that it reaches.
    taps: Vec<(usize, [Option<usize>; ROWS])>,
    /// Channels a pixel.
    channels: usize,
    height: usize,
}

impl Group {
    fn new(tile: Tile, g: &Geometry, pixels: &[Pixel]) -> Self {
        let reached = |tap: usize| {
            let at = |i: usize| pixels.get(i).and_then(|&pixel| reach(g, pixel, tap)).map(|pixel| pixel * g.inputs);
            let reached: [_; ROWS] = std::array::from_fn(at);
            reached.iter().any(Option::is_some).then_some((tap, reached))
        };
        let taps = (0..g.kernel * g.kernel).filter_map(reached).collect();
        Self { taps, channels: g.inputs, height: tile.height(pixels.len()) }
    }

    /// The patches of the pixels times `weights`, `taps × channels × columns`.
    fn multiply(&self, tile: Tile, x: &[f32], zeros: &[f32], weights: &[f32], sums: &mut [f32]) {
        let size = self.channels * tile.columns;
        for (tap, places) in &self.taps {
            let rows = places.map(|place| &place.map_or(zeros, |at| &x[at..])[..self.channels]);
            let weights = &weights[tap * size..][..size];
            tile.inner(&rows[..self.height], 0..self.channels, weights, sums, true);
        }
    }
}
