//! The hyperpower iteration of order p (Altman 1960): `B ← B(I + R + … + R^{p−1})`, `R = I − ÃB`, p products a round.

use candle_core::Result;

use super::{Inverter, Problem, Refreshed, iteration};
use crate::linalg::{self, Products};

/// Order 2 is Newton's iteration.
pub struct Hyperpower {
    /// Rounds a refresh.
    pub steps: usize,
    /// p, at least 2.
    pub order: usize,
}

impl Inverter for Hyperpower {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        iteration::rounds(problem, self.steps, Products::Full, |state| {
            let identity = iteration::identity(state.factor)?;
            let mut sum = (&identity + state.residual)?;
            for _ in 2..self.order {
                sum = (&identity + linalg::product(state.residual, &sum)?)?;
            }
            linalg::product(state.inverse, &sum)
        })
    }
}
