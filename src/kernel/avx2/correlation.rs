//! Second moments of the patches of a 3×3 convolution, stride 1, padding 1, from shifted correlations.
//!
//! Block (i, j) of `XᵀX`, for taps i and j, is the sum over pixels p of `x[p] x[p+d]ᵀ` with `d = j − i`, less those p whose output
//! pixel `p − i` is outside. All blocks of one `d` share the sum, so that 13 products of `C × C` (25 by symmetry) stand for the 45 of a
//! triangle. What is outside is a boundary row where i and j have the same step down, a boundary column where they have the same step
//! to the right, and the corner is taken off twice where they have both.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::tile::COLUMNS;
use super::weight::sum_outer;
use crate::kernel::Geometry;
use crate::kernel::fresh::filled;
use crate::kernel::scratch::Scratch;

/// Pixels a stage, whose channels stay in the outer cache.
const STAGE: usize = 1024;
/// Pairs whose channels, sixteen of them, stay in the inner cache.
const CHUNK: usize = 256;
/// Channels from which on it pays to pack those of second pixels: sixteen of many wide pixels fall on few places of the cache.
const WIDE: usize = 128;

/// Whether this way exists for a geometry and saves anything: on small maps the boundary is most of it.
pub fn wins(g: &Geometry) -> bool {
    g.kernel == 3 && g.stride == 1 && g.padding == 1 && g.inputs.is_multiple_of(COLUMNS) && g.height.min(g.width) >= 8
}

/// `XᵀX` of the patches of `x`, `9C × 9C`.
pub fn moments(g: &Geometry, x: &[f32]) -> Vec<f32> {
    let terms = Term::all();
    let (channels, size) = (g.inputs, g.inputs * g.inputs);
    // Images whose pairs are listed once, for all others of the batch have the same.
    let together = (STAGE / (g.height * g.width)).max(1);
    let pairs: Vec<_> = terms.par_iter().map(|term| term.pairs(g, together)).collect();
    let mut sums = Scratch::new(terms.len() * size);
    sums.par_chunks_mut(channels * COLUMNS).for_each(|sums| sums.fill(0.0));
    for images in x.chunks(together * g.image()) {
        for first in (0..images.len()).step_by(STAGE * channels) {
            let stage = first..images.len().min(first + STAGE * channels);
            // `terms × panels × C × 16`.
            sums.par_chunks_mut(channels * COLUMNS).enumerate().for_each(|(task, sums)| {
                let panels = channels / COLUMNS;
                let (from, to) = within(&pairs[task / panels], &stage);
                for pairs in from.chunks(CHUNK).zip(to.chunks(CHUNK)) {
                    add_products(images, pairs, channels, task % panels * COLUMNS, sums);
                }
            });
        }
    }
    let mut blocks = Scratch::new(25 * size);
    blocks.par_chunks_mut(size).enumerate().for_each(|(shift, block)| {
        let d = [shift as isize / 5 - 2, shift as isize % 5 - 2];
        copy(&terms, &sums, channels, Region::Everywhere, d, block);
    });
    let mut edges = Scratch::new(EDGES.len() * size);
    edges.par_chunks_mut(size).zip(EDGES).for_each(|(block, &(region, d))| {
        copy(&terms, &sums, channels, region, d, block);
    });
    let write = |out: &mut [MaybeUninit<f32>]| {
        out.par_chunks_mut(9 * channels).enumerate().for_each(|(row, out)| {
            let (i, channel) = (tap(row / channels), row % channels);
            for (j, out) in out.chunks_exact_mut(channels).enumerate() {
                assemble([i, tap(j)], &blocks, &edges, channel * channels..(channel + 1) * channels, size, out);
            }
        });
    };
    // SAFETY: each row is nine times the channels, and `assemble` writes all of them.
    #[allow(unsafe_code)]
    unsafe {
        filled(81 * size, write)
    }
}

/// Adds the products of some pairs: all channels of first pixels with sixteen of second ones, from `panel` on; `sums` is `C × 16`.
fn add_products(x: &[f32], (from, to): (&[usize], &[usize]), channels: usize, panel: usize, sums: &mut [f32]) {
    let second = &x[panel..];
    if channels < WIDE {
        sum_outer(x, from, second, to, sums, true);
        return;
    }
    let mut packed = [[0.0; COLUMNS]; CHUNK];
    for (packed, &to) in packed.iter_mut().zip(to) {
        packed.copy_from_slice(&second[to..][..COLUMNS]);
    }
    let places: [usize; CHUNK] = std::array::from_fn(|i| i * COLUMNS);
    sum_outer(x, from, packed.as_flattened(), &places[..to.len()], sums, true);
}

/// Steps down and to the right from the output pixel.
const fn tap(index: usize) -> [isize; 2] {
    [index as isize / 3 - 1, index as isize % 3 - 1]
}

/// Which pixels a sum runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Region {
    Everywhere,
    /// The first row for a step down of 1, the last for −1.
    Row(isize),
    /// The first column for a step right of 1, the last for −1.
    Column(isize),
    Corner(isize, isize),
}

impl Region {
    fn holds(self, g: &Geometry, row: usize, column: usize) -> bool {
        let edge = |step: isize, at: usize, size: usize| at == if step == 1 { 0 } else { size - 1 };
        match self {
            Self::Everywhere => true,
            Self::Row(step) => edge(step, row, g.height),
            Self::Column(step) => edge(step, column, g.width),
            Self::Corner(down, right) => edge(down, row, g.height) && edge(right, column, g.width),
        }
    }
}

