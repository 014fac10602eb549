//! By `LLᵀ`: n³ operations.

use candle_core::Result;

use super::{Branch, Eigen, Inverse, Inverter, Problem, Refreshed};
use crate::linalg;

/// By `LLᵀ`. A factor that rounding has left indefinite in spite of its damping is inverted by its eigenvalues instead, negative
/// ones as zero, and counts as fallen back.
pub struct Cholesky;

impl Inverter for Cholesky {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        match linalg::cholesky_inverse(&problem.factor.dense()?, problem.damping)? {
            Some(inverse) => Ok(Some(Refreshed { inverse: Inverse::Dense(inverse), branch: Branch::Exact })),
            None => Ok(Eigen { cutoff: 0.0 }.invert(problem)?.map(Refreshed::fallen_back)),
        }
    }
}
