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
/// Chunks a stage: what is between two waits of all threads for each other.
const STAGE: usize = 8;

/// The gradient by the weight. Every tap and sixteen outputs are one task, so that the sums are the same for any number of threads.
pub fn gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let panels = g.outputs.div_ceil(COLUMNS);
    // `taps × panels × C_in × 16`.
    let mut sums = Scratch::new(g.patch() * panels * COLUMNS);
    let firsts: Vec<usize> = (0..g.pixels()).step_by(CHUNK).collect();
    for (stage, firsts) in firsts.chunks(STAGE).enumerate() {
        let chunks: Vec<Chunk> = firsts.par_iter().map(|&first| Chunk::new(g, dy, first)).collect();
        sums.par_chunks_mut(g.inputs * COLUMNS).enumerate().for_each(|(task, sums)| {
            if stage == 0 {
                sums.fill(0.0);
            }
            for chunk in &chunks {
                let (inputs, gradients) = &chunk.places[task / panels];
                add_outer(x, inputs, chunk.panel(task % panels), gradients, sums);
            }
        });
    }
    let write = |dw: &mut [MaybeUninit<f32>]| {
        dw.par_chunks_mut(g.outputs).enumerate().for_each(|(row, dw)| {
            let (tap, input) = (row / g.inputs, row % g.inputs);
            for (panel, dw) in dw.chunks_mut(COLUMNS).enumerate() {
                put(dw, &sums[((tap * panels + panel) * g.inputs + input) * COLUMNS..][..COLUMNS]);
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
    gradients: Vec<f32>,
    pixels: usize,
    /// For each tap where in the input the pixels are that it reaches, and where their packed gradients are.
    places: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Chunk {
    fn new(g: &Geometry, dy: &[f32], first: usize) -> Self {
        let pixels = CHUNK.min(g.pixels() - first);
        let dy = &dy[first * g.outputs..][..pixels * g.outputs];
        let mut gradients = Vec::with_capacity(pixels * g.outputs.next_multiple_of(COLUMNS));
        for panel in (0..g.outputs).step_by(COLUMNS) {
            let width = COLUMNS.min(g.outputs - panel);
            for dy in dy.chunks_exact(g.outputs) {
                gradients.extend_from_slice(&dy[panel..panel + width]);
                gradients.extend(std::iter::repeat_n(0.0, COLUMNS - width));
            }
        }
        let mut places = vec![(Vec::with_capacity(pixels), Vec::with_capacity(pixels)); g.kernel * g.kernel];
        for i in 0..pixels {
            let (image, row, column) = place(g, first + i);
            let ((rows, top), (columns, left)) = (g.reach(row, g.height), g.reach(column, g.width));
            for dy in rows.clone() {
                for dx in columns.clone() {
                    let pixel = (image * g.height + top + dy - rows.start) * g.width + left + dx - columns.start;
                    let (inputs, gradients) = &mut places[dy * g.kernel + dx];
                    inputs.push(pixel * g.inputs);
                    gradients.push(i * COLUMNS);
                }
            }
        }
        Self { gradients, pixels, places }
    }

    fn panel(&self, panel: usize) -> &[f32] {
        &self.gradients[panel * self.pixels * COLUMNS..][..self.pixels * COLUMNS]
    }
}

/// For every channel `c`, `sums[c] += Σ x[xs[k] + c] · y[ys[k] ‥ ys[k] + 16]`; `sums` is `channels × 16`.
pub fn add_outer(x: &[f32], xs: &[usize], y: &[f32], ys: &[usize], sums: &mut [f32]) {
    let mut rest = sums.as_chunks_mut::<COLUMNS>().0;
    let mut channel = 0;
    while !rest.is_empty() {
        // Eight are two fours, not six and two.
        let count = match rest.len() {
            8 => 4,
            6.. => 6,
            4.. => 4,
            _ => 1,
        };
        let (rows, others) = rest.split_at_mut(count);
        match count {
            6 => add::<6>(x, xs, channel, y, ys, rows),
            4 => add::<4>(x, xs, channel, y, ys, rows),
            _ => add::<1>(x, xs, channel, y, ys, rows),
        }
        channel += count;
        rest = others;
    }
}

#[allow(unsafe_code)]
fn add<const N: usize>(x: &[f32], xs: &[usize], channel: usize, y: &[f32], ys: &[usize], sums: &mut [[f32; COLUMNS]]) {
    let last = |offsets: &[usize]| offsets.iter().copied().max().unwrap_or(0);
    assert_eq!(xs.len(), ys.len());
    debug_assert!(xs.is_empty() || last(xs) + channel + N <= x.len());
    debug_assert!(ys.is_empty() || last(ys) + COLUMNS <= y.len());
    let mut tile = [[0.0; COLUMNS]; N];
    // SAFETY: callers are behind `is_available`. They give offsets of pixels, behind each of which are all the channels that there are
    // sums for, and offsets of sixteen gradients.
    unsafe { tile::outer(&x[channel..], xs, y, ys, &mut tile) };
    for (sums, row) in sums.iter_mut().zip(&tile) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}
