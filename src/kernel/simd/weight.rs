//! The gradient of a convolution by its weight: outer products summed in registers.
//!
//! For each tap, some input channels times some output gradients are kept in registers while the loop runs over the pixels that the
//! tap reaches; gradients are packed so that these stand together.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::instance::Instance;
use super::tile::Tile;
use crate::kernel::Geometry;
use crate::kernel::fresh::filled;
use crate::kernel::scratch::Scratch;
use crate::kernel::tiles::place;

/// Pixels whose inputs and gradients, in some channels, stay in the inner cache.
const CHUNK: usize = 256;

/// The gradient by the weight: each thread sums over its own pixels, and their sums are added in order.
pub fn gradient(instance: Instance, g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let tile = Tile::new(instance, g.outputs);
    let columns = tile.columns;
    let panels = g.outputs.div_ceil(columns);
    let chunks = g.pixels().div_ceil(CHUNK);
    let parts = rayon::current_num_threads().clamp(1, chunks);
    let part = |part: usize| {
        // `taps × panels × C_in × columns`.
        let mut sums = Scratch::new(g.patch() * panels * columns);
        let first = part * chunks / parts;
        for number in first..(part + 1) * chunks / parts {
            let chunk = Chunk::new(g, dy, number * CHUNK, columns);
            for (task, sums) in sums.chunks_exact_mut(g.inputs * columns).enumerate() {
                let (inputs, gradients) = &chunk.places[task / panels];
                tile.outer(x, inputs, chunk.panel(task % panels), gradients, sums, number > first);
            }
        }
        sums
    };
    let parts: Vec<Scratch> = (0..parts).into_par_iter().map(part).collect();
    let write = |dw: &mut [MaybeUninit<f32>]| {
        dw.par_chunks_mut(g.outputs).enumerate().for_each(|(row, dw)| {
            let (tap, input) = (row / g.inputs, row % g.inputs);
            for (panel, dw) in dw.chunks_mut(columns).enumerate() {
                let at = ((tap * panels + panel) * g.inputs + input) * columns;
                for (i, dw) in dw.iter_mut().enumerate() {
                    dw.write(parts.iter().map(|sums| sums[at + i]).sum());
                }
            }
        });
    };
    // SAFETY: every output of every row is written.
    #[allow(unsafe_code)]
    unsafe {
        filled(g.patch() * g.outputs, write)
    }
}

/// Some pixels, made ready.
struct Chunk {
    /// For each panel of outputs the gradients of all pixels, one after the other.
    gradients: Scratch,
    /// Gradients a panel.
    size: usize,
    /// For each tap where in the input the pixels are that it reaches, and where their packed gradients are.
    places: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Chunk {
    fn new(g: &Geometry, dy: &[f32], first: usize, columns: usize) -> Self {
        let pixels = CHUNK.min(g.pixels() - first);
        let dy = &dy[first * g.outputs..][..pixels * g.outputs];
        let mut gradients = Scratch::new(pixels * g.outputs.next_multiple_of(columns));
        for (panel, packed) in gradients.chunks_exact_mut(pixels * columns).enumerate() {
            let width = columns.min(g.outputs - panel * columns);
            for (packed, dy) in packed.chunks_exact_mut(columns).zip(dy.chunks_exact(g.outputs)) {
                packed[..width].copy_from_slice(&dy[panel * columns..][..width]);
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
                    gradients.push(i * columns);
                }
            }
            (inputs, gradients)
        };
        Self { gradients, size: pixels * columns, places: (0..g.kernel * g.kernel).map(reached).collect() }
    }

    fn panel(&self, panel: usize) -> &[f32] {
        &self.gradients[panel * self.size..][..self.size]
    }
}
