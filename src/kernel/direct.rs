//! Convolution in float32 by AVX2 and FMA, without copying patches: an indirect product.
//!
//! Six output pixels times sixteen output channels are kept in registers. For each tap a table says where in the input the six
//! pixels' channels are (a row of zeros where that is outside the image), and the loop runs over those channels.

use rayon::prelude::*;

use super::Geometry;
use super::tiles::{add_up, place};

/// Pixels a register tile.
const ROWS: usize = 6;
/// Channels a register tile: two vectors of eight.
const COLUMNS: usize = 16;
/// Pixels a task, a multiple of [`ROWS`].
const CHUNK: usize = 192;
/// Pixels that the gradient by the weight takes at once.
const WEIGHT_CHUNK: usize = 256;

/// Where the inputs of six pixels are, for one tap.
type Pointers = [*const f32; ROWS];

/// Whether this processor can run what is here.
pub fn is_available() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// `patches(x) · weight`.
pub fn forward(g: &Geometry, x: &[f32], weight: &[f32]) -> Vec<f32> {
    let taps: Vec<usize> = (0..g.kernel * g.kernel).collect();
    let panels = Panels::new(&taps, g.inputs, g.outputs, |tap, input, output| {
        weight[(tap * g.inputs + input) * g.outputs + output]
    });
    let zeros = vec![0.0; g.inputs];
    let mut y = vec![0.0; g.pixels() * g.outputs];
    y.par_chunks_mut(CHUNK * g.outputs).enumerate().for_each(|(chunk, y)| {
        let pixels = y.len() / g.outputs;
        let mut table = Table::new(pixels, taps.len(), &zeros);
        for i in 0..pixels {
            let (image, row, column) = place(g, chunk * CHUNK + i);
            let ((rows, top), (columns, left)) = (g.reach(row, g.height), g.reach(column, g.width));
            for dy in rows.clone() {
                for dx in columns.clone() {
                    let pixel = (image * g.height + top + dy - rows.start) * g.width + left + dx - columns.start;
                    table.set(i, dy * g.kernel + dx, &x[pixel * g.inputs..][..g.inputs]);
                }
            }
        }
        multiply(&table, &panels, |pixel, output, values| {
            y[pixel * g.outputs + output..][..values.len()].copy_from_slice(values);
        });
    });
    y
}

/// The gradient by the input. Input pixels whose coordinates leave the same remainders by the stride are reached by the same taps: each
/// such class is a product of its own.
pub fn grad_input(g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    let classes: Vec<Class> =
        (0..g.stride * g.stride).map(|class| Class::new(g, class / g.stride, class % g.stride, weight)).collect();
    let zeros = vec![0.0; g.outputs];
    let images = CHUNK.div_ceil(g.height * g.width).min(g.batch.div_ceil(rayon::current_num_threads()));
    let mut dx = vec![0.0; g.batch * g.image()];
    let chunks = dx.par_chunks_mut(images * g.image()).zip(dy.par_chunks(images * g.positions() * g.outputs));
    chunks.for_each(|(dx, dy)| {
        for class in &classes {
            class.grad_input(g, dy, &zeros, dx);
        }
    });
    dx
}

/// The gradient by the weight: each thread sums over its own chunks of pixels.
pub fn grad_weight(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let chunks = g.pixels().div_ceil(WEIGHT_CHUNK);
    let parts = rayon::current_num_threads().clamp(1, chunks);
    let part = |part: usize| {
        let mut sums = WeightSums::new(g);
        for chunk in part * chunks / parts..(part + 1) * chunks / parts {
            sums.add(g, x, dy, chunk * WEIGHT_CHUNK);
        }
        sums.total
    };
    add_up((0..parts).into_par_iter().map(part).collect())
}

/// Weights for the register tile: for each sixteen columns the rows one after the other, zeros where there is no column.
struct Panels {
    values: Vec<f32>,
    /// Rows a tap.
    channels: usize,
    columns: usize,
    taps: usize,
}

