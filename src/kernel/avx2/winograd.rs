//! Convolution by Winograd's minimal filtering (Lavin & Gray 2016): 3×3, stride 1, padding 1, and both its gradients.
//!
//! F(4×4, 3×3) on maps of 8×8 and more, F(2×2, 3×3) on smaller ones: 4 and 2.25 times fewer multiplications, at relative errors of
//! some 1e-5 and 2e-6. The map is cut into rows of tiles. A task transforms some of these rows, multiplies point by point of the
//! transformed tiles, and transforms back: threads wait for each other as seldom as can be.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::tile::{self, COLUMNS, ROWS};
use super::tiles::{self, Tiles};
use crate::kernel::Geometry;
use crate::kernel::fresh::filled;
use crate::kernel::scratch::Scratch;

/// Tiles a task: enough for the weights to be worth reading.
const TASK: usize = 64;
/// Tiles in a stage of the gradient by the weight, behind which all threads wait for each other.
const STAGE: usize = 768;
/// Tiles that are summed at once: a line of each of two channels has to stay in the inner cache.
const SUMMED: usize = 192;

/// Whether this way exists for a geometry.
pub fn fits(g: &Geometry) -> bool {
    g.kernel == 3
        && g.stride == 1
        && g.padding == 1
        && g.inputs.is_multiple_of(COLUMNS)
        && g.outputs.is_multiple_of(COLUMNS)
        && g.height.min(g.width) >= 4
}

/// `patches(x) · weight`.
pub fn forward(g: &Geometry, x: &[f32], weight: &[f32]) -> Vec<f32> {
    let taps = |panel: usize, taps: &mut [f32]| {
        for (taps, weight) in taps.chunks_exact_mut(COLUMNS).zip(weight.chunks_exact(g.outputs)) {
            taps.copy_from_slice(&weight[panel * COLUMNS..][..COLUMNS]);
        }
    };
    if is_large(g) { correlate::<4>(g, x, taps) } else { correlate::<2>(g, x, taps) }
}

/// The gradient by the input: the convolution of the gradient with the weights turned by half a turn, inputs and outputs exchanged.
pub fn grad_input(g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let taps = |panel: usize, taps: &mut [f32]| {
        for (tap, taps) in taps.chunks_exact_mut(g.outputs * COLUMNS).enumerate() {
            let weight = &weight[((8 - tap) * g.inputs + panel * COLUMNS) * g.outputs..][..COLUMNS * g.outputs];
            for (output, taps) in taps.chunks_exact_mut(COLUMNS).enumerate() {
                for (tap, weight) in taps.iter_mut().zip(weight[output..].iter().step_by(g.outputs)) {
                    *tap = *weight;
                }
            }
        }
    };
    let turned = Geometry { inputs: g.outputs, outputs: g.inputs, ..*g };
    if is_large(g) { correlate::<4>(&turned, dy, taps) } else { correlate::<2>(&turned, dy, taps) }
}

/// The gradient by the weight.
pub fn grad_weight(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    if is_large(g) { weight_gradient::<4>(g, x, dy) } else { weight_gradient::<2>(g, x, dy) }
}

const fn is_large(g: &Geometry) -> bool {
    g.height >= 8 && g.width >= 8
}

