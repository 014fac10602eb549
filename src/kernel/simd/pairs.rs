//! Register tiles of bfloat16: products of pairs of numbers, summed in float32.

/// Rows of a tile.
pub const ROWS: usize = 12;
/// Columns of a tile: two vectors.
pub const COLUMNS: usize = 32;

/// Proof that the processor multiplies pairs of bfloat16 (AVX512_BF16).
#[derive(Debug, Clone, Copy)]
pub struct Pairs(());

impl Pairs {
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        let found = false;
        found.then_some(Self(()))
    }

    /// `sums[i][j] = Σ rows[i][k] · panel[k][j]`, a word being two numbers of each; rows are as long as the panel is high.
    #[allow(unsafe_code)]
    pub fn multiply(self, rows: [&[u32]; ROWS], panel: &[u32]) -> [[f32; COLUMNS]; ROWS] {
        let mut sums = [[0.0; COLUMNS]; ROWS];
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect`, the only way to a value of this type, found the features.
        unsafe {
            x86::multiply(rows, panel, &mut sums);
        }
        sums
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
    };
    use std::mem::transmute;

    use super::{COLUMNS, ROWS};

    #[allow(unsafe_code)]
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub fn multiply(rows: [&[u32]; ROWS], panel: &[u32], to: &mut [[f32; COLUMNS]; ROWS]) {
        let panel = panel.as_chunks::<COLUMNS>().0;
        let rows = rows.map(|row| &row[..panel.len()]);
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for (k, column) in panel.iter().enumerate() {
            // SAFETY: a row of the panel is two vectors, and a vector of words is one of pairs.
            let [low, high] = unsafe {
                [_mm512_loadu_si512(column.as_ptr().cast()), _mm512_loadu_si512(column.as_ptr().add(16).cast())]
                    .map(|words| transmute::<__m512i, __m512bh>(words))
            };
            for i in 0..ROWS {
                // SAFETY: as above.
                let x = unsafe { transmute::<__m512i, __m512bh>(_mm512_set1_epi32(rows[i][k] as i32)) };
                sums[i][0] = _mm512_dpbf16_ps(sums[i][0], x, low);
                sums[i][1] = _mm512_dpbf16_ps(sums[i][1], x, high);
            }
        }
        for (to, [low, high]) in to.iter_mut().zip(sums) {
            // SAFETY: a row of sums is two vectors.
            unsafe {
                _mm512_storeu_ps(to.as_mut_ptr(), low);
                _mm512_storeu_ps(to.as_mut_ptr().add(16), high);
            }
        }
    }
}
