//! Convolution of any geometry, without copying patches: an indirect product.
//!
//! Some output pixels times some output channels are kept in registers. For each tap a table says where in the input the channels of
//! these pixels are (a row of zeros where that is outside the image), and the loop runs over those channels.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::instance::Instance;
use super::tile::Tile;
use crate::kernel::Geometry;
use crate::kernel::fresh::{filled, put};
use crate::kernel::scratch::Scratch;
use crate::kernel::tiles::place;

/// Pixels a task at most, a multiple of the rows of any tile.
const CHUNK: usize = 192;
/// Numbers of a pixel that are multiplied at once: a panel of as many weights stays in the inner cache for all pixels of a task.
const DEPTH: usize = 256;

/// `patches(x) · weight`.
pub fn forward(instance: Instance, g: &Geometry, x: &[f32], weight: &[f32]) -> Vec<f32> {
    let tile = Tile::new(instance, g.outputs);
    let taps: Vec<usize> = (0..g.kernel * g.kernel).collect();
    let panels = Panels::new(tile, &taps, g.inputs, g.outputs, |tap, input, output| {
        weight[(tap * g.inputs + input) * g.outputs + output]
    });
    let zeros = vec![0.0; g.inputs];
    let size = evenly(g.pixels(), CHUNK).next_multiple_of(tile.rows);
    let chunk = |(chunk, y): (usize, &mut [MaybeUninit<f32>])| {
        let pixels = y.len() / g.outputs;
        let mut table = Table::new(tile, pixels, taps.len(), &zeros);
        for i in 0..pixels {
            let (image, row, column) = place(g, chunk * size + i);
            let ((rows, top), (columns, left)) = (g.reach(row, g.height), g.reach(column, g.width));
            for dy in rows.clone() {
                for dx in columns.clone() {
                    let pixel = (image * g.height + top + dy - rows.start) * g.width + left + dx - columns.start;
                    table.set(i, dy * g.kernel + dx, &x[pixel * g.inputs..][..g.inputs]);
                }
            }
        }
        multiply(&table, &panels, |pixel, output, values| {
            put(&mut y[pixel * g.outputs + output..][..values.len()], values);
        });
    };
    // SAFETY: `multiply` stores every output of every pixel.
    #[allow(unsafe_code)]
    unsafe {
        filled(g.pixels() * g.outputs, |y| y.par_chunks_mut(size * g.outputs).enumerate().for_each(chunk))
    }
}

/// The gradient by the input. Input pixels whose coordinates leave the same remainders by the stride are reached by the same taps: each
/// such class is a product of its own.
pub fn grad_input(instance: Instance, g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let tile = Tile::new(instance, g.inputs);
    let class = |class: usize| Class::new(tile, g, class / g.stride, class % g.stride, weight);
    let classes: Vec<Class> = (0..g.stride * g.stride).map(class).collect();
    let zeros = vec![0.0; g.outputs];
    let images = evenly(g.batch, CHUNK.div_ceil(g.height * g.width));
    let write = |dx: &mut [MaybeUninit<f32>]| {
        let chunks = dx.par_chunks_mut(images * g.image()).zip(dy.par_chunks(images * g.positions() * g.outputs));
        chunks.for_each(|(dx, dy)| {
            for class in &classes {
                class.grad_input(g, dy, &zeros, dx);
            }
        });
    };
    // SAFETY: every pixel is in one class, which stores all its inputs.
    #[allow(unsafe_code)]
    unsafe {
        filled(g.batch * g.image(), write)
    }
}

/// The size of tasks, at most `most` and at least 1, that gives every thread about as many.
fn evenly(count: usize, most: usize) -> usize {
    let tasks = count.div_ceil(most).next_multiple_of(rayon::current_num_threads());
    count.div_ceil(tasks.max(1)).max(1)
}

/// Weights for the register tile: for each panel of columns the rows one after the other, zeros where there is no column.
struct Panels {
    tile: Tile,
    values: Scratch,
    /// Rows a tap.
    channels: usize,
    columns: usize,
    taps: usize,
}

impl Panels {
    /// From `of(tap, channel, column)`.
    fn new(
        tile: Tile,
        taps: &[usize],
        channels: usize,
        columns: usize,
        of: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let rows = taps.len() * channels;
        let mut values = Scratch::new(columns.div_ceil(tile.columns) * rows * tile.columns);
        if rows > 0 {
            values.par_chunks_mut(rows * tile.columns).enumerate().for_each(|(panel, values)| {
                let first = panel * tile.columns;
                let width = tile.columns.min(columns - first);
                for (row, values) in values.chunks_exact_mut(tile.columns).enumerate() {
                    let (tap, channel) = (taps[row / channels], row % channels);
                    for (i, value) in values[..width].iter_mut().enumerate() {
                        *value = of(tap, channel, first + i);
                    }
                    values[width..].fill(0.0);
                }
            });
        }
        Self { tile, values, channels, columns, taps: taps.len() }
    }
}

/// Where the inputs of all pixels of a task are: tile by tile, and in a tile tap by tap.
struct Table<'a> {
    rows: Vec<&'a [f32]>,
    tile: Tile,
    pixels: usize,
    taps: usize,
}

impl<'a> Table<'a> {
    /// All pixels outside the image.
    fn new(tile: Tile, pixels: usize, taps: usize, zeros: &'a [f32]) -> Self {
        let heights = pixels / tile.rows * tile.rows + tile.height(pixels % tile.rows);
        Self { rows: vec![zeros; heights * taps], tile, pixels, taps }
    }