/// `taps(panel, to)` says the weights to sixteen outputs, `9 × C_in × 16`.
fn correlate<const OUT: usize>(g: &Geometry, x: &[f32], taps: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let grid = Grid::new::<OUT>(g);
    let panels = g.outputs / COLUMNS;
    let weights = transform_weights::<OUT>(g.inputs, panels, taps);
    let length = grid.lines_a_task();
    let write = |y: &mut [MaybeUninit<f32>]| {
        let image = g.height * g.width * g.outputs;
        let mut lines: Vec<_> = y.chunks_mut(image).flat_map(|y| y.chunks_mut(OUT * g.width * g.outputs)).collect();
        lines.par_chunks_mut(length).with_max_len(1).enumerate().for_each(|(task, lines)| {
            let count = lines.len() * grid.across;
            let mut inputs = Scratch::new(grid.points * count * g.inputs);
            let mut products = Scratch::new(grid.points * count * g.outputs);
            for (line, to) in inputs.chunks_exact_mut(grid.points * grid.across * g.inputs).enumerate() {
                grid.transform::<OUT, false>(g.inputs, x, task * length + line, to);
            }
            let offsets = grid.offsets(lines.len(), g.inputs);
            for (product, products) in products.chunks_exact_mut(count * COLUMNS).enumerate() {
                let (point, panel) = (product / panels, product % panels);
                let weights = &weights[(panel * grid.points + point) * g.inputs * COLUMNS..][..g.inputs * COLUMNS];
                multiply(&inputs[point * grid.across * g.inputs..], &offsets, g.inputs, weights, products);
            }
            let read = Tiles { values: &products, point: count * g.outputs, panel: count * COLUMNS };
            for (line, y) in lines.iter_mut().enumerate() {
                tiles::scatter_line::<OUT>(&read, line * grid.across, g.width, g.outputs, y);
            }
        });
    };
    // SAFETY: the lines cover `y`, and every one is written by `scatter_line`.
    #[allow(unsafe_code)]
    unsafe {
        filled(g.batch * g.height * g.width * g.outputs, write)
    }
}

/// Rows of numbers at `offsets`, `depth` each, times `weights`, `depth × 16`.
#[allow(unsafe_code)]
fn multiply(rows: &[f32], offsets: &[usize], depth: usize, weights: &[f32], out: &mut [f32]) {
    assert_eq!(weights.len(), depth * COLUMNS);
    for (offsets, out) in offsets.chunks(ROWS).zip(out.as_chunks_mut::<COLUMNS>().0.chunks_mut(ROWS)) {
        let pointers = std::array::from_fn(|i| rows[offsets[i.min(offsets.len() - 1)]..][..depth].as_ptr());
        let mut spare = [[0.0; COLUMNS]; ROWS];
        let full = out.len() == ROWS;
        let tile = out.first_chunk_mut::<ROWS>().unwrap_or(&mut spare);
        // SAFETY: callers are behind `is_available`; each pointer is of a slice of `depth` numbers, and the weights were counted above.
        unsafe { tile::inner(&[pointers], 0..depth, weights, tile, false) };
        if !full {
            out.copy_from_slice(&spare[..out.len()]);
        }
    }
}

/// Sums over tiles of transformed inputs times transformed gradients, transformed back.
fn weight_gradient<const OUT: usize>(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let grid = Grid::new::<OUT>(g);
    let panels = g.outputs / COLUMNS;
    let stage = STAGE.div_ceil(grid.across).min(grid.lines);
    let mut inputs = Scratch::new(stage * grid.across * grid.points * g.inputs);
    let mut gradients = Scratch::new(stage * grid.across * grid.points * g.outputs);
    let mut sums = Scratch::new(grid.points * g.inputs * g.outputs);
    for first in (0..grid.lines).step_by(stage) {
        let lines = stage.min(grid.lines - first);
        let block = grid.points * grid.across;
        let blocks = inputs.par_chunks_mut(block * g.inputs).zip(gradients.par_chunks_mut(block * g.outputs));
        blocks.take(lines).enumerate().for_each(|(line, (to_inputs, to_gradients))| {
            grid.transform::<OUT, false>(g.inputs, x, first + line, to_inputs);
            grid.transform::<OUT, true>(g.outputs, dy, first + line, to_gradients);
        });
        let (xs, ys) = (grid.offsets(lines, g.inputs), grid.offsets(lines, g.outputs));
        sums.par_chunks_mut(g.inputs * COLUMNS).enumerate().for_each(|(task, sums)| {
            let (point, panel) = (task / panels, task % panels);
            let x = &inputs[point * grid.across * g.inputs..];
            let y = &gradients[point * grid.across * g.outputs + panel * COLUMNS..];
            for (i, (xs, ys)) in xs.chunks(SUMMED).zip(ys.chunks(SUMMED)).enumerate() {
                super::weight::sum_outer(x, xs, y, ys, sums, first + i > 0);
            }
        });
    }
    let mut blocks = Scratch::new(9 * g.inputs * g.outputs);
    blocks.par_chunks_mut(9 * g.outputs).enumerate().for_each(|(input, block)| {
        let panel = g.inputs * COLUMNS;
        let read = Tiles { values: &sums, point: panels * panel, panel };
        tiles::gather_weights::<OUT>(&read, input, g.outputs, block);
    });
    let copy = |dw: &mut [MaybeUninit<f32>]| {
        dw.par_chunks_mut(g.outputs).enumerate().for_each(|(row, dw)| {
            let (tap, input) = (row / g.inputs, row % g.inputs);
            crate::kernel::fresh::put(dw, &blocks[(input * 9 + tap) * g.outputs..][..g.outputs]);
        });
    };
    // SAFETY: every row of outputs is copied.
    #[allow(unsafe_code)]
    unsafe {
        filled(9 * g.inputs * g.outputs, copy)
    }
}

