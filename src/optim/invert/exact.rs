//! Inverses by factorisation.

use candle_core::Result;

use super::{Branch, Inverse, Inverter, Problem, Refreshed};
use crate::linalg;

/// By `LLᵀ`; fails unless the damped factor is positive definite.
pub struct Cholesky;

impl Inverter for Cholesky {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        Ok(linalg::cholesky_inverse(problem.factor, problem.damping)?.map(exact))
    }
}

/// By `LU` with partial pivoting.
pub struct Lu;

impl Inverter for Lu {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        Ok(linalg::lu_inverse(&problem.damped()?)?.map(exact))
    }
}

fn exact(inverse: candle_core::Tensor) -> Refreshed {
    Refreshed { inverse: Inverse::Dense(inverse), branch: Branch::Exact }
}