impl Panels {
    /// From `of(tap, channel, column)`.
    fn new(taps: &[usize], channels: usize, columns: usize, of: impl Fn(usize, usize, usize) -> f32 + Sync) -> Self {
        let rows = taps.len() * channels;
        let mut values = vec![0.0; columns.div_ceil(COLUMNS) * rows * COLUMNS];
        if rows > 0 {
            values.par_chunks_mut(rows * COLUMNS).enumerate().for_each(|(panel, values)| {
                let first = panel * COLUMNS;
                for (row, values) in values.chunks_exact_mut(COLUMNS).enumerate() {
                    let (tap, channel) = (taps[row / channels], row % channels);
                    for (i, value) in values[..COLUMNS.min(columns - first)].iter_mut().enumerate() {
                        *value = of(tap, channel, first + i);
                    }
                }
            });
        }
        Self { values, channels, columns, taps: taps.len() }
    }
}

/// Where the inputs of all pixels of a task are: six pixels at a time, tap by tap.
struct Table<'a> {
    pointers: Vec<Pointers>,
    pixels: usize,
    taps: usize,
    channels: usize,
    /// What the pointers point into outlives the table.
    source: std::marker::PhantomData<&'a [f32]>,
}

impl<'a> Table<'a> {
    /// All pixels outside the image.
    fn new(pixels: usize, taps: usize, zeros: &'a [f32]) -> Self {
        let pointers = vec![[zeros.as_ptr(); ROWS]; pixels.div_ceil(ROWS) * taps];
        Self { pointers, pixels, taps, channels: zeros.len(), source: std::marker::PhantomData }
    }

    /// Says where the channels of a pixel are for a tap.
    fn set(&mut self, pixel: usize, tap: usize, channels: &'a [f32]) {
        assert_eq!(channels.len(), self.channels);
        self.pointers[pixel / ROWS * self.taps + tap][pixel % ROWS] = channels.as_ptr();
    }
}

/// Every pixel of the table times every column; `store(pixel, first column, values)` takes up to sixteen of a pixel's columns.
#[allow(unsafe_code)]
fn multiply(table: &Table<'_>, panels: &Panels, mut store: impl FnMut(usize, usize, &[f32])) {
    assert_eq!((table.taps, table.channels), (panels.taps, panels.channels));
    let rows = panels.taps * panels.channels;
    let mut tile = [[0.0; COLUMNS]; ROWS];
    for panel in 0..panels.columns.div_ceil(COLUMNS) {
        let values = &panels.values[panel * rows * COLUMNS..][..rows * COLUMNS];
        let width = COLUMNS.min(panels.columns - panel * COLUMNS);
        for first in (0..table.pixels).step_by(ROWS) {
            let pointers = &table.pointers[first / ROWS * table.taps..][..table.taps];
            // SAFETY: callers are behind `is_available`. Each pointer was taken from a slice of `channels` numbers that lives as long as
            // the table (`Table::new`, `Table::set`), and `values` holds sixteen numbers for each tap and channel.
            unsafe { register_tile(pointers, table.channels, values, &mut tile) };
            for (i, row) in tile.iter().enumerate().take(table.pixels - first) {
                store(first + i, panel * COLUMNS, &row[..width]);
            }
        }
    }
}

/// The six by sixteen sums over taps and channels.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
unsafe fn register_tile(pointers: &[Pointers], channels: usize, panel: &[f32], tile: &mut [[f32; COLUMNS]; ROWS]) {
    use std::arch::x86_64::{
        _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    };
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    let mut weights = panel.as_ptr();
    for rows in pointers {
        for channel in 0..channels {
            // SAFETY: `panel` has sixteen numbers for each of `pointers.len() · channels` rounds, and each of `rows` is followed by
            // `channels` numbers: the caller's promise.
            unsafe {
                let (low, high) = (_mm256_loadu_ps(weights), _mm256_loadu_ps(weights.add(8)));
                weights = weights.add(COLUMNS);
                for i in 0..ROWS {
                    let x = _mm256_broadcast_ss(&*rows[i].add(channel));
                    sums[i][0] = _mm256_fmadd_ps(x, low, sums[i][0]);
                    sums[i][1] = _mm256_fmadd_ps(x, high, sums[i][1]);
                }
            }
        }
    }
    for (row, [low, high]) in tile.iter_mut().zip(sums) {
        // SAFETY: a row of the tile is sixteen numbers.
        unsafe {
            _mm256_storeu_ps(row.as_mut_ptr(), low);
            _mm256_storeu_ps(row.as_mut_ptr().add(8), high);
        }
    }
}

