//! Second moments of the patches of a 3×3 convolution, stride 1, padding 1, from shifted correlations.
//!
//! Block (i, j) of `XᵀX`, for taps i and j, is the sum over pixels p of `x[p] x[p+d]ᵀ` with `d = j − i`, less those p whose output
//! pixel `p − i` is outside. All blocks of one `d` share the sum, so that 13 products of `C × C` (25 by symmetry) stand for the 45 of a
//! triangle. What is outside is a boundary row where i and j have the same step down, a boundary column where they have the same step
//! to the right, and the corner is taken off twice where they have both.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::instance::Instance;
use super::tile::Tile;
use crate::kernel::Geometry;
use crate::kernel::fresh::{filled, put};
use crate::kernel::scratch::Scratch;

/// Pixels a stage, whose channels stay in the outer cache.
const STAGE: usize = 1024;
/// Pairs whose channels, sixteen of them, stay in the inner cache.
const CHUNK: usize = 256;
/// Channels from which on it pays to pack those of p: sixteen of many wide pixels fall on few places of the cache.
const WIDE: usize = 128;

/// Edge of the squares in which blocks are put together.
const SQUARE: usize = 16;

/// Whether this way fits a geometry and pays: it saves a third of the time on 2² pixels, where most taps fall outside, and more on larger maps.
pub fn wins(g: &Geometry) -> bool {
    g.kernel == 3 && g.stride == 1 && g.padding == 1 && g.inputs.is_multiple_of(SQUARE) && g.height.min(g.width) > 1
}

/// `XᵀX` of the patches of `x`, `9C × 9C`.
pub fn moments(instance: Instance, g: &Geometry, x: &[f32]) -> Vec<f32> {
    assert!(wins(g), "no correlations for {g:?}");
    let tile = Tile::new(instance, g.inputs);
    let columns = tile.columns;
    let terms = Term::all();
    let (channels, size) = (g.inputs, g.inputs * g.inputs);
    // Images whose pairs are listed once, for all others of the batch have the same.
    let together = (STAGE / (g.height * g.width)).max(1);
    let pairs: Vec<_> = terms.par_iter().map(|term| term.pairs(g, together)).collect();
    let mut sums = Scratch::new(terms.len() * size);
    sums.par_chunks_mut(channels * columns).for_each(|sums| sums.fill(0.0));
    for images in x.chunks(together * g.image()) {
        for first in (0..images.len()).step_by(STAGE * channels) {
            let stage = first..images.len().min(first + STAGE * channels);
            // `terms × panels × C × columns`.
            sums.par_chunks_mut(channels * columns).enumerate().for_each(|(task, sums)| {
                let panels = channels / columns;
                let (from, to) = within(&pairs[task / panels], &stage);
                for pairs in from.chunks(CHUNK).zip(to.chunks(CHUNK)) {
                    add_products(tile, images, pairs, channels, task % panels * columns, sums);
                }
            });
        }
    }
    let order = 9 * channels;
    let write = |out: &mut [MaybeUninit<f32>]| {
        out.par_chunks_mut(SQUARE * order).enumerate().for_each(|(band, out)| {
            let (here, channel) = (band * SQUARE / channels, band * SQUARE % channels);
            for there in 0..9 {
                let parts = parts(here.min(there), here.max(there), &terms, &sums, size);
                let to = there * channels..(there + 1) * channels;
                assemble(&parts, columns, channel, there > here, out, to);
            }
        });
    };
    // SAFETY: the channels are a multiple of sixteen, so that every band is sixteen whole rows, and `assemble` writes all nine blocks of it.
    #[allow(unsafe_code)]
    unsafe {
        filled(81 * size, write)
    }
}

/// Adds the products of some pairs: all channels of p + d with a panel's of p, from `panel` on; `sums` is `C × columns`.
fn add_products(
    tile: Tile,
    x: &[f32],
    (from, to): (&[usize], &[usize]),
    channels: usize,
    panel: usize,
    sums: &mut [f32],
) {
    let second = &x[panel..];
    if channels < WIDE {
        tile.outer(x, from, second, to, sums, true);
        return;
    }
    let mut packed = Scratch::new(to.len() * tile.columns);
    for (packed, &to) in packed.chunks_exact_mut(tile.columns).zip(to) {
        packed.copy_from_slice(&second[to..][..tile.columns]);
    }
    let places: [usize; CHUNK] = std::array::from_fn(|i| i * tile.columns);
    tile.outer(x, from, &packed, &places[..to.len()], sums, true);
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
    (Region::Row(1), [0, 0]),
    (Region::Row(1), [0, 1]),
    (Region::Row(1), [0, 2]),
    (Region::Row(-1), [0, 0]),
    (Region::Row(-1), [0, 1]),
    (Region::Row(-1), [0, 2]),
    (Region::Column(1), [0, 0]),
    (Region::Column(1), [1, 0]),
    (Region::Column(1), [2, 0]),
    (Region::Column(-1), [0, 0]),
    (Region::Column(-1), [1, 0]),
    (Region::Column(-1), [2, 0]),
    (Region::Corner(1, 1), [0, 0]),
    (Region::Corner(1, -1), [0, 0]),
    (Region::Corner(-1, 1), [0, 0]),
    (Region::Corner(-1, -1), [0, 0]),
];

