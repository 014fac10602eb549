//! Convolution by Winograd's minimal filtering (Lavin & Gray 2016): 3×3, stride 1, padding 1, and both its gradients.
//!
//! F(4×4, 3×3) on maps of 8×8 and more, F(2×2, 3×3) on smaller ones: 4 and 2.25 times fewer multiplications, at relative errors of
//! some 1e-5 and 2e-6. The map is cut into rows of tiles. A task transforms some of these rows, multiplies point by point of the
//! transformed tiles, and transforms back: threads wait for each other as seldom as can be.

use std::array::from_fn;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::instance::Instance;
use super::tile::{MOST, ROWS, Tile};
use super::tiles::{GatherWeights, Map, ScatterLine, Tiles, TransformLine, TransformWeights};
use crate::kernel::Geometry;
use crate::kernel::fresh::{filled, put};
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
        && g.inputs.is_multiple_of(16)
        && g.outputs.is_multiple_of(16)
        && g.height.min(g.width) >= 4
}

/// `patches(x) · weight`.
pub fn forward(instance: Instance, g: &Geometry, x: &[f32], weight: &[f32]) -> Vec<f32> {
    let tile = Tile::new(instance, g.outputs);
    let taps = |panel: usize, taps: &mut [f32]| {
        for (taps, weight) in taps.chunks_exact_mut(tile.columns).zip(weight.chunks_exact(g.outputs)) {
            taps.copy_from_slice(&weight[panel * tile.columns..][..tile.columns]);
        }
    };
    if is_large(g) { correlate::<4>(instance, tile, g, x, taps) } else { correlate::<2>(instance, tile, g, x, taps) }
}

/// The gradient by the input: the convolution of the gradient with the weights turned by half a turn, inputs and outputs exchanged.
pub fn grad_input(instance: Instance, g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let tile = Tile::new(instance, g.inputs);
    let columns = tile.columns;
    let taps = |panel: usize, taps: &mut [f32]| {
        for (tap, taps) in taps.chunks_exact_mut(g.outputs * columns).enumerate() {
            let weight = &weight[((8 - tap) * g.inputs + panel * columns) * g.outputs..][..columns * g.outputs];
            for (output, taps) in taps.chunks_exact_mut(columns).enumerate() {
                for (tap, weight) in taps.iter_mut().zip(weight[output..].iter().step_by(g.outputs)) {
                    *tap = *weight;
                }
            }
        }
    };
    let turned = Geometry { inputs: g.outputs, outputs: g.inputs, ..*g };
    if is_large(g) {
        correlate::<4>(instance, tile, &turned, dy, taps)
    } else {
        correlate::<2>(instance, tile, &turned, dy, taps)
    }
}

/// The gradient by the weight.
pub fn grad_weight(instance: Instance, g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    if is_large(g) { weight_gradient::<4>(instance, g, x, dy) } else { weight_gradient::<2>(instance, g, x, dy) }
}

const fn is_large(g: &Geometry) -> bool {
    g.height >= 8 && g.width >= 8
}

/// `taps(panel, to)` says the weights to the outputs of a panel, `9 × C_in × columns`.
fn correlate<const OUT: usize>(
    instance: Instance,
    tile: Tile,
    g: &Geometry,
    x: &[f32],
    taps: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let grid = Grid::new::<OUT>(g);
    let (columns, panels) = (tile.columns, g.outputs / tile.columns);
    let weights = transform_weights::<OUT>(instance, g.inputs * columns, panels, taps);
    let length = grid.lines_a_task();
    let write = |y: &mut [MaybeUninit<f32>]| {
        let image = g.height * g.width * g.outputs;
        let mut lines: Vec<_> = y.chunks_mut(image).flat_map(|y| y.chunks_mut(OUT * g.width * g.outputs)).collect();
        lines.par_chunks_mut(length).with_max_len(1).enumerate().for_each(|(task, lines)| {
            let count = lines.len() * grid.across;
            let mut inputs = Scratch::new(grid.points * count * g.inputs);
            let mut products = Scratch::new(grid.points * count * g.outputs);
            for (line, to) in inputs.chunks_exact_mut(grid.points * grid.across * g.inputs).enumerate() {
                grid.transform::<OUT, false>(instance, g.inputs, x, task * length + line, to);
            }
            let offsets = grid.offsets(lines.len(), g.inputs);
            for (product, products) in products.chunks_exact_mut(count * columns).enumerate() {
                let (point, panel) = (product / panels, product % panels);
                let weights = &weights[(panel * grid.points + point) * g.inputs * columns..][..g.inputs * columns];
                multiply(tile, &inputs[point * grid.across * g.inputs..], &offsets, g.inputs, weights, products);
            }
            let tiles = Tiles { values: &products, point: count * g.outputs, panel: count * columns, columns };
            for (line, y) in lines.iter_mut().enumerate() {
                let first = line * grid.across;
                instance.run(ScatterLine::<OUT> { tiles: &tiles, first, width: g.width, channels: g.outputs, y });
            }
        });
    };
    // SAFETY: the lines cover `y`, and every one is written by `ScatterLine`.
    #[allow(unsafe_code)]
    unsafe {
        filled(g.batch * g.height * g.width * g.outputs, write)
    }
}