/// Never called: `is_available` is false here.
#[cfg(not(target_arch = "x86_64"))]
#[allow(unsafe_code)]
unsafe fn register_tile(_: &[Pointers], _: usize, _: &[f32], _: &mut [[f32; COLUMNS]; ROWS]) {}

/// Input pixels with one pair of remainders, and the taps that reach them.
struct Class {
    row: usize,
    column: usize,
    rows: Vec<usize>,
    columns: Vec<usize>,
    panels: Panels,
}

impl Class {
    fn new(g: &Geometry, row: usize, column: usize, weight: &[f32]) -> Self {
        // Tap t moves input pixel i to output pixel (i + padding − t) / stride, where that is whole.
        let reaching = |remainder: usize| -> Vec<usize> {
            (0..g.kernel)
                .filter(|tap| (remainder + g.padding + g.stride * g.kernel - tap).is_multiple_of(g.stride))
                .collect()
        };
        let (rows, columns) = (reaching(row), reaching(column));
        let taps: Vec<usize> = rows.iter().flat_map(|dy| columns.iter().map(move |dx| dy * g.kernel + dx)).collect();
        let panels = Panels::new(&taps, g.outputs, g.inputs, |tap, output, input| {
            weight[(tap * g.inputs + input) * g.outputs + output]
        });
        Self { row, column, rows, columns, panels }
    }

    /// Fills this class's pixels of some images.
    fn grad_input(&self, g: &Geometry, dy: &[f32], zeros: &[f32], dx: &mut [f32]) {
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
            let mut table = Table::new(pixels, self.panels.taps, zeros);
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
                dx[at..][..values.len()].copy_from_slice(values);
            });
        }
    }
}

/// The output row or column that a tap moves an input one to, if there is one.
fn target(at: usize, tap: usize, g: &Geometry, size: usize) -> Option<usize> {
    let moved = (at + g.padding).checked_sub(tap)? / g.stride;
    (moved < size).then_some(moved)
}

/// Sums of the gradient by the weight, with the buffers of a chunk.
struct WeightSums {
    total: Vec<f32>,
    /// For each sixteen outputs the gradients of all pixels, one after the other.
    panels: Vec<f32>,
    /// For each tap where the pixels' inputs are.
    inputs: Vec<usize>,
    /// The input with a row of zeros behind it is not at hand; pixels outside are left out instead: for each tap, which gradients count.
    counts: Vec<usize>,
    gradients: Vec<usize>,
}

impl WeightSums {
    fn new(g: &Geometry) -> Self {
        let taps = g.kernel * g.kernel;
        Self {
            total: vec![0.0; g.patch() * g.outputs],
            panels: vec![0.0; g.outputs.div_ceil(COLUMNS) * WEIGHT_CHUNK * COLUMNS],
            inputs: vec![0; taps * WEIGHT_CHUNK],
            counts: vec![0; taps],
            gradients: vec![0; taps * WEIGHT_CHUNK],
        }
    }

    fn add(&mut self, g: &Geometry, x: &[f32], dy: &[f32], first: usize) {
        let pixels = WEIGHT_CHUNK.min(g.pixels() - first);
        self.pack(g, dy, first, pixels);
        self.locate(g, first, pixels);
        for tap in 0..g.kernel * g.kernel {
            let count = self.counts[tap];
            let inputs = &self.inputs[tap * WEIGHT_CHUNK..][..count];
            let gradients = &self.gradients[tap * WEIGHT_CHUNK..][..count];
            for panel in 0..g.outputs.div_ceil(COLUMNS) {
                let values = &self.panels[panel * WEIGHT_CHUNK * COLUMNS..][..WEIGHT_CHUNK * COLUMNS];
                let width = COLUMNS.min(g.outputs - panel * COLUMNS);
                let mut input = 0;
                while input < g.inputs {
                    let rows = outer(x, inputs, input, g.inputs - input, values, gradients, |row, sums| {
                        let at = (tap * g.inputs + input + row) * g.outputs + panel * COLUMNS;
                        for (total, sum) in self.total[at..at + width].iter_mut().zip(sums) {
                            *total += sum;
                        }
                    });
                    input += rows;
                }
            }
        }
    }

