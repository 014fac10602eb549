//! Damping: what is added to a factor's diagonal before it is inverted.

use candle_core::{Result, Tensor};

use super::Damping;
use super::invert::Curvature;
use crate::linalg;

/// Rounds of the power iteration, two products each.
const ROUNDS: usize = 10;

/// `δ` for a factor; 0 where the damping acts on pairs of eigenvalues instead.
///
/// `start` makes the power iteration's first vector.
pub fn resolve(damping: Damping, factor: Curvature<'_>, start: impl FnOnce() -> Result<Tensor>) -> Result<f64> {
    match damping {
        Damping::Relative { factor: share, floor } => {
            let largest = match factor {
                Curvature::Matrix(matrix) => max_eigenvalue(matrix, &start()?)?,
                Curvature::Rows(rows) => {
                    let transposed = rows.t()?.contiguous()?;
                    let times = |matrix: &Tensor, v: &Tensor| matrix.matmul(&v.unsqueeze(1)?)?.squeeze(1);
                    power_iteration(&start()?, |v| times(&transposed, &times(rows, v)?))?
                }
            };
            // `max` would turn NaN into the floor; so passed on, it leaves no inverse.
            Ok(if largest.is_finite() { floor.max(share * largest) } else { f64::NAN })
        }
        Damping::Absolute { value } => Ok(value),
        Damping::Joint { .. } => Ok(0.0),
    }
}

/// An estimate of the largest eigenvalue of a symmetric positive `factor` by ten rounds of
/// `u ← Aᵀv/‖Aᵀv‖, v ← A u, λ̂ = ‖v‖`; 0 of a zero factor.
pub fn max_eigenvalue(factor: &Tensor, start: &Tensor) -> Result<f64> {
    power_iteration(start, |v| linalg::times_vector(factor, v))
}

fn power_iteration(start: &Tensor, product: impl Fn(&Tensor) -> Result<Tensor>) -> Result<f64> {
    let mut size = linalg::norm(start)?;
    let mut v = start.clone();
    // Each product is brought to length 1, so that `λ²` need not fit.
    for _ in 0..2 * ROUNDS {
        v = product(&linalg::scale(1.0 / size, &v)?)?;
        size = linalg::norm(&v)?;
        if size == 0.0 || !size.is_finite() {
            break;
        }
    }
    Ok(size)
}

/// `v_i = 1 + cos(i)`, with i counted in PyTorch's order of the factor's rows.
///
/// Deviation: the authors start from ones, which under softmax lie in the null space of the last layer's output factor, so that
/// their estimate there grows out of rounding noise.
pub fn power_start(rows: impl IntoIterator<Item = usize>, like: &Tensor) -> Result<Tensor> {
    let values: Vec<f64> = rows.into_iter().map(|i| 1.0 + (i as f64).cos()).collect();
    Tensor::from_vec(values, like.dim(1)?, like.device())?.to_dtype(like.dtype())
}

#[cfg(test)]
mod tests {
    use super::{Curvature, max_eigenvalue, power_start};
    use candle_core::{DType, Device, Result, Tensor};

    #[test]
    fn the_largest_eigenvalue_of_a_diagonal_is_found() -> Result<()> {
        let diagonal = Tensor::new(&[[3.0, 0.0], [0.0, 0.1]], &Device::Cpu)?;
        let start = power_start(0..2, &diagonal)?;
        assert!((max_eigenvalue(&diagonal, &start)? - 3.0).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn a_dead_layer_gets_the_floor() -> Result<()> {
        let zero = Tensor::zeros((3, 3), DType::F64, &Device::Cpu)?;
        let damping = super::Damping::Relative { factor: 0.01, floor: 1e-4 };
        assert_eq!(super::resolve(damping, Curvature::Matrix(&zero), || power_start(0..3, &zero))?, 1e-4);
        Ok(())
    }

    #[test]
    fn float32_estimates_as_float64_does_where_squares_do_not_fit() -> Result<()> {
        for size in [1e-30, 5.8649e10, 1e25, 1e35] {
            let wide = (Tensor::new(&[[3.0, 1.0], [1.0, 2.0]], &Device::Cpu)? * size)?;
            let narrow = wide.to_dtype(DType::F32)?;
            let [ours, theirs] = [&narrow, &wide].map(|matrix| max_eigenvalue(matrix, &power_start(0..2, matrix)?));
            let (ours, theirs) = (ours?, theirs?);
            assert!((ours / theirs - 1.0).abs() < 1e-5, "{ours} for {theirs}");
        }
        // Control: squares in float32 are no longer finite.
        assert!(Tensor::new(5.8649e10f32, &Device::Cpu)?.sqr()?.sqr()?.to_scalar::<f32>()?.is_infinite());
        Ok(())
    }

    #[test]
    fn a_factor_that_is_not_finite_does_not_get_the_floor() -> Result<()> {
        let broken = Tensor::full(f32::INFINITY, (2, 2), &Device::Cpu)?;
        let damping = super::Damping::Relative { factor: 0.01, floor: 1e-4 };
        assert!(super::resolve(damping, Curvature::Matrix(&broken), || power_start(0..2, &broken))?.is_nan());
        Ok(())
    }

    #[test]
    fn rows_have_the_damping_of_their_product() -> Result<()> {
        let rows = Tensor::new(&[[1.0, 0.5, -2.0], [0.3, 1.0, 0.7]], &Device::Cpu)?;
        let product = Curvature::Rows(&rows).dense()?;
        let damping = |factor| {
            let relative = super::Damping::Relative { factor: 1.0, floor: 1e-4 };
            super::resolve(relative, factor, || power_start(0..3, &product))
        };
        assert!((damping(Curvature::Rows(&rows))? - damping(Curvature::Matrix(&product))?).abs() < 1e-12);
        assert!(damping(Curvature::Rows(&rows))? > 5.0);
        Ok(())
    }
}
