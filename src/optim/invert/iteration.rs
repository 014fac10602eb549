//! What the iterations share: where they start, how often they go round, and what is done with a result that is none.

use candle_core::{DType, Result, Tensor};

use super::{Branch, Inverse, Problem, Refreshed, fallback, residual};
use crate::linalg::{self, Products};

/// An inverse whose residual `‖I − ÃB‖_F/√n` reaches this is no better than zero.
const GUARD: f64 = 1.0;

/// The most rounds from a cold start. From `I/λ_max` Newton's iteration takes about `2·log₂ κ` of them.
const COLD_ROUNDS: usize = 60;

/// The factor and its inverse so far, before a round.
pub struct State<'a> {
    /// Ã, damped.
    pub factor: &'a Tensor,
    pub inverse: &'a Tensor,
    /// R = I − ÃB.
    pub residual: &'a Tensor,
}

/// `steps` rounds from last time's inverse, or from `I/λ_max` as many as it takes; then the guard, one product more.
pub fn rounds(
    problem: &Problem<'_>,
    steps: usize,
    precision: Products,
    round: impl Fn(&State<'_>) -> Result<Tensor>,
) -> Result<Option<Refreshed>> {
    let factor = problem.damped()?;
    let identity = identity(&factor)?;
    let root = (factor.dim(0)? as f64).sqrt();
    // A round from here squares the residual, to what rounding leaves.
    let close = match (precision, factor.dtype()) {
        (Products::Bf16, _) => 0.1,
        (Products::Full, DType::F64) => 1e-8,
        (Products::Full, _) => 3e-4,
    };
    let (mut inverse, most, enough) = match problem.previous {
        Some(previous) => (previous.dense()?, steps, 0.0),
        None => (linalg::scale(1.0 / largest_eigenvalue_bound(&factor)?, &identity)?, COLD_ROUNDS, close),
    };
    for _ in 0..most {
        let residual = (&identity - linalg::square_product(precision, &factor, &inverse)?)?;
        let size = linalg::norm(&residual)? / root;
        if !size.is_finite() {
            return fallback(problem);
        }
        inverse = round(&State { factor: &factor, inverse: &inverse, residual: &residual })?;
        if size < enough {
            break;
        }
    }
    guarded(problem, &factor, inverse)
}

/// The inverse, unless its residual says that it is none.
pub fn guarded(problem: &Problem<'_>, factor: &Tensor, inverse: Tensor) -> Result<Option<Refreshed>> {
    if residual(factor, &inverse)? < GUARD {
        return Ok(Some(Refreshed { inverse: Inverse::Dense(inverse), branch: Branch::Newton }));
    }
    fallback(problem)
}

/// A sure upper bound of the largest eigenvalue of a positive definite matrix: the smaller of two norms.
pub fn largest_eigenvalue_bound(matrix: &Tensor) -> Result<f64> {
    let rows: f64 = matrix.to_dtype(DType::F64)?.abs()?.sum(1)?.max(0)?.to_scalar()?;
    Ok(rows.min(linalg::norm(matrix)?))
}

pub fn identity(like: &Tensor) -> Result<Tensor> {
    Tensor::eye(like.dim(0)?, like.dtype(), like.device())
}
