//! The gradient of a convolution by its weight: outer products summed in registers.
//!
//! For each tap, six input channels times sixteen output gradients are kept in registers while the loop runs over the pixels that the
//! tap reaches; gradients are packed so that those sixteen stand together.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::tile::{self, COLUMNS};
use crate::kernel::Geometry;
use crate::kernel::fresh::{filled, put};
use crate::kernel::scratch::Scratch;
use crate::kernel::tiles::place;

/// Pixels whose inputs and gradients, in some channels, stay in the inner cache.
const CHUNK: usize = 256;

/// The gradient by the weight: each thread sums over its own pixels, and their sums are added in order.
pub fn gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let panels = g.outputs.div_ceil(COLUMNS);
    let chunks = g.pixels().div_ceil(CHUNK);
    let parts = rayon::current_num_threads().clamp(1, chunks);
    let part = |part: usize| {
        // `taps × panels × C_in × 16`.
        let mut sums = Scratch::new(g.patch() * panels * COLUMNS);
        let first = part * chunks / parts;
        for number in first..(part + 1) * chunks / parts {
            let chunk = Chunk::new(g, dy, number * CHUNK);
            for (task, sums) in sums.chunks_exact_mut(g.inputs * COLUMNS).enumerate() {
                let (inputs, gradients) = &chunk.places[task / panels];
                sum_outer(x, inputs, chunk.panel(task % panels), gradients, sums, number > first);
            }
        }
        sums
    };
    let parts: Vec<Scratch> = (0..parts).into_par_iter().map(part).collect();
    let write = |dw: &mut [MaybeUninit<f32>]| {
        dw.par_chunks_mut(g.outputs).enumerate().for_each(|(row, dw)| {
            let (tap, input) = (row / g.inputs, row % g.inputs);
            for (panel, dw) in dw.chunks_mut(COLUMNS).enumerate() {
                let mut total = [0.0; COLUMNS];
                for sums in &parts {
                    let sums = &sums[((tap * panels + panel) * g.inputs + input) * COLUMNS..][..COLUMNS];
                    total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
                }
                put(dw, &total);
            }
        });
    };
    // SAFETY: every sixteen outputs of every row are written.
    #[allow(unsafe_code)]
    unsafe {
        filled(g.patch() * g.outputs, write)
    }
}

/// Some pixels, made ready.
struct Chunk {
    /// For each sixteen outputs the gradients of all pixels, one after the other.
    gradients: Scratch,
    pixels: usize,
    /// For each tap where in the input the pixels are that it reaches, and where their packed gradients are.
    places: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Chunk {
    fn new(g: &Geometry, dy: &[f32], first: usize) -> Self {
        let pixels = CHUNK.min(g.pixels() - first);
        let dy = &dy[first * g.outputs..][..pixels * g.outputs];
        let mut gradients = Scratch::new(pixels * g.outputs.next_multiple_of(COLUMNS));
        for (panel, packed) in gradients.chunks_exact_mut(pixels * COLUMNS).enumerate() {
            let width = COLUMNS.min(g.outputs - panel * COLUMNS);
            for (packed, dy) in packed.chunks_exact_mut(COLUMNS).zip(dy.chunks_exact(g.outputs)) {
                packed[..width].copy_from_slice(&dy[panel * COLUMNS..][..width]);
                packed[width..].fill(0.0);
            }
        }
        let corners: Vec<_> = (first..first + pixels).map(|pixel| place(g, pixel)).collect();
        let reached = |tap: usize| {
            let (mut inputs, mut gradients) = (Vec::with_capacity(pixels), Vec::with_capacity(pixels));
            for (i, &(image, row, column)) in corners.iter().enumerate() {
                // What is before the first pixel wraps around and is too large as well.
                let row = (row * g.stride + tap / g.kernel).wrapping_sub(g.padding);
                let column = (column * g.stride + tap % g.kernel).wrapping_sub(g.padding);
                if row < g.height && column < g.width {
                    inputs.push(((image * g.height + row) * g.width + column) * g.inputs);
                    gradients.push(i * COLUMNS);
                }
            }
            (inputs, gradients)
        };
        Self { gradients, pixels, places: (0..g.kernel * g.kernel).map(reached).collect() }
    }

    fn panel(&self, panel: usize) -> &[f32] {
        &self.gradients[panel * self.pixels * COLUMNS..][..self.pixels * COLUMNS]
    }
}

/// For every channel `c`, `sums[c] = Σ x[xs[k] + c] · y[ys[k] ‥ ys[k] + 16]`, added to what is there already if `more`; `sums` is
/// `channels × 16`.
pub fn sum_outer(x: &[f32], xs: &[usize], y: &[f32], ys: &[usize], sums: &mut [f32], more: bool) {
    let mut rest = sums.as_chunks_mut::<COLUMNS>().0;
    let mut channel = 0;
    while !rest.is_empty() {
        // Eight are two fours, not six and two.
        let count = match rest.len() {
            8 => 4,
            6.. => 6,
            4.. => 4,
            3 => 3,
            _ => 1,
        };
        let (rows, others) = rest.split_at_mut(count);
        match count {
            6 => sum_tile::<6>(x, xs, channel, y, ys, rows, more),
            4 => sum_tile::<4>(x, xs, channel, y, ys, rows, more),
            3 => sum_tile::<3>(x, xs, channel, y, ys, rows, more),
            _ => sum_tile::<1>(x, xs, channel, y, ys, rows, more),
        }
        channel += count;
        rest = others;
    }
}

#[allow(unsafe_code)]
fn sum_tile<const N: usize>(
    x: &[f32],
    xs: &[usize],
    channel: usize,
    y: &[f32],
    ys: &[usize],
    sums: &mut [[f32; COLUMNS]],
    more: bool,
) {
    let last = |offsets: &[usize]| offsets.iter().copied().max().unwrap_or(0);
    assert_eq!(xs.len(), ys.len());
    debug_assert!(xs.is_empty() || last(xs) + channel + N <= x.len());
    debug_assert!(ys.is_empty() || last(ys) + COLUMNS <= y.len());
    let mut tile = [[0.0; COLUMNS]; N];
    // SAFETY: callers are behind `is_available`. They give offsets of pixels, behind each of which are all the channels that there are
    // sums for, and offsets of sixteen gradients.
    unsafe { tile::outer(&x[channel..], xs, y, ys, &mut tile) };
    if !more {
        sums.copy_from_slice(&tile);
        return;
    }
    for (sums, row) in sums.iter_mut().zip(&tile) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}
