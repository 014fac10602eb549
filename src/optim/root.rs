//! Inverse fourth roots by the coupled Newton iteration (Iannazzo 2006, as used by Anil et al. 2020).

use candle_core::{DType, Result, Tensor};

use super::invert::Branch;
use crate::linalg;

/// The most rounds. Each of the first multiplies the smallest eigenvalue by (5/4)⁴.
const ROUNDS: usize = 100;

/// An iteration that ends further than this from the identity has not found the root.
const GUARD: f64 = 0.1;

/// `A^{-1/4}` of a symmetric positive definite matrix, and how it was found; `None` if these numbers have none (NaN).
pub fn inverse_fourth_root(matrix: &Tensor) -> Result<Option<(Tensor, Branch)>> {
    let (root, error) = iterate(matrix)?;
    if error < GUARD {
        return Ok(Some((root, Branch::Newton)));
    }
    Ok(by_eigenvalues(matrix)?.map(|root| (root, Branch::Fallback)))
}

/// With `z = 5/(2‖A‖_F)`: `M = zA`, `H = z^{1/4}I`, then `T = (5I − M)/4`, `M ← T⁴M`, `H ← HT`, as long as M comes nearer to the identity.
/// Returns H with the largest entry of `|M − I|`.
fn iterate(matrix: &Tensor) -> Result<(Tensor, f64)> {
    let identity = Tensor::eye(matrix.dim(0)?, matrix.dtype(), matrix.device())?;
    let far = |m: &Tensor| (m - &identity)?.abs()?.flatten_all()?.max(0)?.to_dtype(DType::F64)?.to_scalar::<f64>();
    let close = if matrix.dtype() == DType::F64 { 1e-12 } else { 1e-6 };
    let start = 2.5 / linalg::norm(matrix)?;
    let (mut m, mut root) = ((matrix * start)?, (&identity * start.powf(0.25))?);
    let mut error = far(&m)?;
    for _ in 0..ROUNDS {
        let step = linalg::combine(1.25, &identity, -0.25, &m)?;
        let square = linalg::product(&step, &step)?;
        let next = linalg::product(&linalg::product(&square, &square)?, &m)?;
        let next_error = far(&next)?;
        // Far from the end the error may stand still; near it, rounding makes it grow.
        if !next_error.is_finite() || (error < GUARD && next_error >= error) {
            break;
        }
        (m, root, error) = (next, linalg::product(&root, &step)?, next_error);
        if error < close {
            break;
        }
    }
    Ok((root, error))
}

/// `Q diag(λ^{-1/4}) Qᵀ`; of eigenvalues that rounding has made negative or nothing, with the largest times the precision in their place.
fn by_eigenvalues(matrix: &Tensor) -> Result<Option<Tensor>> {
    let Some((values, vectors)) = linalg::eigen(matrix)? else { return Ok(None) };
    let largest = values.last().copied().unwrap_or_default();
    let least = largest * if matrix.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
    if least <= 0.0 {
        return Ok(None);
    }
    let roots: Vec<f64> = values.iter().map(|value| value.max(least).powf(-0.25)).collect();
    let roots = Tensor::new(roots, matrix.device())?.to_dtype(matrix.dtype())?;
    Ok(Some(vectors.broadcast_mul(&roots.unsqueeze(0)?)?.matmul(&vectors.t()?)?))
}

#[cfg(test)]
mod tests {
    use super::{by_eigenvalues, inverse_fourth_root, iterate};
    use crate::optim::invert::Branch;
    use candle_core::{DType, Device, Result, Tensor};

    fn distance(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).and_then(|rest| rest.sqr()?.sum_all()?.to_scalar::<f64>()).map_or(f64::NAN, f64::sqrt)
    }

    /// With eigenvalues of 0.67, 1.2 and 5.2.
    fn matrix() -> Result<Tensor> {
        let rows = Tensor::new(&[[2.0, 1.0, 0.3], [0.1, -1.0, 0.4], [0.0, 0.2, 0.9]], &Device::Cpu)?;
        rows.t()?.matmul(&rows)
    }

    #[test]
    fn the_fourth_power_of_the_root_is_the_inverse() -> Result<()> {
        let a = matrix()?;
        let Some((root, Branch::Newton)) = inverse_fourth_root(&a)? else { panic!("the iteration found no root") };
        let square = root.matmul(&root)?;
        let identity = Tensor::eye(3, DType::F64, &Device::Cpu)?;
        assert!(distance(&square.matmul(&square)?.matmul(&a)?, &identity) < 1e-9);
        // Control: the root itself is not the inverse.
        assert!(distance(&root.matmul(&a)?, &identity) > 0.1);
        assert!(by_eigenvalues(&a)?.is_some_and(|theirs| distance(&theirs, &root) < 1e-9));
        Ok(())
    }

    #[test]
    fn what_the_iteration_cannot_do_falls_back_and_nan_has_no_root() -> Result<()> {
        let indefinite = (matrix()? - Tensor::eye(3, DType::F64, &Device::Cpu)?)?;
        assert!(iterate(&indefinite)?.1.is_nan() || iterate(&indefinite)?.1 > 0.1);
        assert!(matches!(inverse_fourth_root(&indefinite)?, Some((_, Branch::Fallback))));
        assert!(inverse_fourth_root(&Tensor::full(f64::NAN, (2, 2), &Device::Cpu)?)?.is_none());
        Ok(())
    }
}
