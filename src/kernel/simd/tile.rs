//! Register tiles: sums of products that stay in registers while a loop runs over the inner dimension.
//!
//! A tile is up to [`Lanes::ROWS`] rows high and one or two vectors wide, so that all its sums, a row of one factor and a number of the other
//! are in registers at once.

use std::ops::Range;

use super::instance::{Instance, Lanes, Work};

/// What the tiles of a product look like.
#[derive(Debug, Clone, Copy)]
pub struct Tile {
    instance: Instance,
    /// Vectors a row.
    vectors: usize,
    pub columns: usize,
    /// Rows at most.
    pub rows: usize,
}

impl Tile {
    /// For a product with so many columns: one vector wide where the second of two would be idle at the end, if one is enough to keep the
    /// processor busy.
    pub fn new(instance: Instance, columns: usize) -> Self {
        let [lanes, rows] = instance.run(Shape);
        let idle = columns.next_multiple_of(2 * lanes) - columns >= lanes;
        let vectors = if idle && rows >= 8 { 1 } else { 2 };
        Self { instance, vectors, columns: vectors * lanes, rows }
    }

    /// The height of a tile for so many rows: the least that there is.
    pub fn height(&self, rows: usize) -> usize {
        HEIGHTS.into_iter().find(|&height| height >= rows).unwrap_or(self.rows).min(self.rows)
    }

    /// `sums[i][j] = Σ rows[i][k] · panel[k][j]` over the rounds of `rows`, `height` a round, and in a round the numbers `part` of each row;
    /// added to what is there already if `more`. `sums` is `height × columns`; the panel has a row of as many columns for each number.
    pub fn inner(&self, rows: &[&[f32]], part: Range<usize>, panel: &[f32], sums: &mut [f32], more: bool) {
        self.instance.run(Inner { vectors: self.vectors, rows, part, panel, sums, more });
    }

    /// `sums[i][j] = Σ x[xs[k] + i] · y[ys[k] + j]`, added to what is there already if `more`, for as many rows of `columns` as `sums` has.
    pub fn outer(&self, x: &[f32], xs: &[usize], y: &[f32], ys: &[usize], sums: &mut [f32], more: bool) {
        assert_eq!(xs.len(), ys.len());
        let (count, mut first) = (sums.len() / self.columns, 0);
        while first < count {
            // Sixteen are two eights, not twelve and four.
            let left = count - first;
            let even = self.height(left.div_ceil(left.div_ceil(self.rows)));
            let height = if even <= left { even } else { HEIGHTS.into_iter().rfind(|&h| h <= left).unwrap_or(1) };
            let sums = &mut sums[first * self.columns..][..height * self.columns];
            self.instance.run(Outer { vectors: self.vectors, x: &x[first..], xs, y, ys, sums, more });
            first += height;
        }
    }
}

/// Rows of the highest tile of any instance.
pub const ROWS: usize = 12;
/// Numbers of the largest.
pub const MOST: usize = ROWS * 32;
/// The heights that there are tiles of.
const HEIGHTS: [usize; 7] = [1, 2, 3, 4, 6, 8, 12];

/// Numbers a vector, and rows of the highest tile.
struct Shape;

impl Work for Shape {
    type Output = [usize; 2];

    #[inline(always)]
    fn run<S: Lanes>(self, _simd: S) -> [usize; 2] {
        [S::LANES, S::ROWS]
    }
}

/// Calls `$work.tile::<S, HEIGHT, VECTORS>(simd)`.
macro_rules! tile {
    ($work:expr, $simd:expr, $height:expr) => {
        tile!($work, $simd, $height, 1, 2, 3, 4, 6, 8, 12)
    };
    ($work:expr, $simd:expr, $height:expr, $($rows:literal),*) => {
        match ($height, $work.vectors) {
            $(($rows, 1) => $work.tile::<S, $rows, 1>($simd),
            ($rows, _) => $work.tile::<S, $rows, 2>($simd),)*
            (height, _) => unreachable!("no tile of {height} rows"),
        }
    };
}

