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
    fn exp(x: Self) -> Self {
        x.exp()
    }

    /// By the quotient of polynomials in Eigen, which the compiler takes many at once: within 5e-7 of the truth.
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
    fn the_error_function_in_float32_is_near_that_in_float64() {
        for i in -6000..=6000 {
            let x = f64::from(i) / 1000.0;
            let (ours, truth) = (f64::from(<f32 as Elementary>::erf(x as f32)), libm::erf(x));
            assert!((ours - truth).abs() < 5e-7, "erf({x}) = {truth}, found {ours}");
        }
        assert!(<f32 as Elementary>::erf(f32::NAN).is_nan());
    }
}
