//! The line transforms of Winograd's F(4, 3) and F(2, 3) (Lavin & Gray 2016), as many channels at a time as a vector holds.
//!
//! With the matrices of `y = Aᵀ[(G g) ⊙ (Bᵀ d)]`: `d` a line of the input, `g` the three weights, `y` a line of the output. The
//! gradient by `g` is `Gᵀ[(A dy) ⊙ (Bᵀ d)]`. Lines hold six numbers whatever their length; `OUT` is 4 or 2.

use super::instance::Lanes;

/// Up to six numbers, in the channels of a vector.
pub type Line<S> = [<S as Lanes>::Vector; 6];

/// `Bᵀ d`.
#[inline(always)]
pub fn input<S: Lanes, const OUT: usize>(simd: S, d: Line<S>) -> Line<S> {
    if OUT == 4 {
        let (four, five) = (simd.splat(4.0), simd.splat(5.0));
        let even = simd.neg_mul_add(four, d[2], d[4]);
        let odd = simd.neg_mul_add(four, d[1], d[3]);
        let near = simd.sub(d[4], d[2]);
        let far = simd.sub(d[3], d[1]);
        let far = simd.add(far, far);
        [
            simd.mul_add(four, d[0], simd.neg_mul_add(five, d[2], d[4])),
            simd.add(even, odd),
            simd.sub(even, odd),
            simd.add(near, far),
            simd.sub(near, far),
            simd.mul_add(four, d[1], simd.neg_mul_add(five, d[3], d[5])),
        ]
    } else {
        let zero = simd.splat(0.0);
        [simd.sub(d[0], d[2]), simd.add(d[1], d[2]), simd.sub(d[2], d[1]), simd.sub(d[1], d[3]), zero, zero]
    }
}

/// `Aᵀ m`.
#[inline(always)]
pub fn output<S: Lanes, const OUT: usize>(simd: S, m: Line<S>) -> Line<S> {
    let zero = simd.splat(0.0);
    let (sum, difference) = (simd.add(m[1], m[2]), simd.sub(m[1], m[2]));
    if OUT == 4 {
        let (far_sum, far_difference) = (simd.add(m[3], m[4]), simd.sub(m[3], m[4]));
        [
            simd.add(m[0], simd.add(sum, far_sum)),
            simd.mul_add(simd.splat(2.0), far_difference, difference),
            simd.mul_add(simd.splat(4.0), far_sum, sum),
            simd.add(m[5], simd.mul_add(simd.splat(8.0), far_difference, difference)),
            zero,
            zero,
        ]
    } else {
        [simd.add(m[0], sum), simd.sub(difference, m[3]), zero, zero, zero, zero]
    }
}

/// `A dy`: the transpose of [`output`].
#[inline(always)]
pub fn spread<S: Lanes, const OUT: usize>(simd: S, dy: Line<S>) -> Line<S> {
    let zero = simd.splat(0.0);
    if OUT == 4 {
        let two = simd.splat(2.0);
        let (four, eight) = (simd.splat(4.0), simd.splat(8.0));
        let even = simd.add(dy[0], dy[2]);
        let odd = simd.add(dy[1], dy[3]);
        let far_even = simd.mul_add(four, dy[2], dy[0]);
        let far_odd = simd.mul_add(eight, dy[3], simd.mul(two, dy[1]));
        [
            dy[0],
            simd.add(even, odd),
            simd.sub(even, odd),
            simd.add(far_even, far_odd),
            simd.sub(far_even, far_odd),
            dy[3],
        ]
    } else {
        [dy[0], simd.add(dy[0], dy[1]), simd.sub(dy[0], dy[1]), simd.sub(zero, dy[1]), zero, zero]
    }
}

/// `G g`, of the first three numbers.
#[inline(always)]
pub fn weight<S: Lanes, const OUT: usize>(simd: S, g: Line<S>) -> Line<S> {
    let zero = simd.splat(0.0);
    let ends = simd.add(g[0], g[2]);
    if OUT == 4 {
        let sixth = simd.splat(1.0 / 6.0);
        let near = simd.mul(ends, simd.splat(-1.0 / 6.0));
        let far = simd.mul_add(g[0], simd.splat(1.0 / 24.0), simd.mul(g[2], sixth));
        let twelfth = simd.splat(1.0 / 12.0);
        [
            simd.mul(g[0], simd.splat(0.25)),
            simd.neg_mul_add(sixth, g[1], near),
            simd.mul_add(sixth, g[1], near),
            simd.mul_add(twelfth, g[1], far),
            simd.neg_mul_add(twelfth, g[1], far),
            g[2],
        ]
    } else {
        let half = simd.splat(0.5);
        let ends = simd.mul(half, ends);
        [g[0], simd.mul_add(half, g[1], ends), simd.neg_mul_add(half, g[1], ends), g[2], zero, zero]
    }
}

/// `Gᵀ m`: the transpose of [`weight`]; three numbers.
#[inline(always)]
pub fn gather<S: Lanes, const OUT: usize>(simd: S, m: Line<S>) -> Line<S> {
    let zero = simd.splat(0.0);
    let (sum, difference) = (simd.add(m[1], m[2]), simd.sub(m[1], m[2]));
    if OUT == 4 {
        let (far_sum, far_difference) = (simd.add(m[3], m[4]), simd.sub(m[3], m[4]));
        let sixth = simd.splat(1.0 / 6.0);
        let near = simd.mul(sixth, sum);
        [
            simd.mul_add(simd.splat(0.25), m[0], simd.mul_add(simd.splat(1.0 / 24.0), far_sum, simd.sub(zero, near))),
            simd.mul_add(simd.splat(1.0 / 12.0), far_difference, simd.mul(simd.splat(-1.0 / 6.0), difference)),
            simd.add(m[5], simd.mul_add(sixth, far_sum, simd.sub(zero, near))),
            zero,
            zero,
            zero,
        ]
    } else {
        let half = simd.splat(0.5);
        [simd.mul_add(half, sum, m[0]), simd.mul(half, difference), simd.mul_add(half, sum, m[3]), zero, zero, zero]
    }
}