    fn pack(&mut self, g: &Geometry, dy: &[f32], first: usize, pixels: usize) {
        for (i, dy) in dy[first * g.outputs..][..pixels * g.outputs].chunks_exact(g.outputs).enumerate() {
            for (panel, dy) in dy.chunks(COLUMNS).enumerate() {
                self.panels[(panel * WEIGHT_CHUNK + i) * COLUMNS..][..dy.len()].copy_from_slice(dy);
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
                    let at = tap * WEIGHT_CHUNK + self.counts[tap];
                    (self.inputs[at], self.gradients[at]) = (pixel * g.inputs, i * COLUMNS);
                    self.counts[tap] += 1;
                }
            }
        }
    }
}

/// Sums over pixels of up to six input channels times sixteen gradients; says how many channels it took.
#[allow(unsafe_code)]
fn outer(
    x: &[f32],
    inputs: &[usize],
    channel: usize,
    left: usize,
    panel: &[f32],
    gradients: &[usize],
    mut store: impl FnMut(usize, &[f32; COLUMNS]),
) -> usize {
    let rows = match left {
        // Eight are two fours, not six and two.
        8 => 4,
        6.. => 6,
        4.. => 4,
        _ => 1,
    };
    let last = |offsets: &[usize]| offsets.iter().copied().max().unwrap_or(0);
    debug_assert!(inputs.is_empty() || last(inputs) + channel + rows <= x.len());
    debug_assert!(gradients.is_empty() || last(gradients) + COLUMNS <= panel.len());
    assert_eq!(inputs.len(), gradients.len());
    let mut tile = [[0.0; COLUMNS]; ROWS];
    // SAFETY: callers are behind `is_available`. `WeightSums::locate` gives offsets of pixels of the input, behind each of which are
    // `channel + left ≥ channel + rows` channels, and of packed gradients, each of which is sixteen numbers.
    unsafe {
        match rows {
            6 => outer_tile::<6>(x, inputs, channel, panel, gradients, &mut tile),
            4 => outer_tile::<4>(x, inputs, channel, panel, gradients, &mut tile),
            _ => outer_tile::<1>(x, inputs, channel, panel, gradients, &mut tile),
        }
    }
    for (row, sums) in tile.iter().enumerate().take(rows) {
        store(row, sums);
    }
    rows
}

/// The sums of [`outer`] for a number of channels known when compiling.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
unsafe fn outer_tile<const N: usize>(
    x: &[f32],
    inputs: &[usize],
    channel: usize,
    panel: &[f32],
    gradients: &[usize],
    tile: &mut [[f32; COLUMNS]; ROWS],
) {
    use std::arch::x86_64::{
        _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    };
    let mut sums = [[_mm256_setzero_ps(); 2]; N];
    for (&input, &gradient) in inputs.iter().zip(gradients) {
        // SAFETY: every input offset is followed by `channel + N` numbers of `x`, every gradient offset by sixteen of `panel`: the
        // caller's promise.
        unsafe {
            let gradient = panel.as_ptr().add(gradient);
            let (low, high) = (_mm256_loadu_ps(gradient), _mm256_loadu_ps(gradient.add(8)));
            let x = x.as_ptr().add(input + channel);
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = _mm256_broadcast_ss(&*x.add(i));
                sum[0] = _mm256_fmadd_ps(x, low, sum[0]);
                sum[1] = _mm256_fmadd_ps(x, high, sum[1]);
            }
        }
    }
    for (row, [low, high]) in tile.iter_mut().zip(sums) {
        // SAFETY: a row of the tile is sixteen numbers.
        unsafe {
            _mm256_storeu_ps(row.as_mut_ptr(), low);
            _mm256_storeu_ps(row.as_mut_ptr().add(8), high);
        }
    }
}

/// Never called: `is_available` is false here.
#[cfg(not(target_arch = "x86_64"))]
#[allow(unsafe_code)]
unsafe fn outer_tile<const N: usize>(
    _: &[f32],
    _: &[usize],
    _: usize,
    _: &[f32],
    _: &[usize],
    _: &mut [[f32; COLUMNS]; ROWS],
) {
}
