//! The gradient of a convolution by its weight: outer products summed in registers.
//!
//! For each tap, six input channels times sixteen output gradients are kept in registers while the loop runs over the pixels that the
//! tap reaches; gradients are packed so that those sixteen stand together.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::tile::{self, COLUMNS};
use crate::kernel::Geometry;
use crate::kernel::fresh::{filled, put};
use crate::kernel::tiles::{add_up, place};

/// Pixels that are taken at once.
const CHUNK: usize = 256;

/// The gradient by the weight: each thread sums over its own chunks of pixels.
pub fn gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let chunks = g.pixels().div_ceil(CHUNK);
    let parts = rayon::current_num_threads().clamp(1, chunks);
    let part = |part: usize| {
        let mut sums = WeightSums::new(g);
        for chunk in part * chunks / parts..(part + 1) * chunks / parts {
            sums.add(g, x, dy, chunk * CHUNK);
        }
        sums.total
    };
    let total = add_up((0..parts).into_par_iter().map(part).collect());
    let write = |dw: &mut [MaybeUninit<f32>]| {
        dw.par_chunks_mut(g.outputs).enumerate().for_each(|(row, dw)| {
            let (tap, input) = (row / g.inputs, row % g.inputs);
            for (panel, dw) in dw.chunks_mut(COLUMNS).enumerate() {
                let panels = g.outputs.div_ceil(COLUMNS);
                put(dw, &total[((tap * panels + panel) * g.inputs + input) * COLUMNS..][..COLUMNS]);
            }
        });
    };
    // SAFETY: every sixteen outputs of every row are written.
    #[allow(unsafe_code)]
    unsafe {
        filled(g.patch() * g.outputs, write)
    }
}

/// Sums of the gradient by the weight, with the buffers of a chunk.
struct WeightSums {
    /// `taps × panels × C_in × 16`.
    total: Vec<f32>,
    /// For each sixteen outputs the gradients of all pixels, one after the other.
    panels: Vec<f32>,
    /// For each tap where the pixels' inputs are.
    inputs: Vec<usize>,
    /// For each tap where their packed gradients are.
    gradients: Vec<usize>,
    /// For each tap how many pixels it reaches: what is outside the image is left out.
    counts: Vec<usize>,
}

impl WeightSums {
    fn new(g: &Geometry) -> Self {
        let (taps, columns) = (g.kernel * g.kernel, g.outputs.next_multiple_of(COLUMNS));
        Self {
            total: vec![0.0; g.patch() * columns],
            panels: vec![0.0; columns * CHUNK],
            inputs: vec![0; taps * CHUNK],
            counts: vec![0; taps],
            gradients: vec![0; taps * CHUNK],
        }
    }

    fn add(&mut self, g: &Geometry, x: &[f32], dy: &[f32], first: usize) {
        let pixels = CHUNK.min(g.pixels() - first);
        self.pack(g, dy, first, pixels);
        self.locate(g, first, pixels);
        let panels = self.panels.len() / (CHUNK * COLUMNS);
        for (task, sums) in self.total.chunks_exact_mut(g.inputs * COLUMNS).enumerate() {
            let (tap, panel) = (task / panels, task % panels);
            let count = self.counts[tap];
            let inputs = &self.inputs[tap * CHUNK..][..count];
            let gradients = &self.gradients[tap * CHUNK..][..count];
            let values = &self.panels[panel * CHUNK * COLUMNS..][..CHUNK * COLUMNS];
            add_outer(x, inputs, values, gradients, sums);
        }
    }

    fn pack(&mut self, g: &Geometry, dy: &[f32], first: usize, pixels: usize) {
        for (i, dy) in dy[first * g.outputs..][..pixels * g.outputs].chunks_exact(g.outputs).enumerate() {
            for (panel, dy) in dy.chunks(COLUMNS).enumerate() {
                self.panels[(panel * CHUNK + i) * COLUMNS..][..dy.len()].copy_from_slice(dy);
            }
        }
    }

    fn locate(&mut self, g: &Geometry, first: usize, pixels: usize) {
        self.counts.fill(0);
        for i in 0..pixels {
            let (image, row, column) = place(g, first + i);
            let ((rows, top), (columns, left)) = (g.reach(row, g.height), g.reach(column, g.width));
            for dy in rows.clone() {
                for dx in columns.clone() {
                    let tap = dy * g.kernel + dx;
                    let pixel = (image * g.height + top + dy - rows.start) * g.width + left + dx - columns.start;
                    let at = tap * CHUNK + self.counts[tap];
                    (self.inputs[at], self.gradients[at]) = (pixel * g.inputs, i * COLUMNS);
                    self.counts[tap] += 1;
                }
            }
        }
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
