//! Damping: what is added to a factor's diagonal before it is inverted.

use candle_core::{Result, Tensor};

use super::Damping;
use crate::linalg;

/// Rounds of the power iteration, two products each.
const ROUNDS: usize = 10;

/// `δ` for a factor; 0 where the damping acts on pairs of eigenvalues instead.
///
/// `start` makes the power iteration's first vector.
pub fn resolve(damping: Damping, factor: &Tensor, start: impl FnOnce() -> Result<Tensor>) -> Result<f64> {
    match damping {
        // A dead layer's zero factor makes the estimate NaN, and `max` then gives the floor, as in the authors' code.
        Damping::Relative { factor: share, floor } => Ok(floor.max(share * max_eigenvalue(factor, &start()?)?)),
        Damping::Absolute { value } => Ok(value),
        Damping::Joint { .. } => Ok(0.0),
    }
}

/// An estimate of the largest eigenvalue of a symmetric positive `factor` by ten rounds of
/// `u ← Aᵀv/‖Aᵀv‖, v ← A u, λ̂ = ‖v‖`.
pub fn max_eigenvalue(factor: &Tensor, start: &Tensor) -> Result<f64> {
    let mut v = start.clone();
    for _ in 0..ROUNDS {
        let u = linalg::times_vector(factor, &v)?;
        v = linalg::times_vector(factor, &(&u / linalg::norm(&u)?)?)?;
    }
    linalg::norm(&v)
}

/// `v_i = 1 + cos(i)`, with i counted in PyTorch's order of the factor's rows.
///
/// Deviation: the authors start from ones, which under softmax lie in the null space of the last layer's output factor, so that
/// their estimate there grows out of rounding noise.
pub fn power_start(rows: impl IntoIterator<Item = usize>, like: &Tensor) -> Result<Tensor> {
    let values: Vec<f64> = rows.into_iter().map(|i| 1.0 + (i as f64).cos()).collect();
    Tensor::from_vec(values, like.dim(0)?, like.device())?.to_dtype(like.dtype())
}

#[cfg(test)]
mod tests {
    use super::{max_eigenvalue, power_start};
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
        assert_eq!(super::resolve(damping, &zero, || power_start(0..3, &zero))?, 1e-4);
        Ok(())
    }
}