/// The sums over boundaries that blocks need, by region and shift.
const EDGES: &[(Region, [isize; 2])] = &[
    (Region::Row(1), [0, -2]),
    (Region::Row(1), [0, -1]),
    (Region::Row(1), [0, 0]),
    (Region::Row(1), [0, 1]),
    (Region::Row(1), [0, 2]),
    (Region::Row(-1), [0, -2]),
    (Region::Row(-1), [0, -1]),
    (Region::Row(-1), [0, 0]),
    (Region::Row(-1), [0, 1]),
    (Region::Row(-1), [0, 2]),
    (Region::Column(1), [-2, 0]),
    (Region::Column(1), [-1, 0]),
    (Region::Column(1), [0, 0]),
    (Region::Column(1), [1, 0]),
    (Region::Column(1), [2, 0]),
    (Region::Column(-1), [-2, 0]),
    (Region::Column(-1), [-1, 0]),
    (Region::Column(-1), [0, 0]),
    (Region::Column(-1), [1, 0]),
    (Region::Column(-1), [2, 0]),
    (Region::Corner(1, 1), [0, 0]),
    (Region::Corner(1, -1), [0, 0]),
    (Region::Corner(-1, 1), [0, 0]),
    (Region::Corner(-1, -1), [0, 0]),
];

/// One sum of `x[p] x[p+d]ᵀ`; that of `−d` is its transpose.
#[derive(Debug, Clone, Copy)]
struct Term {
    region: Region,
    shift: [isize; 2],
}

impl Term {
    /// Those that are computed: shifts that do not go back.
    fn all() -> Vec<Self> {
        let forward = |[down, right]: [isize; 2]| down > 0 || (down == 0 && right >= 0);
        let shifts = (-2..=2).flat_map(|down| (-2..=2).map(move |right| [down, right]));
        let everywhere = shifts.map(|shift| (Region::Everywhere, shift));
        let all = everywhere.chain(EDGES.iter().copied()).filter(|&(_, shift)| forward(shift));
        all.map(|(region, shift)| Self { region, shift }).collect()
    }

    /// Where the channels of both pixels of each pair are, for so many images, in the order of the first pixel.
    fn pairs(&self, g: &Geometry, images: usize) -> Pairs {
        let inside = |at: usize, step: isize, size: usize| at.checked_add_signed(step).is_some_and(|at| at < size);
        let [down, right] = self.shift;
        let step = (down * g.width as isize + right) * g.inputs as isize;
        let mut pairs = Pairs::default();
        for image in 0..images {
            for (row, column) in (0..g.height).flat_map(|row| (0..g.width).map(move |column| (row, column))) {
                if self.region.holds(g, row, column) && inside(row, down, g.height) && inside(column, right, g.width) {
                    let from = image * g.image() + (row * g.width + column) * g.inputs;
                    pairs.0.push(from);
                    pairs.1.push(from.wrapping_add_signed(step));
                }
            }
        }
        pairs
    }
}

/// Offsets of the first pixel of each pair, ascending, and of the second.
type Pairs = (Vec<usize>, Vec<usize>);

/// The pairs whose first pixel is in a range of offsets.
fn within<'a>((from, to): &'a Pairs, stage: &Range<usize>) -> (&'a [usize], &'a [usize]) {
    let pairs = from.partition_point(|&at| at < stage.start)..from.partition_point(|&at| at < stage.end);
    (&from[pairs.clone()], &to[pairs])
}

/// The sum of a region and shift, `C × C` in row order: transposed if it is the opposite that was computed.
fn copy(terms: &[Term], sums: &[f32], channels: usize, region: Region, shift: [isize; 2], block: &mut [f32]) {
    let size = channels * channels;
    let opposite = shift.map(|step| -step);
    let position = |shift| terms.iter().position(|term| term.region == region && term.shift == shift);
    if let Some(term) = position(shift) {
        for (panel, sums) in sums[term * size..][..size].chunks_exact(channels * COLUMNS).enumerate() {
            for (row, sums) in sums.chunks_exact(COLUMNS).enumerate() {
                block[row * channels + panel * COLUMNS..][..COLUMNS].copy_from_slice(sums);
            }
        }
    } else if let Some(term) = position(opposite) {
        for (panel, sums) in sums[term * size..][..size].chunks_exact(channels * COLUMNS).enumerate() {
            for (row, sums) in sums.chunks_exact(COLUMNS).enumerate() {
                for (column, &sum) in sums.iter().enumerate() {
                    block[(panel * COLUMNS + column) * channels + row] = sum;
                }
            }
        }
    }
}

/// One row of the block of two taps.
fn assemble(
    [i, j]: [[isize; 2]; 2],
    blocks: &[f32],
    edges: &[f32],
    row: Range<usize>,
    size: usize,
    out: &mut [MaybeUninit<f32>],
) {
    let d = [j[0] - i[0], j[1] - i[1]];
    let sums = &blocks[((d[0] + 2) * 5 + d[1] + 2) as usize * size..][..size][row.clone()];
    let edge = |applies: bool, region: Region| {
        let index = EDGES.iter().position(|&edge| edge == (region, d)).filter(|_| applies)?;
        Some(&edges[index * size..][..size][row.clone()])
    };
    let (same_row, same_column) = (d[0] == 0 && i[0] != 0, d[1] == 0 && i[1] != 0);
    let in_row = edge(same_row, Region::Row(i[0]));
    let in_column = edge(same_column, Region::Column(i[1]));
    let in_corner = edge(same_row && same_column, Region::Corner(i[0], i[1]));
    for (at, (out, &sum)) in out.iter_mut().zip(sums).enumerate() {
        let of = |edge: Option<&[f32]>| edge.map_or(0.0, |edge| edge[at]);
        out.write(sum - of(in_row) - of(in_column) + of(in_corner));
    }
}
