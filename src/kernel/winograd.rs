//! Convolution in float32 by Winograd's minimal filtering (Lavin & Gray 2016): 3×3, stride 1, padding 1.
//!
//! F(4×4, 3×3) on maps of 8×8 and more, F(2×2, 3×3) on smaller ones: 4 and 2.25 times fewer multiplications, at relative errors of
//! some 1e-5 and 2e-6. Sixteen channels are transformed at once.

use rayon::prelude::*;

use super::Geometry;
use super::product::{self, Matrix};

/// Channels that are transformed at once.
const LANES: usize = 16;
/// Tiles a task, at least.
const TILES: usize = 64;

/// One number in sixteen channels.
type Lanes = [f32; LANES];
/// A transformed tile: up to 6×6.
type Tile = [Lanes; 36];

/// Whether this way exists for a geometry.
pub fn fits(g: &Geometry) -> bool {
    g.kernel == 3
        && g.stride == 1
        && g.padding == 1
        && g.inputs.is_multiple_of(LANES)
        && g.outputs.is_multiple_of(LANES)
        && g.height.min(g.width) >= 4
}

/// `patches(x) · weight`.
pub fn forward(g: &Geometry, x: &[f32], weight: &[f32]) -> Vec<f32> {
    let size = Size::of(g);
    let weights = transform_weights(size, g.inputs, g.outputs, weight);
    let across = (g.height.div_ceil(size.output), g.width.div_ceil(size.output));
    let tiles = across.0 * across.1;
    let images = TILES.div_ceil(tiles).min(g.batch.div_ceil(rayon::current_num_threads()));
    let (input, output) = (g.image(), g.height * g.width * g.outputs);
    let mut y = vec![0.0; g.batch * output];
    let chunks = y.par_chunks_mut(images * output).zip(x.par_chunks(images * input));
    chunks.for_each_init(Buffers::default, |buffers, (y, x)| {
        let count = y.len() / output * tiles;
        let points = size.input * size.input;
        buffers.inputs.resize(points * count * g.inputs, 0.0);
        buffers.outputs.resize(points * count * g.outputs, 0.0);
        let corner = |tile: usize| {
            let (image, rest) = (tile / tiles, tile % tiles);
            (image, rest / across.1 * size.output, rest % across.1 * size.output)
        };
        for tile in 0..count {
            let (image, top, left) = corner(tile);
            gather(g, size, &x[image * input..][..input], (top, left), |point, channel, values| {
                buffers.inputs[(point * count + tile) * g.inputs + channel..][..LANES].copy_from_slice(values);
            });
        }
        for point in 0..points {
            product::set(
                &mut buffers.outputs[point * count * g.outputs..][..count * g.outputs],
                Matrix::new(&buffers.inputs[point * count * g.inputs..][..count * g.inputs], count, g.inputs),
                Matrix::new(&weights[point * g.inputs * g.outputs..][..g.inputs * g.outputs], g.inputs, g.outputs),
            );
        }
        for tile in 0..count {
            let (image, top, left) = corner(tile);
            let read = |point: usize, channel: usize| {
                &buffers.outputs[(point * count + tile) * g.outputs + channel..][..LANES]
            };
            scatter(g, size, read, (top, left), &mut y[image * output..][..output]);
        }
    });
    y
}

/// The gradient by the input: the convolution of the gradient with the weights turned by half a turn, inputs and outputs exchanged.
pub fn grad_input(g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let mut turned = vec![0.0; weight.len()];
    turned.par_chunks_mut(g.outputs * g.inputs).enumerate().for_each(|(tap, turned)| {
        let weight = &weight[(8 - tap) * g.inputs * g.outputs..][..g.inputs * g.outputs];
        // In blocks, so that both sides stay in cache.
        for first in (0..g.outputs).step_by(LANES) {
            for input in 0..g.inputs {
                for output in first..first + LANES {
                    turned[output * g.inputs + input] = weight[input * g.outputs + output];
                }
            }
        }
    });
    forward(&Geometry { inputs: g.outputs, outputs: g.inputs, ..*g }, dy, &turned)
}

#[derive(Default)]
struct Buffers {
    /// Transformed inputs, `points × tiles × C_in`.
    inputs: Vec<f32>,
    /// Their products with the weights, `points × tiles × C_out`.
    outputs: Vec<f32>,
}

/// Edges of a tile.
#[derive(Clone, Copy)]
struct Size {
    input: usize,
    output: usize,
}

