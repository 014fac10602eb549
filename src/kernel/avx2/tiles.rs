//! Winograd's two-sided transforms of whole tiles, from maps to points and back.

use std::arch::x86_64::{__m256, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps};
use std::array::from_fn;
use std::mem::MaybeUninit;

use super::tile::COLUMNS;
use super::transform::{Line, gather, input, output, spread, weight};

/// Channels that are transformed at once.
const LANES: usize = 8;

/// One image.
pub struct Map<'a> {
    pub x: &'a [f32],
    /// The channels of a pixel outside.
    pub zeros: &'a [f32],
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Map<'_> {
    /// The channels of a pixel, given by its coordinates plus one.
    fn pixel(&self, row: usize, column: usize) -> &[f32] {
        if (1..=self.height).contains(&row) && (1..=self.width).contains(&column) {
            &self.x[((row - 1) * self.width + column - 1) * self.channels..][..self.channels]
        } else {
            self.zeros
        }
    }
}

/// Transformed tiles by point, by sixteen channels and by tile.
pub struct Tiles<'a> {
    pub values: &'a [f32],
    /// From one point to the next.
    pub point: usize,
    /// From sixteen channels to the next.
    pub panel: usize,
}

impl Tiles<'_> {
    fn at(&self, point: usize, channel: usize, tile: usize) -> &[f32] {
        let panel = channel / COLUMNS;
        &self.values[point * self.point + panel * self.panel + tile * COLUMNS + channel % COLUMNS..]
    }
}

/// Transforms the tiles of a line whose first row is `top`, to `points × across × channels`: `Bᵀ d B` of inputs, `A dy Aᵀ` of
/// gradients.
#[allow(unsafe_code)]
pub fn transform_line<const OUT: usize, const GRADIENT: bool>(
    map: &Map<'_>,
    top: usize,
    across: usize,
    to: &mut [f32],
) {
    // SAFETY: callers are behind `is_available`, which found AVX2 and FMA.
    unsafe { transform_line_avx::<OUT, GRADIENT>(map, top, across, to) }
}

#[target_feature(enable = "avx2,fma")]
fn transform_line_avx<const OUT: usize, const GRADIENT: bool>(
    map: &Map<'_>,
    top: usize,
    across: usize,
    to: &mut [f32],
) {
    // Inputs reach one pixel further on every side; coordinates are those of the pixel plus one.
    let (edge, shift) = if GRADIENT { (OUT, 1) } else { (OUT + 2, 0) };
    for tile in 0..across {
        let sources: [&[f32]; 36] = from_fn(|at| map.pixel(top + at / edge + shift, tile * OUT + at % edge + shift));
        for channel in (0..map.channels).step_by(LANES) {
            let mut points = [[_mm256_setzero_ps(); 6]; 6];
            for (j, column) in columns(edge, |i, j| load(&sources[i * edge + j][channel..])).into_iter().enumerate() {
                let line = if GRADIENT { spread::<OUT>(column) } else { input::<OUT>(column) };
                if j < edge {
                    (0..6).for_each(|i| points[i][j] = line[i]);
                }
            }
            for (i, &row) in points.iter().enumerate().take(OUT + 2) {
                let line = if GRADIENT { spread::<OUT>(row) } else { input::<OUT>(row) };
                for (j, &values) in line.iter().enumerate().take(OUT + 2) {
                    store(&mut to[((i * (OUT + 2) + j) * across + tile) * map.channels + channel..], values);
                }
            }
        }
    }
}

/// Transforms a line of tiles back, `Aᵀ m A`, from tile `first` on, and puts what is inside the map to `y`, `rows × width × channels`.
#[allow(unsafe_code)]
pub fn scatter_line<const OUT: usize>(
    tiles: &Tiles<'_>,
    first: usize,
    width: usize,
    channels: usize,
    y: &mut [MaybeUninit<f32>],
) {
    // SAFETY: as above.
    unsafe { scatter_line_avx::<OUT>(tiles, first, width, channels, y) }
}

