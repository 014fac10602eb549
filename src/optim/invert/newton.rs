//! Newton's iteration for the inverse, from last time's (NKFAC, section 3.2 and the authors' code).
//!
//! With `P = B·A`: while `‖I − P‖_F ≥ 1` the damped `B ← ((1+s)I − sP)B` with `s = 1/‖P‖_F`, else `B ← (2I − P)B`. The first
//! refreshes, and one in every so many, are exact instead.

use candle_core::{Result, Tensor};

use super::{Branch, Inverse, Inverter, Problem, Refreshed};
use crate::linalg;

pub struct Newton {
    /// Rounds a refresh, K.
    pub steps: usize,
    /// Refreshes 0, 1, … up to this one are exact.
    pub exact_until: usize,
    /// So is every refresh that this divides.
    pub exact_every: usize,
}

impl Inverter for Newton {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let exact = problem.refresh <= self.exact_until || problem.refresh.is_multiple_of(self.exact_every);
        match problem.previous {
            Some(previous) if !exact => {
                let iterated = iterate(problem.factor, problem.damping, previous.dense()?, self.steps)?;
                Ok(iterated.map(|(inverse, branch)| Refreshed { inverse: Inverse::Dense(inverse), branch }))
            }
            _ => Ok(linalg::cholesky_inverse(problem.factor, problem.damping)?
                .map(|inverse| Refreshed { inverse: Inverse::Dense(inverse), branch: Branch::Exact })),
        }
    }
}

/// `steps` rounds from the symmetric `inverse` towards that of `factor + δI`, and whether any of them was damped; `None` if a number
/// ceases to be finite.
pub fn iterate(factor: &Tensor, damping: f64, mut inverse: Tensor, steps: usize) -> Result<Option<(Tensor, Branch)>> {
    let mut branch = Branch::Newton;
    for _ in 0..steps {
        let Some(round) = linalg::newton_round(factor, damping, &inverse)? else { return Ok(None) };
        if round.damped {
            branch = Branch::NewtonDamped;
        }
        inverse = round.inverse;
    }
    Ok(Some((inverse, branch)))
}
