//! The inner loops: sums of six by sixteen products in twelve registers.

use std::arch::x86_64::{
    __m256, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};
use std::ops::Range;

/// Rows of a tile.
pub const ROWS: usize = 6;
/// Columns of a tile: two vectors of eight.
pub const COLUMNS: usize = 16;
/// Where six rows of numbers are.
pub type Pointers = [*const f32; ROWS];

/// `tile[i][j] = Σ rows[i][k] · panel[k][j]`, over the rounds of `pointers` and, in a round, the numbers `part` behind each pointer; added to
/// what is there already if `more`.
///
/// # Safety
/// The processor has AVX2 and FMA. Each pointer is followed by `part.end` numbers, and `panel` holds sixteen for each of
/// `pointers.len() · part.len()`.
#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
pub unsafe fn inner(
    pointers: &[Pointers],
    part: Range<usize>,
    panel: &[f32],
    tile: &mut [[f32; COLUMNS]; ROWS],
    more: bool,
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    if more {
        for (sums, row) in sums.iter_mut().zip(tile.iter()) {
            // SAFETY: a row is sixteen numbers.
            *sums = unsafe { [_mm256_loadu_ps(row.as_ptr()), _mm256_loadu_ps(row.as_ptr().add(8))] };
        }
    }
    let mut column = panel.as_ptr();
    for rows in pointers {
        for k in part.clone() {
            // SAFETY: the caller's promise about `panel` and the pointers.
            unsafe {
                let (low, high) = (_mm256_loadu_ps(column), _mm256_loadu_ps(column.add(8)));
                column = column.add(COLUMNS);
                for i in 0..ROWS {
                    let x = _mm256_broadcast_ss(&*rows[i].add(k));
                    sums[i][0] = _mm256_fmadd_ps(x, low, sums[i][0]);
                    sums[i][1] = _mm256_fmadd_ps(x, high, sums[i][1]);
                }
            }
        }
    }
    for (row, sums) in tile.iter_mut().zip(sums) {
        put(row, sums);
    }
}

/// `tile[i][j] = Σ x[xs[k] + i] · y[ys[k] + j]`, for `i` below `N`.
///
/// # Safety
/// The processor has AVX2 and FMA. Each of `xs` is followed by `N` numbers in `x`, each of `ys` by sixteen in `y`.
#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
pub unsafe fn outer<const N: usize>(x: &[f32], xs: &[usize], y: &[f32], ys: &[usize], tile: &mut [[f32; COLUMNS]; N]) {
    let mut sums = [[_mm256_setzero_ps(); 2]; N];
    for (&at_x, &at_y) in xs.iter().zip(ys) {
        // SAFETY: the caller's promise about the offsets.
        unsafe {
            let (x, y) = (x.as_ptr().add(at_x), y.as_ptr().add(at_y));
            let (low, high) = (_mm256_loadu_ps(y), _mm256_loadu_ps(y.add(8)));
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = _mm256_broadcast_ss(&*x.add(i));
                sum[0] = _mm256_fmadd_ps(x, low, sum[0]);
                sum[1] = _mm256_fmadd_ps(x, high, sum[1]);
            }
        }
    }
    for (row, sums) in tile.iter_mut().zip(sums) {
        put(row, sums);
    }
}

#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
fn put(row: &mut [f32; COLUMNS], [low, high]: [__m256; 2]) {
    // SAFETY: a row is sixteen numbers.
    unsafe {
        _mm256_storeu_ps(row.as_mut_ptr(), low);
        _mm256_storeu_ps(row.as_mut_ptr().add(8), high);
    }
}