/// `G w Gᵀ` for every pair of channels: `panels × points × C_in × 16`.
fn transform_weights<const OUT: usize>(
    inputs: usize,
    panels: usize,
    taps: impl Fn(usize, &mut [f32]) + Sync,
) -> Scratch {
    let points = (OUT + 2) * (OUT + 2);
    let mut weights = Scratch::new(panels * points * inputs * COLUMNS);
    weights.par_chunks_mut(points * inputs * COLUMNS).enumerate().for_each(|(panel, weights)| {
        let mut from = Scratch::new(9 * inputs * COLUMNS);
        taps(panel, &mut from);
        tiles::transform_weights::<OUT>(&from, weights);
    });
    weights
}

/// A batch of maps, cut into tiles: `lines` rows of `across` tiles.
struct Grid {
    height: usize,
    width: usize,
    /// Rows of tiles of one image.
    down: usize,
    across: usize,
    lines: usize,
    /// Numbers of a transformed tile in one channel.
    points: usize,
}

impl Grid {
    fn new<const OUT: usize>(g: &Geometry) -> Self {
        let down = g.height.div_ceil(OUT);
        let (across, points) = (g.width.div_ceil(OUT), (OUT + 2) * (OUT + 2));
        Self { height: g.height, width: g.width, down, across, lines: g.batch * down, points }
    }

    /// Lines a task: tasks of [`TASK`] tiles or fewer, as many for each thread.
    fn lines_a_task(&self) -> usize {
        let tasks = (self.lines * self.across).div_ceil(TASK).next_multiple_of(rayon::current_num_threads());
        self.lines.div_ceil(tasks)
    }

    /// Transforms the tiles of a line, to `points × across × channels`.
    fn transform<const OUT: usize, const GRADIENT: bool>(
        &self,
        channels: usize,
        x: &[f32],
        line: usize,
        to: &mut [f32],
    ) {
        let image = self.height * self.width * channels;
        let x = &x[line / self.down * image..][..image];
        let zeros = vec![0.0; channels];
        let map = tiles::Map { x, zeros: &zeros, height: self.height, width: self.width, channels };
        tiles::transform_line::<OUT, GRADIENT>(&map, line % self.down * OUT, self.across, to);
    }

    /// Where the first point of each tile of `lines` transformed lines is.
    fn offsets(&self, lines: usize, channels: usize) -> Vec<usize> {
        let of = |line: usize| (0..self.across).map(move |tile| (line * self.points * self.across + tile) * channels);
        (0..lines).flat_map(of).collect()
    }
}
