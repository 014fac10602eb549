//! Inverse p-th roots by the coupled Newton iteration (Iannazzo 2006, as used by Anil et al. 2020).

use candle_core::{DType, Result, Tensor};

use super::invert::{Branch, Inverse, Refreshed};
use crate::linalg;

/// The most rounds. Each of the first multiplies the smallest eigenvalue by `((p+1)/p)^p`.
const ROUNDS: usize = 100;

/// An iteration that ends further than this from the identity has not found the root.
const GUARD: f64 = 0.1;

/// `A^{-1/p}` of a symmetric positive definite matrix, and how it was found; `None` if these numbers have none (NaN).
pub fn inverse_root(matrix: &Tensor, p: usize) -> Result<Option<Refreshed>> {
    let (root, error) = iterate(matrix, p)?;
    let order = matrix.dim(0)?;
    // About the norm of the inverse.
    let inverse = (linalg::norm(&root)? / (order as f64).sqrt()).powi(p as i32) * (order as f64).sqrt();
    let resolves = linalg::resolves(linalg::norm(matrix)?, inverse, order, matrix.dtype());
    if error < GUARD && resolves {
        return Ok(Some(Refreshed { inverse: Inverse::Dense(root), branch: Branch::Newton }));
    }
    let fallen_back = |root| Refreshed { inverse: Inverse::Dense(root), branch: Branch::Fallback };
    Ok(by_eigenvalues(matrix, p)?.map(fallen_back))
}

/// With `z = (p+1)/(2‖A‖_F)`: `M = zA`, `H = z^{1/p}I`, then `T = ((p+1)I − M)/p`, `M ← TᵖM`, `H ← HT`, as long as M comes nearer to the
/// identity.
/// Returns H with the largest entry of `|M − I|`.
fn iterate(matrix: &Tensor, p: usize) -> Result<(Tensor, f64)> {
    let identity = Tensor::eye(matrix.dim(0)?, matrix.dtype(), matrix.device())?;
    let far = |m: &Tensor| (m - &identity)?.abs()?.flatten_all()?.max(0)?.to_dtype(DType::F64)?.to_scalar::<f64>();
    let close = if matrix.dtype() == DType::F64 { 1e-12 } else { 1e-6 };
    let share = 1.0 / p as f64;
    let start = (p as f64 + 1.0) / 2.0 / linalg::norm(matrix)?;
    let (mut m, mut root) = (linalg::scale(start, matrix)?, linalg::scale(start.powf(share), &identity)?);
    let mut error = far(&m)?;
    for _ in 0..ROUNDS {
        let step = linalg::combine(1.0 + share, &identity, -share, &m)?;
        let square = linalg::product(&step, &step)?;
        // p is 2 or 4.
        let power = if p == 2 { square } else { linalg::product(&square, &square)? };
        let next = linalg::product(&power, &m)?;
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

/// `Q diag(λ^{-1/p}) Qᵀ`; of eigenvalues that rounding has made negative or nothing, with the largest times the precision in their place.
fn by_eigenvalues(matrix: &Tensor, p: usize) -> Result<Option<Tensor>> {
    let Some((values, vectors)) = linalg::eigen(matrix)? else { return Ok(None) };
    let largest = values.last().copied().unwrap_or_default();
    let least = largest * linalg::precision(matrix.dtype());
    if least <= 0.0 {
        return Ok(None);
    }
    let roots: Vec<f64> = values.iter().map(|value| value.max(least).powf(-1.0 / p as f64)).collect();
    let roots = Tensor::new(roots, matrix.device())?.to_dtype(matrix.dtype())?;
    Ok(Some(vectors.broadcast_mul(&roots.unsqueeze(0)?)?.matmul(&vectors.t()?)?))
}

#[cfg(test)]
mod tests {
    use super::{by_eigenvalues, inverse_root, iterate};
    use crate::optim::invert::{Branch, Inverse, Refreshed};
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
    fn the_power_of_the_root_is_the_inverse() -> Result<()> {
        let a = matrix()?;
        let identity = Tensor::eye(3, DType::F64, &Device::Cpu)?;
        for p in [2, 4] {
            let Some(Refreshed { inverse: Inverse::Dense(root), branch: Branch::Newton }) = inverse_root(&a, p)? else {
                panic!("the iteration found no root")
            };
            let power = (0..p).try_fold(a.clone(), |power, _| power.matmul(&root))?;
            assert!(distance(&power, &identity) < 1e-9);
            // Control: the root itself is not the inverse.
            assert!(distance(&root.matmul(&a)?, &identity) > 0.1);
            assert!(by_eigenvalues(&a, p)?.is_some_and(|theirs| distance(&theirs, &root) < 1e-9));
        }
        Ok(())
    }

    #[test]
    fn what_the_iteration_cannot_do_falls_back_and_nan_has_no_root() -> Result<()> {
        let indefinite = (matrix()? - Tensor::eye(3, DType::F64, &Device::Cpu)?)?;
        assert!(iterate(&indefinite, 4)?.1.is_nan() || iterate(&indefinite, 4)?.1 > 0.1);
        assert!(inverse_root(&indefinite, 4)?.is_some_and(|refreshed| refreshed.branch == Branch::Fallback));
        assert!(inverse_root(&Tensor::full(f64::NAN, (2, 2), &Device::Cpu)?, 4)?.is_none());
        Ok(())
    }
}