impl Size {
    const fn of(g: &Geometry) -> Self {
        let output = if g.height >= 8 && g.width >= 8 { 4 } else { 2 };
        Self { input: output + 2, output }
    }
}

/// `G w Gᵀ` for every pair of channels: `points × C_in × C_out`.
fn transform_weights(size: Size, inputs: usize, outputs: usize, weight: &[f32]) -> Vec<f32> {
    let points = size.input * size.input;
    let blocks: Vec<Vec<f32>> = (0..inputs)
        .into_par_iter()
        .map(|input| {
            let mut block = vec![0.0; points * outputs];
            for output in (0..outputs).step_by(LANES) {
                let tap = |tap: usize| lanes(&weight[(tap * inputs + input) * outputs + output..]);
                let columns: [[Lanes; 6]; 3] =
                    std::array::from_fn(|j| weight_line(size, [tap(j), tap(3 + j), tap(6 + j)]));
                for i in 0..size.input {
                    let row = weight_line(size, [columns[0][i], columns[1][i], columns[2][i]]);
                    for (j, values) in row.iter().enumerate().take(size.input) {
                        block[(i * size.input + j) * outputs + output..][..LANES].copy_from_slice(values);
                    }
                }
            }
            block
        })
        .collect();
    let mut transformed = vec![0.0; points * inputs * outputs];
    transformed.par_chunks_mut(inputs * outputs).enumerate().for_each(|(point, transformed)| {
        for (row, block) in transformed.chunks_exact_mut(outputs).zip(&blocks) {
            row.copy_from_slice(&block[point * outputs..][..outputs]);
        }
    });
    transformed
}

fn lanes(values: &[f32]) -> Lanes {
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&values[..LANES]);
    lanes
}

/// `G` times a column of three weights.
fn weight_line(size: Size, w: [Lanes; 3]) -> [Lanes; 6] {
    let row = |a: f32, b: f32, c: f32| map(|lane| a * w[0][lane] + b * w[1][lane] + c * w[2][lane]);
    if size.output == 4 {
        [
            row(0.25, 0.0, 0.0),
            row(-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0),
            row(-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0),
            row(1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0),
            row(1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0),
            w[2],
        ]
    } else {
        [w[0], row(0.5, 0.5, 0.5), row(0.5, -0.5, 0.5), w[2], [0.0; LANES], [0.0; LANES]]
    }
}

#[inline(always)]
fn map(f: impl Fn(usize) -> f32) -> Lanes {
    let mut lanes = [0.0; LANES];
    for (lane, value) in lanes.iter_mut().enumerate() {
        *value = f(lane);
    }
    lanes
}

/// Transforms one tile of the input, sixteen channels at a time.
fn gather(
    g: &Geometry,
    size: Size,
    x: &[f32],
    (top, left): (usize, usize),
    mut store: impl FnMut(usize, usize, &Lanes),
) {
    for channel in (0..g.inputs).step_by(LANES) {
        let mut tile = [[0.0; LANES]; 36];
        for i in 0..size.input {
            let Some(row) = (top + i).checked_sub(1).filter(|&row| row < g.height) else { continue };
            for j in 0..size.input {
                let Some(column) = (left + j).checked_sub(1).filter(|&column| column < g.width) else { continue };
                tile[i * size.input + j] = lanes(&x[(row * g.width + column) * g.inputs + channel..]);
            }
        }
        input_transform(size, &mut tile);
        for (point, values) in tile.iter().enumerate().take(size.input * size.input) {
            store(point, channel, values);
        }
    }
}

/// Transforms one tile of products back and puts what is inside the image there.
fn scatter<'a>(
    g: &Geometry,
    size: Size,
    read: impl Fn(usize, usize) -> &'a [f32],
    (top, left): (usize, usize),
    y: &mut [f32],
) {
    for channel in (0..g.outputs).step_by(LANES) {
        let mut tile = [[0.0; LANES]; 36];
        for (point, values) in tile.iter_mut().enumerate().take(size.input * size.input) {
            values.copy_from_slice(read(point, channel));
        }
        output_transform(size, &mut tile);
        for i in 0..size.output.min(g.height - top) {
            for j in 0..size.output.min(g.width - left) {
                let at = ((top + i) * g.width + left + j) * g.outputs + channel;
                y[at..at + LANES].copy_from_slice(&tile[i * size.output + j]);
            }
        }
    }
}

