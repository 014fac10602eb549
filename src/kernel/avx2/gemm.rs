//! Products of matrices in row order, all of them or the lower triangle alone.
//!
//! A block of the right side's columns is packed once; then bands of rows are multiplied with it, a length at a time that keeps sixteen
//! packed columns in the inner cache. A tenth faster than the libraries' products here, and curvature is made of little else.

use rayon::prelude::*;

use super::tile::{self, COLUMNS, ROWS};
use crate::kernel::scratch::Scratch;

/// Columns of the right side that are packed at once: with them the band of the result stays in the outer cache.
const BLOCK: usize = 32 * COLUMNS;
/// Rows a task.
const BAND: usize = 16 * ROWS;
/// The length of the sums that are taken at once.
const DEPTH: usize = 320;

/// `out += a · b`, `rows × inner` times `inner × columns`; with `lower` only what is on and below the diagonal, and a little more.
pub fn add_product(out: &mut [f32], a: &[f32], b: &[f32], [rows, inner, columns]: [usize; 3], lower: bool) {
    assert!(a.len() == rows * inner && b.len() == inner * columns && out.len() == rows * columns);
    if inner == 0 {
        return;
    }
    let mut packed = Scratch::new(BLOCK.min(columns.next_multiple_of(COLUMNS)) * inner);
    for left in (0..columns).step_by(BLOCK) {
        let width = BLOCK.min(columns - left);
        packed.par_chunks_mut(inner * COLUMNS).take(width.div_ceil(COLUMNS)).enumerate().for_each(|(panel, packed)| {
            pack(b, columns, left + panel * COLUMNS, packed);
        });
        out.par_chunks_mut(BAND * columns).enumerate().rev().with_max_len(1).for_each(|(band, out)| {
            let (top, bottom) = (band * BAND, band * BAND + out.len() / columns);
            let width = if lower { width.min(bottom.saturating_sub(left)) } else { width };
            for first in (0..inner).step_by(DEPTH) {
                let depth = DEPTH.min(inner - first);
                for (panel, packed) in packed.chunks_exact(inner * COLUMNS).take(width.div_ceil(COLUMNS)).enumerate() {
                    let column = left + panel * COLUMNS;
                    let packed = &packed[first * COLUMNS..][..depth * COLUMNS];
                    add_panel(out, columns, column, packed, |row| &a[(top + row) * inner + first..][..depth]);
                }
            }
        });
    }
}

/// Sixteen columns from `column` on, one row after the other; zeros where there is no column.
fn pack(b: &[f32], columns: usize, column: usize, packed: &mut [f32]) {
    let width = COLUMNS.min(columns - column);
    for (packed, b) in packed.chunks_exact_mut(COLUMNS).zip(b.chunks_exact(columns)) {
        packed[..width].copy_from_slice(&b[column..column + width]);
        packed[width..].fill(0.0);
    }
}

/// Adds the product of some rows with sixteen packed columns to `out`, which has `columns` and the same rows.
#[allow(unsafe_code)]
fn add_panel<'a>(out: &mut [f32], columns: usize, column: usize, packed: &[f32], row: impl Fn(usize) -> &'a [f32]) {
    let rows = out.len() / columns;
    let width = COLUMNS.min(columns - column);
    let mut sums = [[0.0; COLUMNS]; ROWS];
    for first in (0..rows).step_by(ROWS) {
        let lines = std::array::from_fn::<_, ROWS, _>(|i| row((first + i).min(rows - 1)));
        let depth = lines[0].len();
        assert_eq!(packed.len(), depth * COLUMNS);
        // SAFETY: callers are behind `is_available`; each pointer is of a slice of `depth` numbers, and the columns were counted above.
        unsafe { tile::inner(&[lines.map(<[f32]>::as_ptr)], depth, packed, &mut sums) };
        for (i, sums) in sums.iter().enumerate().take(rows - first) {
            let out = &mut out[(first + i) * columns + column..][..width];
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
        }
    }
}
