//! By `LU` with partial pivoting: 2n³ operations.

use candle_core::Result;

use super::{Branch, Eigen, Inverse, Inverter, Problem, Refreshed};
use crate::linalg;

/// By `LU`. A singular factor is inverted by its eigenvalues instead, and counts as fallen back.
pub struct Lu;

impl Inverter for Lu {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        match linalg::lu_inverse(&problem.damped()?)? {
            Some(inverse) => Ok(Some(Refreshed { inverse: Inverse::Dense(inverse), branch: Branch::Exact })),
            None => Ok(Eigen { cutoff: 0.0 }.invert(problem)?.map(Refreshed::fallen_back)),
        }
    }
}
