//! The line transforms of Winograd's F(4, 3) and F(2, 3) (Lavin & Gray 2016), eight channels at a time.
//!
//! With the matrices of `y = Aᵀ[(G g) ⊙ (Bᵀ d)]`: `d` a line of the input, `g` the three weights, `y` a line of the output. The
//! gradient by `g` is `Gᵀ[(A dy) ⊙ (Bᵀ d)]`. Lines hold six numbers whatever their length; `OUT` is 4 or 2.

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_sub_ps,
};

/// Up to six numbers, in eight channels.
pub type Line = [__m256; 6];

/// `Bᵀ d`.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub fn input<const OUT: usize>(d: Line) -> Line {
    if OUT == 4 {
        let (four, five) = (_mm256_set1_ps(4.0), _mm256_set1_ps(5.0));
        let even = _mm256_fnmadd_ps(four, d[2], d[4]);
        let odd = _mm256_fnmadd_ps(four, d[1], d[3]);
        let near = _mm256_sub_ps(d[4], d[2]);
        let far = _mm256_sub_ps(d[3], d[1]);
        let far = _mm256_add_ps(far, far);
        [
            _mm256_fmadd_ps(four, d[0], _mm256_fnmadd_ps(five, d[2], d[4])),
            _mm256_add_ps(even, odd),
            _mm256_sub_ps(even, odd),
            _mm256_add_ps(near, far),
            _mm256_sub_ps(near, far),
            _mm256_fmadd_ps(four, d[1], _mm256_fnmadd_ps(five, d[3], d[5])),
        ]
    } else {
        let zero = _mm256_setzero_ps();
        [
            _mm256_sub_ps(d[0], d[2]),
            _mm256_add_ps(d[1], d[2]),
            _mm256_sub_ps(d[2], d[1]),
            _mm256_sub_ps(d[1], d[3]),
            zero,
            zero,
        ]
    }
}

/// `Aᵀ m`.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub fn output<const OUT: usize>(m: Line) -> Line {
    let zero = _mm256_setzero_ps();
    let (sum, difference) = (_mm256_add_ps(m[1], m[2]), _mm256_sub_ps(m[1], m[2]));
    if OUT == 4 {
        let (far_sum, far_difference) = (_mm256_add_ps(m[3], m[4]), _mm256_sub_ps(m[3], m[4]));
        [
            _mm256_add_ps(m[0], _mm256_add_ps(sum, far_sum)),
            _mm256_fmadd_ps(_mm256_set1_ps(2.0), far_difference, difference),
            _mm256_fmadd_ps(_mm256_set1_ps(4.0), far_sum, sum),
            _mm256_add_ps(m[5], _mm256_fmadd_ps(_mm256_set1_ps(8.0), far_difference, difference)),
            zero,
            zero,
        ]
    } else {
        [_mm256_add_ps(m[0], sum), _mm256_sub_ps(difference, m[3]), zero, zero, zero, zero]
    }
}

/// `A dy`: the transpose of [`output`].
#[target_feature(enable = "avx2,fma")]
#[inline]
pub fn spread<const OUT: usize>(dy: Line) -> Line {
    let zero = _mm256_setzero_ps();
    if OUT == 4 {
        let two = _mm256_set1_ps(2.0);
        let (four, eight) = (_mm256_set1_ps(4.0), _mm256_set1_ps(8.0));
        let even = _mm256_add_ps(dy[0], dy[2]);
        let odd = _mm256_add_ps(dy[1], dy[3]);
        let far_even = _mm256_fmadd_ps(four, dy[2], dy[0]);
        let far_odd = _mm256_fmadd_ps(eight, dy[3], _mm256_mul_ps(two, dy[1]));
        [
            dy[0],
            _mm256_add_ps(even, odd),
            _mm256_sub_ps(even, odd),
            _mm256_add_ps(far_even, far_odd),
            _mm256_sub_ps(far_even, far_odd),
            dy[3],
        ]
    } else {
        [dy[0], _mm256_add_ps(dy[0], dy[1]), _mm256_sub_ps(dy[0], dy[1]), _mm256_sub_ps(zero, dy[1]), zero, zero]
    }
}

/// `G g`, of the first three numbers.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub fn weight<const OUT: usize>(g: Line) -> Line {
    let zero = _mm256_setzero_ps();
    let ends = _mm256_add_ps(g[0], g[2]);
    if OUT == 4 {
        let sixth = _mm256_set1_ps(1.0 / 6.0);
        let near = _mm256_mul_ps(ends, _mm256_set1_ps(-1.0 / 6.0));
        let far = _mm256_fmadd_ps(g[0], _mm256_set1_ps(1.0 / 24.0), _mm256_mul_ps(g[2], sixth));
        let twelfth = _mm256_set1_ps(1.0 / 12.0);
        [
            _mm256_mul_ps(g[0], _mm256_set1_ps(0.25)),
            _mm256_fnmadd_ps(sixth, g[1], near),
            _mm256_fmadd_ps(sixth, g[1], near),
            _mm256_fmadd_ps(twelfth, g[1], far),
            _mm256_fnmadd_ps(twelfth, g[1], far),
            g[2],
        ]
    } else {
        let half = _mm256_set1_ps(0.5);
        let ends = _mm256_mul_ps(half, ends);
        [g[0], _mm256_fmadd_ps(half, g[1], ends), _mm256_fnmadd_ps(half, g[1], ends), g[2], zero, zero]
    }
}

/// `Gᵀ m`: the transpose of [`weight`]; three numbers.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub fn gather<const OUT: usize>(m: Line) -> Line {
    let zero = _mm256_setzero_ps();
    let (sum, difference) = (_mm256_add_ps(m[1], m[2]), _mm256_sub_ps(m[1], m[2]));
    if OUT == 4 {
        let (far_sum, far_difference) = (_mm256_add_ps(m[3], m[4]), _mm256_sub_ps(m[3], m[4]));
        let sixth = _mm256_set1_ps(1.0 / 6.0);
        let near = _mm256_mul_ps(sixth, sum);
        [
            _mm256_fmadd_ps(
                _mm256_set1_ps(0.25),
                m[0],
                _mm256_fmadd_ps(_mm256_set1_ps(1.0 / 24.0), far_sum, _mm256_sub_ps(zero, near)),
            ),
            _mm256_fmadd_ps(
                _mm256_set1_ps(1.0 / 12.0),
                far_difference,
                _mm256_mul_ps(_mm256_set1_ps(-1.0 / 6.0), difference),
            ),
            _mm256_add_ps(m[5], _mm256_fmadd_ps(sixth, far_sum, _mm256_sub_ps(zero, near))),
            zero,
            zero,
            zero,
        ]
    } else {
        let half = _mm256_set1_ps(0.5);
        [
            _mm256_fmadd_ps(half, sum, m[0]),
            _mm256_mul_ps(half, difference),
            _mm256_fmadd_ps(half, sum, m[3]),
            zero,
            zero,
            zero,
        ]
    }
}
