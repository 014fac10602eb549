//! No inverse at all: a control that leaves the gradient's direction as it is.

use candle_core::{Result, Tensor};

use super::{Branch, Inverse, Inverter, Problem, Refreshed};

/// I, whatever the factor.
pub struct Identity;

impl Inverter for Identity {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let like = problem.factor.tensor();
        let ones = Tensor::ones(like.dim(1)?, like.dtype(), like.device())?;
        Ok(Some(Refreshed { inverse: Inverse::Diagonal(ones), branch: Branch::Approximate }))
    }
}