/// `Bᵀ d B` in place.
#[allow(unsafe_code)]
fn input_transform(size: Size, tile: &mut Tile) {
    // SAFETY: callers are behind `direct::is_available`, which found AVX2 and FMA.
    unsafe { input_transform_avx(size, tile) }
}

/// `Aᵀ m A`; the result is `output × output`, row after row.
#[allow(unsafe_code)]
fn output_transform(size: Size, tile: &mut Tile) {
    // SAFETY: as above.
    unsafe { output_transform_avx(size, tile) }
}

#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
#[allow(unsafe_code)]
unsafe fn input_transform_avx(size: Size, tile: &mut Tile) {
    if size.output == 4 {
        for j in 0..6 {
            let line = input_line_6(std::array::from_fn(|i| &tile[i * 6 + j]));
            (0..6).for_each(|i| tile[i * 6 + j] = line[i]);
        }
        for i in 0..6 {
            let line = input_line_6(std::array::from_fn(|j| &tile[i * 6 + j]));
            tile[i * 6..i * 6 + 6].copy_from_slice(&line);
        }
    } else {
        for j in 0..4 {
            let line = input_line_4(std::array::from_fn(|i| &tile[i * 4 + j]));
            (0..4).for_each(|i| tile[i * 4 + j] = line[i]);
        }
        for i in 0..4 {
            let line = input_line_4(std::array::from_fn(|j| &tile[i * 4 + j]));
            tile[i * 4..i * 4 + 4].copy_from_slice(&line);
        }
    }
}

#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
#[allow(unsafe_code)]
unsafe fn output_transform_avx(size: Size, tile: &mut Tile) {
    if size.output == 4 {
        for j in 0..6 {
            let line = output_line_6(std::array::from_fn(|i| &tile[i * 6 + j]));
            (0..4).for_each(|i| tile[i * 6 + j] = line[i]);
        }
        for i in 0..4 {
            let line = output_line_6(std::array::from_fn(|j| &tile[i * 6 + j]));
            tile[i * 4..i * 4 + 4].copy_from_slice(&line);
        }
    } else {
        for j in 0..4 {
            let line = output_line_4(std::array::from_fn(|i| &tile[i * 4 + j]));
            (0..2).for_each(|i| tile[i * 4 + j] = line[i]);
        }
        for i in 0..2 {
            let line = output_line_4(std::array::from_fn(|j| &tile[i * 4 + j]));
            tile[i * 2..i * 2 + 2].copy_from_slice(&line);
        }
    }
}

#[inline(always)]
fn input_line_6(d: [&Lanes; 6]) -> [Lanes; 6] {
    [
        map(|v| 4.0 * d[0][v] - 5.0 * d[2][v] + d[4][v]),
        map(|v| (d[4][v] - 4.0 * d[2][v]) + (d[3][v] - 4.0 * d[1][v])),
        map(|v| (d[4][v] - 4.0 * d[2][v]) - (d[3][v] - 4.0 * d[1][v])),
        map(|v| (d[4][v] - d[2][v]) + 2.0 * (d[3][v] - d[1][v])),
        map(|v| (d[4][v] - d[2][v]) - 2.0 * (d[3][v] - d[1][v])),
        map(|v| 4.0 * d[1][v] - 5.0 * d[3][v] + d[5][v]),
    ]
}

#[inline(always)]
fn input_line_4(d: [&Lanes; 4]) -> [Lanes; 4] {
    [map(|v| d[0][v] - d[2][v]), map(|v| d[1][v] + d[2][v]), map(|v| d[2][v] - d[1][v]), map(|v| d[1][v] - d[3][v])]
}

#[inline(always)]
fn output_line_6(d: [&Lanes; 6]) -> [Lanes; 4] {
    [
        map(|v| d[0][v] + (d[1][v] + d[2][v]) + (d[3][v] + d[4][v])),
        map(|v| (d[1][v] - d[2][v]) + 2.0 * (d[3][v] - d[4][v])),
        map(|v| (d[1][v] + d[2][v]) + 4.0 * (d[3][v] + d[4][v])),
        map(|v| (d[1][v] - d[2][v]) + 8.0 * (d[3][v] - d[4][v]) + d[5][v]),
    ]
}

#[inline(always)]
fn output_line_4(d: [&Lanes; 4]) -> [Lanes; 2] {
    [map(|v| d[0][v] + d[1][v] + d[2][v]), map(|v| d[1][v] - d[2][v] - d[3][v])]
}
