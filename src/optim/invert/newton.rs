//! Newton's iteration for the inverse, from last time's (NKFAC, section 3.2 and the authors' code).
//!
//! With `P = B·A`: while `‖I − P‖_F ≥ 1` the damped `B ← ((1+s)I − sP)B` with `s = 1/‖P‖_F`, else `B ← (2I − P)B`. The first
//! refreshes, and one in every so many, are exact instead. The damped branch is the method's own guard; an iteration that is not
//! finite is replaced by the exact inverse, and counted.

use candle_core::{Result, Tensor};

use super::{Branch, Cholesky, Inverse, Inverter, Problem, Refreshed, fallback};
use crate::linalg::{self, Products};

pub struct Newton {
    /// Rounds a refresh, K.
    pub steps: usize,
    /// Refreshes 0, 1, … up to this one are exact.
    pub exact_until: usize,
    /// So is every refresh that this divides.
    pub exact_every: usize,
    pub precision: Products,
}

impl Inverter for Newton {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let exact = problem.refresh <= self.exact_until || problem.refresh.is_multiple_of(self.exact_every);
        match problem.previous {
            Some(previous) if !exact => {
                match newton_rounds(
                    self.precision,
                    &problem.factor.dense()?,
                    problem.damping,
                    previous.dense()?,
                    self.steps,
                )? {
                    Some((inverse, branch)) => Ok(Some(Refreshed { inverse: Inverse::Dense(inverse), branch })),
                    None => fallback(problem),
                }
            }
            _ => Cholesky.invert(problem),
        }
    }
}

/// `steps` rounds from the symmetric `inverse` towards that of `factor + δI`, and whether any of them was damped; `None` if a number ceases
/// to be finite.
pub fn newton_rounds(
    precision: Products,
    factor: &Tensor,
    damping: f64,
    mut inverse: Tensor,
    steps: usize,
) -> Result<Option<(Tensor, Branch)>> {
    let mut branch = Branch::Newton;
    for _ in 0..steps {
        let Some(round) = linalg::newton_round(precision, factor, damping, &inverse)? else { return Ok(None) };
        if round.damped {
            branch = Branch::NewtonDamped;
        }
        inverse = round.inverse;
    }
    Ok(Some((inverse, branch)))
}