    /// The tile that begins with a pixel: where it is in the table, and its height.
    fn tile(&self, first: usize) -> (usize, usize) {
        (first * self.taps, self.tile.height(self.pixels - first))
    }

    /// Says where the channels of a pixel are for a tap.
    fn set(&mut self, pixel: usize, tap: usize, channels: &'a [f32]) {
        let row = pixel % self.tile.rows;
        let (start, height) = self.tile(pixel - row);
        self.rows[start + tap * height + row] = channels;
    }
}

/// Every pixel of the table times every column; `store(pixel, first column, values)` takes the columns of a panel of one pixel.
fn multiply(table: &Table<'_>, panels: &Panels, mut store: impl FnMut(usize, usize, &[f32])) {
    let Panels { tile, channels, .. } = *panels;
    let rows = panels.taps * channels;
    let parts = parts(panels.taps, channels);
    let mut sums = vec![0.0; table.pixels.next_multiple_of(tile.rows) * tile.columns];
    for panel in 0..panels.columns.div_ceil(tile.columns) {
        let mut values = &panels.values[panel * rows * tile.columns..][..rows * tile.columns];
        for (number, (taps, channels)) in parts.iter().enumerate() {
            let (part, rest) = values.split_at(taps.len() * channels.len() * tile.columns);
            for (i, sums) in sums.chunks_exact_mut(tile.rows * tile.columns).enumerate() {
                let (start, height) = table.tile(i * tile.rows);
                let rows = &table.rows[start + taps.start * height..start + taps.end * height];
                tile.inner(rows, channels.clone(), part, &mut sums[..height * tile.columns], number > 0);
            }
            values = rest;
        }
        let width = tile.columns.min(panels.columns - panel * tile.columns);
        for (pixel, row) in sums.chunks_exact(tile.columns).enumerate().take(table.pixels) {
            store(pixel, panel * tile.columns, &row[..width]);
        }
    }
}

/// Taps and channels that are multiplied at once, in the order of a panel's rows: whole taps, or some channels of one.
fn parts(taps: usize, channels: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let together = (DEPTH / channels.max(1)).max(1);
    let taps = (0..taps).step_by(together).map(|tap| tap..taps.min(tap + together));
    let channels = |taps: Range<usize>| {
        (0..channels).step_by(DEPTH).map(move |channel| (taps.clone(), channel..channels.min(channel + DEPTH)))
    };
    taps.flat_map(channels).collect()
}

/// Input pixels with one pair of remainders, and the taps that reach them.
struct Class {
    row: usize,
    column: usize,
    rows: Vec<usize>,
    columns: Vec<usize>,
    panels: Panels,
}

impl Class {
    fn new(tile: Tile, g: &Geometry, row: usize, column: usize, weight: &[f32]) -> Self {
        // Tap t moves input pixel i to output pixel (i + padding − t) / stride, where that is whole.
        let reaching = |remainder: usize| -> Vec<usize> {
            (0..g.kernel)
                .filter(|tap| (remainder + g.padding + g.stride * g.kernel - tap).is_multiple_of(g.stride))
                .collect()
        };
        let (rows, columns) = (reaching(row), reaching(column));
        let taps: Vec<usize> = rows.iter().flat_map(|dy| columns.iter().map(move |dx| dy * g.kernel + dx)).collect();
        let panels = Panels::new(tile, &taps, g.outputs, g.inputs, |tap, output, input| {
            weight[(tap * g.inputs + input) * g.outputs + output]
        });
        Self { row, column, rows, columns, panels }
    }

    /// Fills this class's pixels of some images.
    fn grad_input(&self, g: &Geometry, dy: &[f32], zeros: &[f32], dx: &mut [MaybeUninit<f32>]) {
        let height = (g.height + g.stride - 1 - self.row) / g.stride;
        let width = (g.width + g.stride - 1 - self.column) / g.stride;
        let images = dx.len() / g.image();
        let total = images * height * width;
        let pixel = |i: usize| {
            let (image, rest) = (i / (height * width), i % (height * width));
            (image, rest / width * g.stride + self.row, rest % width * g.stride + self.column)
        };
        for first in (0..total).step_by(CHUNK) {
            let pixels = CHUNK.min(total - first);
            let mut table = Table::new(self.panels.tile, pixels, self.panels.taps, zeros);
            for i in 0..pixels {
                let (image, y, x) = pixel(first + i);
                for (a, &tap_row) in self.rows.iter().enumerate() {
                    let Some(row) = target(y, tap_row, g, g.out_height()) else { continue };
                    for (b, &tap_column) in self.columns.iter().enumerate() {
                        let Some(column) = target(x, tap_column, g, g.out_width()) else { continue };
                        let from = ((image * g.out_height() + row) * g.out_width() + column) * g.outputs;
                        table.set(i, a * self.columns.len() + b, &dy[from..][..g.outputs]);
                    }
                }
            }
            multiply(&table, &self.panels, |i, input, values| {
                let (image, y, x) = pixel(first + i);
                let at = ((image * g.height + y) * g.width + x) * g.inputs + input;
                put(&mut dx[at..][..values.len()], values);
            });
        }
    }
}

/// The output row or column that a tap moves an input one to, if there is one.
fn target(at: usize, tap: usize, g: &Geometry, size: usize) -> Option<usize> {
    let moved = (at + g.padding).checked_sub(tap)? / g.stride;
    (moved < size).then_some(moved)
}