/// Rows of numbers at `offsets`, `depth` each, times `weights`, `depth × columns`.
fn multiply(tile: Tile, rows: &[f32], offsets: &[usize], depth: usize, weights: &[f32], out: &mut [f32]) {
    let mut spare = [0.0; MOST];
    for (offsets, out) in offsets.chunks(tile.rows).zip(out.chunks_mut(tile.rows * tile.columns)) {
        let height = tile.height(offsets.len());
        let rows: [&[f32]; ROWS] = from_fn(|i| &rows[offsets[i.min(offsets.len() - 1)]..][..depth]);
        if height == offsets.len() {
            tile.inner(&rows[..height], 0..depth, weights, out, false);
        } else {
            let spare = &mut spare[..height * tile.columns];
            tile.inner(&rows[..height], 0..depth, weights, spare, false);
            out.copy_from_slice(&spare[..out.len()]);
        }
    }
}

/// Sums over tiles of transformed inputs times transformed gradients, transformed back.
fn weight_gradient<const OUT: usize>(instance: Instance, g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let grid = Grid::new::<OUT>(g);
    let tile = Tile::new(instance, g.outputs);
    let (columns, panels) = (tile.columns, g.outputs / tile.columns);
    let stage = STAGE.div_ceil(grid.across).min(grid.lines);
    let mut inputs = Scratch::new(stage * grid.across * grid.points * g.inputs);
    let mut gradients = Scratch::new(stage * grid.across * grid.points * g.outputs);
    let mut sums = Scratch::new(grid.points * g.inputs * g.outputs);
    for first in (0..grid.lines).step_by(stage) {
        let lines = stage.min(grid.lines - first);
        let block = grid.points * grid.across;
        let blocks = inputs.par_chunks_mut(block * g.inputs).zip(gradients.par_chunks_mut(block * g.outputs));
        blocks.take(lines).enumerate().for_each(|(line, (to_inputs, to_gradients))| {
            grid.transform::<OUT, false>(instance, g.inputs, x, first + line, to_inputs);
            grid.transform::<OUT, true>(instance, g.outputs, dy, first + line, to_gradients);
        });
        let (xs, ys) = (grid.offsets(lines, g.inputs), grid.offsets(lines, g.outputs));
        sums.par_chunks_mut(g.inputs * columns).enumerate().for_each(|(task, sums)| {
            let (point, panel) = (task / panels, task % panels);
            let x = &inputs[point * grid.across * g.inputs..];
            let y = &gradients[point * grid.across * g.outputs + panel * columns..];
            for (i, (xs, ys)) in xs.chunks(SUMMED).zip(ys.chunks(SUMMED)).enumerate() {
                tile.outer(x, xs, y, ys, sums, first + i > 0);
            }
        });
    }
    let mut blocks = Scratch::new(9 * g.inputs * g.outputs);
    let panel = g.inputs * columns;
    let sums = Tiles { values: &sums, point: panels * panel, panel, columns };
    blocks.par_chunks_mut(9 * g.outputs).enumerate().for_each(|(input, to)| {
        instance.run(GatherWeights::<OUT> { sums: &sums, input, outputs: g.outputs, to });
    });
    let copy = |dw: &mut [MaybeUninit<f32>]| {
        dw.par_chunks_mut(g.outputs).enumerate().for_each(|(row, dw)| {
            let (tap, input) = (row / g.inputs, row % g.inputs);
            put(dw, &blocks[(input * 9 + tap) * g.outputs..][..g.outputs]);
        });
    };
    // SAFETY: every row of outputs is copied.
    #[allow(unsafe_code)]
    unsafe {
        filled(9 * g.inputs * g.outputs, copy)
    }
}

/// `G w Gᵀ` of the weights of each panel: `panels × points × C_in × columns`, `size` being the last two.
fn transform_weights<const OUT: usize>(
    instance: Instance,
    size: usize,
    panels: usize,
    taps: impl Fn(usize, &mut [f32]) + Sync,
) -> Scratch {
    let points = (OUT + 2) * (OUT + 2);
    let mut weights = Scratch::new(panels * points * size);
    weights.par_chunks_mut(points * size).enumerate().for_each(|(panel, to)| {
        let mut from = Scratch::new(9 * size);
        taps(panel, &mut from);
        instance.run(TransformWeights::<OUT> { taps: &from, to });
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
        instance: Instance,
        channels: usize,
        x: &[f32],
        line: usize,
        to: &mut [f32],
    ) {
        let image = self.height * self.width * channels;
        let x = &x[line / self.down * image..][..image];
        let zeros = vec![0.0; channels];
        let map = Map { x, zeros: &zeros, height: self.height, width: self.width, channels };
        let top = line % self.down * OUT;
        instance.run(TransformLine::<OUT, GRADIENT> { map, top, across: self.across, to });
    }

    /// Where the first point of each tile of `lines` transformed lines is.
    fn offsets(&self, lines: usize, channels: usize) -> Vec<usize> {
        let of = |line: usize| (0..self.across).map(move |tile| (line * self.points * self.across + tile) * channels);
        (0..lines).flat_map(of).collect()
    }
}
