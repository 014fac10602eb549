//! Winograd's two-sided transforms of whole tiles, from maps to points and back.

use std::array::from_fn;
use std::mem::MaybeUninit;

use super::instance::{Lanes, Work};
use super::transform::{Line, gather, input, output, spread, weight};

/// One image.
#[derive(Clone, Copy)]
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

/// Transformed tiles by point, by some channels and by tile.
pub struct Tiles<'a> {
    pub values: &'a [f32],
    /// From one point to the next.
    pub point: usize,
    /// From some channels to the next.
    pub panel: usize,
    /// Channels that stand together.
    pub columns: usize,
}

impl Tiles<'_> {
    /// Some channels of a point of a tile; zeros where there is no such point.
    #[inline(always)]
    fn load<S: Lanes, const OUT: usize>(&self, simd: S, [i, j]: [usize; 2], channel: usize, tile: usize) -> S::Vector {
        if i.max(j) >= OUT + 2 {
            return simd.splat(0.0);
        }
        let (panel, column) = (channel / self.columns, channel % self.columns);
        let point = (i * (OUT + 2) + j) * self.point;
        simd.load(&self.values[point + panel * self.panel + tile * self.columns + column..])
    }
}

/// Transforms the tiles of a line whose first row is `top`, to `points × across × channels`: `Bᵀ d B` of inputs, `A dy Aᵀ` of
/// gradients.
pub struct TransformLine<'a, const OUT: usize, const GRADIENT: bool> {
    pub map: Map<'a>,
    pub top: usize,
    pub across: usize,
    pub to: &'a mut [f32],
}

impl<const OUT: usize, const GRADIENT: bool> Work for TransformLine<'_, OUT, GRADIENT> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        let Self { map, top, across, to } = self;
        // Inputs reach one pixel further on every side; coordinates are those of the pixel plus one.
        let (edge, shift) = if GRADIENT { (OUT, 1) } else { (OUT + 2, 0) };
        for tile in 0..across {
            let sources: [&[f32]; 36] =
                from_fn(|at| map.pixel(top + at / edge + shift, tile * OUT + at % edge + shift));
            for channel in (0..map.channels).step_by(S::LANES) {
                let points = both_ways::<S>(
                    #[inline(always)]
                    |i, j| {
                        let inside = i < edge && j < edge;
                        if inside { simd.load(&sources[i * edge + j][channel..]) } else { simd.splat(0.0) }
                    },
                    #[inline(always)]
                    |line| if GRADIENT { spread::<S, OUT>(simd, line) } else { input::<S, OUT>(simd, line) },
                );
                for_each(
                    OUT + 2,
                    #[inline(always)]
                    |i, j| {
                        let at = ((i * (OUT + 2) + j) * across + tile) * map.channels + channel;
                        simd.store(&mut to[at..], points[i][j]);
                    },
                );
            }
        }
    }
}

/// `line` along the columns of up to six by six numbers, then along its rows.
#[inline(always)]
fn both_ways<S: Lanes>(read: impl Fn(usize, usize) -> S::Vector, line: impl Fn(Line<S>) -> Line<S>) -> [Line<S>; 6] {
    let columns = six(
        #[inline(always)]
        |j| {
            line(six(
                #[inline(always)]
                |i| read(i, j),
            ))
        },
    );
    six(
        #[inline(always)]
        |i| {
            line(six(
                #[inline(always)]
                |j| columns[j][i],
            ))
        },
    )
}

/// Six of them, without a loop: the compiler gives up on loops as long as these, and would keep all of it in memory.
#[inline(always)]
fn six<T>(mut of: impl FnMut(usize) -> T) -> [T; 6] {
    [of(0), of(1), of(2), of(3), of(4), of(5)]
}

/// All `i` and `j` below `edge`, at most six, without a loop.
#[inline(always)]
fn for_each(edge: usize, mut write: impl FnMut(usize, usize)) {
    six(
        #[inline(always)]
        |i| {
            six(
                #[inline(always)]
                |j| {
                    if i < edge && j < edge {
                        write(i, j);
                    }
                },
            );
        },
    );
}

/// Transforms a line of tiles back, `Aᵀ m A`, from tile `first` on, and puts what is inside the map to `y`, `rows × width × channels`.
pub struct ScatterLine<'a, const OUT: usize> {
    pub tiles: &'a Tiles<'a>,
    pub first: usize,
    pub width: usize,
    pub channels: usize,
    pub y: &'a mut [MaybeUninit<f32>],
}

impl<const OUT: usize> Work for ScatterLine<'_, OUT> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        let Self { tiles, first, width, channels, y } = self;
        let rows = y.len() / (width * channels);
        for tile in 0..width.div_ceil(OUT) {
            let left = tile * OUT;
            for channel in (0..channels).step_by(S::LANES) {
                let values = both_ways::<S>(
                    #[inline(always)]
                    |i, j| tiles.load::<S, OUT>(simd, [i, j], channel, first + tile),
                    #[inline(always)]
                    |line| output::<S, OUT>(simd, line),
                );
                for_each(
                    OUT,
                    #[inline(always)]
                    |i, j| {
                        if i < rows && left + j < width {
                            simd.write(&mut y[(i * width + left + j) * channels + channel..], values[i][j]);
                        }
                    },
                );
            }
        }
    }
}

/// `G w Gᵀ` of `9 × count` weights, to `points × count`.
pub struct TransformWeights<'a, const OUT: usize> {
    pub taps: &'a [f32],
    pub to: &'a mut [f32],
}

impl<const OUT: usize> Work for TransformWeights<'_, OUT> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        let Self { taps, to } = self;
        let count = taps.len() / 9;
        for at in (0..count).step_by(S::LANES) {
            let points = both_ways::<S>(
                #[inline(always)]
                |i, j| {
                    let inside = i < 3 && j < 3;
                    if inside { simd.load(&taps[(i * 3 + j) * count + at..]) } else { simd.splat(0.0) }
                },
                #[inline(always)]
                |line| weight::<S, OUT>(simd, line),
            );
            for_each(
                OUT + 2,
                #[inline(always)]
                |i, j| simd.store(&mut to[(i * (OUT + 2) + j) * count + at..], points[i][j]),
            );
        }
    }
}

/// `Gᵀ m G` for one input and all outputs: `9 × C_out`.
pub struct GatherWeights<'a, const OUT: usize> {
    pub sums: &'a Tiles<'a>,
    pub input: usize,
    pub outputs: usize,
    pub to: &'a mut [f32],
}

impl<const OUT: usize> Work for GatherWeights<'_, OUT> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        let Self { sums, input, outputs, to } = self;
        for channel in (0..outputs).step_by(S::LANES) {
            let weights = both_ways::<S>(
                #[inline(always)]
                |i, j| sums.load::<S, OUT>(simd, [i, j], channel, input),
                #[inline(always)]
                |line| gather::<S, OUT>(simd, line),
            );
            for_each(
                3,
                #[inline(always)]
                |i, j| simd.store(&mut to[(i * 3 + j) * outputs + channel..], weights[i][j]),
            );
        }
    }
}