struct Inner<'a> {
    vectors: usize,
    rows: &'a [&'a [f32]],
    part: Range<usize>,
    panel: &'a [f32],
    sums: &'a mut [f32],
    more: bool,
}

impl Work for Inner<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        tile!(self, simd, self.sums.len() / (self.vectors * S::LANES));
    }
}

impl Inner<'_> {
    #[inline(always)]
    fn tile<S: Lanes, const N: usize, const V: usize>(self, simd: S) {
        let (columns, depth) = (V * S::LANES, self.part.len());
        let mut sums = [[simd.splat(0.0); V]; N];
        if self.more {
            for (sums, row) in sums.iter_mut().zip(self.sums.chunks_exact(columns)) {
                for (sum, row) in sums.iter_mut().zip(row.chunks_exact(S::LANES)) {
                    *sum = simd.load(row);
                }
            }
        }
        for (rows, panel) in self.rows.chunks_exact(N).zip(self.panel.chunks_exact((depth * columns).max(1))) {
            // All of one length that the compiler knows, so that the loop has nothing to check.
            let mut cut = [&[][..]; N];
            for (cut, row) in cut.iter_mut().zip(rows) {
                *cut = &row[self.part.start..][..depth];
            }
            for (k, panel) in (0..depth).zip(panel.chunks_exact(columns)) {
                add_products(
                    simd,
                    &mut sums,
                    #[inline(always)]
                    |i| cut[i][k],
                    panel,
                );
            }
        }
        put(simd, &sums, self.sums);
    }
}

struct Outer<'a> {
    vectors: usize,
    x: &'a [f32],
    xs: &'a [usize],
    y: &'a [f32],
    ys: &'a [usize],
    sums: &'a mut [f32],
    more: bool,
}

impl Work for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes>(self, simd: S) {
        tile!(self, simd, self.sums.len() / (self.vectors * S::LANES));
    }
}

impl Outer<'_> {
    #[inline(always)]
    fn tile<S: Lanes, const N: usize, const V: usize>(self, simd: S) {
        let columns = V * S::LANES;
        let mut sums = [[simd.splat(0.0); V]; N];
        let mut done = 0;
        for (&x, &y) in self.xs.iter().zip(self.ys) {
            // Not an index that may panic: the compiler would write the sums to memory for that.
            let (Some(x), Some(y)) = (self.x.get(x..x + N), self.y.get(y..y + columns)) else { break };
            done += 1;
            add_products(
                simd,
                &mut sums,
                #[inline(always)]
                |i| x[i],
                y,
            );
        }
        assert_eq!(done, self.xs.len(), "an offset is too large");
        if self.more {
            for (sums, row) in sums.iter_mut().zip(self.sums.chunks_exact(columns)) {
                for (sum, row) in sums.iter_mut().zip(row.chunks_exact(S::LANES)) {
                    *sum = simd.add(simd.load(row), *sum);
                }
            }
        }
        put(simd, &sums, self.sums);
    }
}

/// Adds `of(i) · row[j]` to `sums[i][j]`. Plain counting loops are what the compiler unrolls early enough to keep all sums in registers.
#[expect(clippy::needless_range_loop, reason = "as said")]
#[inline(always)]
fn add_products<S: Lanes, const N: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::Vector; V]; N],
    of: impl Fn(usize) -> f32,
    row: &[f32],
) {
    let mut vectors = [simd.splat(0.0); V];
    for j in 0..V {
        vectors[j] = simd.load(&row[j * S::LANES..]);
    }
    for i in 0..N {
        let x = simd.splat(of(i));
        for j in 0..V {
            sums[i][j] = simd.mul_add(x, vectors[j], sums[i][j]);
        }
    }
}

#[inline(always)]
fn put<S: Lanes, const N: usize, const V: usize>(simd: S, sums: &[[S::Vector; V]; N], to: &mut [f32]) {
    for (sums, row) in sums.iter().zip(to.chunks_exact_mut(V * S::LANES)) {
        for (&sum, row) in sums.iter().zip(row.chunks_exact_mut(S::LANES)) {
            simd.store(row, sum);
        }
    }
}
