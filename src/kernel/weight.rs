//! The gradient of a convolution by its weight in float32 by AVX2 and FMA: outer products summed in registers.
//!
//! For each tap, six input channels times sixteen output gradients are kept in registers while the loop runs over the pixels that the
//! tap reaches; gradients are packed so that those sixteen stand together.

use rayon::prelude::*;

use super::Geometry;
use super::tiles::{add_up, place};

/// Input channels a register tile, at most.
const ROWS: usize = 6;
/// Output gradients a register tile: two vectors of eight.
const COLUMNS: usize = 16;
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
    add_up((0..parts).into_par_iter().map(part).collect())
}

/// Sums of the gradient by the weight, with the buffers of a chunk.
struct WeightSums {
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
        let taps = g.kernel * g.kernel;
        Self {
            total: vec![0.0; g.patch() * g.outputs],
            panels: vec![0.0; g.outputs.div_ceil(COLUMNS) * CHUNK * COLUMNS],
            inputs: vec![0; taps * CHUNK],
            counts: vec![0; taps],
            gradients: vec![0; taps * CHUNK],
        }
    }

    fn add(&mut self, g: &Geometry, x: &[f32], dy: &[f32], first: usize) {
        let pixels = CHUNK.min(g.pixels() - first);
        self.pack(g, dy, first, pixels);
        self.locate(g, first, pixels);
        for tap in 0..g.kernel * g.kernel {
            let count = self.counts[tap];
            let inputs = &self.inputs[tap * CHUNK..][..count];
            let gradients = &self.gradients[tap * CHUNK..][..count];
            for panel in 0..g.outputs.div_ceil(COLUMNS) {
                let values = &self.panels[panel * CHUNK * COLUMNS..][..CHUNK * COLUMNS];
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
    // SAFETY: callers are behind `direct::is_available`. `WeightSums::locate` gives offsets of pixels of the input, behind each of which are
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
