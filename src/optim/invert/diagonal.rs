//! The inverse of the damped factor's diagonal: a control that keeps each coordinate's scale and no more.

use candle_core::Result;

use super::{Branch, Inverse, Inverter, Problem, Refreshed};

/// `1/(A_ii + δ)`.
pub struct Diagonal;

impl Inverter for Diagonal {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let damped = (problem.factor.diagonal()? + problem.damping)?;
        let smallest: f64 = damped.min(0)?.to_dtype(candle_core::DType::F64)?.to_scalar()?;
        let inverse = Inverse::Diagonal(damped.recip()?);
        Ok((smallest > 0.0).then_some(Refreshed { inverse, branch: Branch::Approximate }))
    }
}