/// One sum of `x[p+d] x[p]ᵀ` over the pixels p of a region.
#[derive(Debug, Clone, Copy)]
struct Term {
    region: Region,
    shift: [isize; 2],
}

impl Term {
    /// Those of shifts that do not go back; the others are their transposes.
    fn all() -> Vec<Self> {
        let shifts = (0..=2).flat_map(|down| (-2..=2).map(move |right| [down, right]));
        let forward = shifts.filter(|&[down, right]| down > 0 || right >= 0);
        let everywhere = forward.map(|shift| (Region::Everywhere, shift));
        everywhere.chain(EDGES.iter().copied()).map(|(region, shift)| Self { region, shift }).collect()
    }

    /// Where the channels of both pixels of each pair are, for so many images.
    fn pairs(&self, g: &Geometry, images: usize) -> Pairs {
        let inside = |at: usize, step: isize, size: usize| at.checked_add_signed(step).is_some_and(|at| at < size);
        let [down, right] = self.shift;
        let step = (down * g.width as isize + right) * g.inputs as isize;
        let mut pairs = Pairs::default();
        for image in 0..images {
            for (row, column) in (0..g.height).flat_map(|row| (0..g.width).map(move |column| (row, column))) {
                if self.region.holds(g, row, column) && inside(row, down, g.height) && inside(column, right, g.width) {
                    let to = image * g.image() + (row * g.width + column) * g.inputs;
                    pairs.0.push(to.wrapping_add_signed(step));
                    pairs.1.push(to);
                }
            }
        }
        pairs
    }
}

/// Offsets of the pixels p + d, ascending, and of the pixels p.
type Pairs = (Vec<usize>, Vec<usize>);

/// The pairs whose pixel p + d is in a range of offsets.
fn within<'a>((from, to): &'a Pairs, stage: &Range<usize>) -> (&'a [usize], &'a [usize]) {
    let pairs = from.partition_point(|&at| at < stage.start)..from.partition_point(|&at| at < stage.end);
    (&from[pairs.clone()], &to[pairs])
}

/// What the block of two taps is made of, the second of which is not before the first: sums, `panels × C × columns`, to add (1) or take off (−1).
fn parts<'a>(first: usize, second: usize, terms: &[Term], sums: &'a [f32], size: usize) -> Vec<(f32, &'a [f32])> {
    let (first, second) = (tap(first), tap(second));
    let shift = [second[0] - first[0], second[1] - first[1]];
    let (in_row, in_column) = (shift[0] == 0 && first[0] != 0, shift[1] == 0 && first[1] != 0);
    let sign = |region: Region| match region {
        Region::Everywhere => Some(1.0),
        Region::Row(step) => (in_row && step == first[0]).then_some(-1.0),
        Region::Column(step) => (in_column && step == first[1]).then_some(-1.0),
        Region::Corner(down, right) => (in_row && in_column && [down, right] == first).then_some(1.0),
    };
    let of_shift = terms.iter().zip(sums.chunks_exact(size)).filter(|(term, _)| term.shift == shift);
    of_shift.filter_map(|(term, sums)| Some((sign(term.region)?, sums))).collect()
}

/// Sixteen rows of a block, or of its transpose, from `channel` on, to some places of a band of whole rows; square by square, each of
/// which lies together in every sum.
fn assemble(
    parts: &[(f32, &[f32])],
    columns: usize,
    channel: usize,
    transposed: bool,
    band: &mut [MaybeUninit<f32>],
    to: Range<usize>,
) {
    let (channels, order) = (to.len(), band.len() / SQUARE);
    for across in (0..channels).step_by(SQUARE) {
        let (row, column) = if transposed { (across, channel) } else { (channel, across) };
        let at = column / columns * channels * columns + row * columns + column % columns;
        let mut square = [[0f32; SQUARE]; SQUARE];
        for (sign, sums) in parts {
            for (totals, sums) in square.iter_mut().zip(sums[at..].chunks(columns)) {
                for (total, &sum) in totals.iter_mut().zip(sums) {
                    *total += sign * sum;
                }
            }
        }
        if transposed {
            square = std::array::from_fn(|i| std::array::from_fn(|j| square[j][i]));
        }
        for (row, band) in square.iter().zip(band.chunks_exact_mut(order)) {
            put(&mut band[to.start + across..][..SQUARE], row);
        }
    }
}
