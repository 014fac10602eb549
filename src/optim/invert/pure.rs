//! Newton's iteration without damping (Schulz 1933): `B ← B(2I − ÃB)`, 2 products a round.

use candle_core::Result;

use super::{Inverter, Problem, Refreshed, iteration};
use crate::linalg::{self, Products};

/// Converges where the spectral radius of `I − ÃB` is below 1, which a cold start from `I/λ_max` sees to.
pub struct NewtonPure {
    /// Rounds a refresh.
    pub steps: usize,
    pub precision: Products,
}

impl Inverter for NewtonPure {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        iteration::rounds(problem, self.steps, self.precision, |state| {
            state.inverse + linalg::square_product(self.precision, state.inverse, state.residual)?
        })
    }
}