#[target_feature(enable = "avx2,fma")]
fn scatter_line_avx<const OUT: usize>(
    tiles: &Tiles<'_>,
    first: usize,
    width: usize,
    channels: usize,
    y: &mut [MaybeUninit<f32>],
) {
    let rows = y.len() / (width * channels);
    for tile in 0..width.div_ceil(OUT) {
        let left = tile * OUT;
        for channel in (0..channels).step_by(LANES) {
            let read = |i: usize, j: usize| load(tiles.at(i * (OUT + 2) + j, channel, first + tile));
            let mut lines = [[_mm256_setzero_ps(); 6]; 6];
            for (j, column) in columns(OUT + 2, read).into_iter().enumerate() {
                let line = output::<OUT>(column);
                (0..OUT).for_each(|i| lines[i][j] = line[i]);
            }
            for (i, &line) in lines.iter().enumerate().take(OUT.min(rows)) {
                for (j, &values) in output::<OUT>(line).iter().enumerate().take(OUT.min(width - left)) {
                    write(&mut y[(i * width + left + j) * channels + channel..], values);
                }
            }
        }
    }
}

/// `G w Gᵀ` of `9 × C_in × 16` weights, to `points × C_in × 16`.
#[allow(unsafe_code)]
pub fn transform_weights<const OUT: usize>(taps: &[f32], to: &mut [f32]) {
    // SAFETY: as above.
    unsafe { transform_weights_avx::<OUT>(taps, to) }
}

#[target_feature(enable = "avx2,fma")]
fn transform_weights_avx<const OUT: usize>(taps: &[f32], to: &mut [f32]) {
    let count = taps.len() / 9;
    for at in (0..count).step_by(LANES) {
        let mut lines = [[_mm256_setzero_ps(); 6]; 6];
        for (j, column) in columns(3, |i, j| load(&taps[(i * 3 + j) * count + at..])).into_iter().enumerate().take(3) {
            let line = weight::<OUT>(column);
            (0..6).for_each(|i| lines[i][j] = line[i]);
        }
        for (i, &line) in lines.iter().enumerate().take(OUT + 2) {
            for (j, &values) in weight::<OUT>(line).iter().enumerate().take(OUT + 2) {
                store(&mut to[(i * (OUT + 2) + j) * count + at..], values);
            }
        }
    }
}

/// `Gᵀ m G` for one input and all outputs: `9 × C_out`.
#[allow(unsafe_code)]
pub fn gather_weights<const OUT: usize>(sums: &Tiles<'_>, input: usize, outputs: usize, to: &mut [f32]) {
    // SAFETY: as above.
    unsafe { gather_weights_avx::<OUT>(sums, input, outputs, to) }
}

#[target_feature(enable = "avx2,fma")]
fn gather_weights_avx<const OUT: usize>(sums: &Tiles<'_>, input: usize, outputs: usize, to: &mut [f32]) {
    for channel in (0..outputs).step_by(LANES) {
        let mut lines = [[_mm256_setzero_ps(); 6]; 3];
        let read = |i: usize, j: usize| load(sums.at(i * (OUT + 2) + j, channel, input));
        for (j, column) in columns(OUT + 2, read).into_iter().enumerate() {
            let line = gather::<OUT>(column);
            (0..3).for_each(|i| lines[i][j] = line[i]);
        }
        for (i, &line) in lines.iter().enumerate() {
            for (j, &values) in gather::<OUT>(line).iter().enumerate().take(3) {
                store(&mut to[(i * 3 + j) * outputs + channel..], values);
            }
        }
    }
}

/// The columns of a square of `edge` numbers; the rest is zero.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn columns(edge: usize, read: impl Fn(usize, usize) -> __m256) -> [Line; 6] {
    let zero = _mm256_setzero_ps();
    let mut columns = [[zero; 6]; 6];
    for (j, column) in columns.iter_mut().enumerate().take(edge) {
        for (i, value) in column.iter_mut().enumerate().take(edge) {
            *value = read(i, j);
        }
    }
    columns
}

#[target_feature(enable = "avx2,fma")]
#[inline]
#[allow(unsafe_code)]
fn load(from: &[f32]) -> __m256 {
    let from = &from[..LANES];
    // SAFETY: there are eight numbers.
    unsafe { _mm256_loadu_ps(from.as_ptr()) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
#[allow(unsafe_code)]
fn store(to: &mut [f32], values: __m256) {
    let to = &mut to[..LANES];
    // SAFETY: there is room for eight numbers.
    unsafe { _mm256_storeu_ps(to.as_mut_ptr(), values) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
#[allow(unsafe_code)]
fn write(to: &mut [MaybeUninit<f32>], values: __m256) {
    let to = &mut to[..LANES];
    // SAFETY: there is room for eight numbers.
    unsafe { _mm256_storeu_ps(to.as_mut_ptr().cast(), values) }
}
