//! The exponential and the error function, for softmax and GELU.

use super::Real;

/// Numbers with the elementary functions that activations need.
pub trait Elementary: Real {
    /// eˣ.
    fn exp(x: Self) -> Self;
    /// `2/√π ∫₀ˣ e^(−t²) dt`.
    fn erf(x: Self) -> Self;
}

impl Elementary for f64 {
    fn exp(x: Self) -> Self {
        x.exp()
    }

    fn erf(x: Self) -> Self {
        libm::erf(x)
    }
}

impl Elementary for f32 {
    /// By 2ⁿ and a polynomial on ±ln 2/2 (Cephes), without a branch, so that the compiler takes many at once: within 2e-7 of the truth;
    /// what is not a normal number is 0, and what needs more than 2¹²⁷ is infinite.
    #[inline(always)]
    fn exp(x: Self) -> Self {
        const SHIFT: f32 = 12_582_912.0; // 1.5·2²³: the sum's last bits are the nearest whole number.
        const POLYNOMIAL: [f32; 6] =
            [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
        let shifted = x.clamp(-88.0, 88.37) * std::f32::consts::LOG2_E + SHIFT;
        let n = shifted - SHIFT;
        // ln 2 in two parts, the first of which has few bits.
        let rest = (x.clamp(-88.0, 88.37) - n * 0.693_359_4) + n * 2.121_944_4e-4;
        let sum = POLYNOMIAL.iter().fold(0.0, |sum, c| sum * rest + c);
        let power = Self::from_bits(shifted.to_bits().wrapping_sub(SHIFT.to_bits()).wrapping_add(127) << 23);
        let value = (sum * rest * rest + rest + 1.0) * power;
        if x < -87.33 {
            0.0
        } else if x > 88.37 {
            Self::INFINITY
        } else {
            value
        }
    }

    /// By the quotient of polynomials in Eigen, which the compiler takes many at once: within 5e-7 of the truth.
    #[inline(always)]
    fn erf(x: Self) -> Self {
        const ABOVE: [f32; 7] = [
            -2.726_142_3e-10,
            2.770_681_3e-8,
            -2.101_024e-6,
            -5.692_506_3e-5,
            -7.349_906_3e-4,
            -2.954_6e-3,
            -1.609_603_3e-2,
        ];
        const BELOW: [f32; 5] = [-1.456_607_2e-5, -2.133_740_5e-4, -1.682_827_2e-3, -7.373_329e-3, -1.426_473_9e-2];
        let polynomial = |coefficients: &[f32], square: f32| coefficients.iter().fold(0.0, |sum, c| sum * square + c);
        let x = x.clamp(-4.0, 4.0);
        x * polynomial(&ABOVE, x * x) / polynomial(&BELOW, x * x)
    }
}

#[cfg(test)]
mod tests {
    use super::Elementary;

    #[test]
    fn the_exponential_in_float32_is_near_that_in_float64() {
        for i in -880_000..=883_700 {
            let x = i as f32 / 1e4;
            let (ours, truth) = (f64::from(<f32 as Elementary>::exp(x)), f64::from(x).exp());
            let near = (ours / truth - 1.0).abs() < 2e-7;
            assert!(near || (x < -87.3 && ours == 0.0), "exp({x}) = {truth}, found {ours}");
        }
        assert_eq!(<f32 as Elementary>::exp(0.0), 1.0);
        assert_eq!(<f32 as Elementary>::exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(<f32 as Elementary>::exp(89.0), f32::INFINITY);
        assert!(<f32 as Elementary>::exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_error_function_in_float32_is_near_that_in_float64() {
        for i in -6000..=6000 {
            let x = f64::from(i) / 1000.0;
            let (ours, truth) = (f64::from(<f32 as Elementary>::erf(x as f32)), libm::erf(x));
            assert!((ours - truth).abs() < 5e-7, "erf({x}) = {truth}, found {ours}");
        }
        assert!(<f32 as Elementary>::erf(f32::NAN).is_nan());
    }
}
