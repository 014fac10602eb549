//! Newton's iteration scaled by bounds on the eigenvalues (Pan & Schreiber 1991): 2 products a round.

use candle_core::Result;

use super::{Inverter, Problem, Refreshed, iteration};
use crate::linalg;

/// The damping δ is a lower bound of the eigenvalues of Ã, a norm of it an upper one: so every refresh can start from `I/λ_max`, and
/// needs no earlier inverse. With `l ≤ λ(ÃB) ≤ u`: `s = 2/(l + u)`, `B ← sB`, a round of Newton, `l ← 1 − (1 − sl)²`, `u ← 1`.
pub struct NewtonScaled {
    /// Rounds a refresh. Each of the first multiplies `l` by four; with a relative damping of 0.01 eight are enough.
    pub steps: usize,
}

impl Inverter for NewtonScaled {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let factor = problem.damped()?;
        let identity = iteration::identity(&factor)?;
        let bound = iteration::largest_eigenvalue_bound(&factor)?;
        let mut inverse = linalg::scale(1.0 / bound, &identity)?;
        let mut low = problem.damping / bound;
        for _ in 0..self.steps {
            let scale = 2.0 / (low + 1.0);
            inverse = (inverse * scale)?;
            let residual = (&identity - linalg::product(&factor, &inverse)?)?;
            inverse = (&inverse + linalg::product(&inverse, &residual)?)?;
            low = 1.0 - (1.0 - scale * low).powi(2);
        }
        iteration::guarded(problem, &factor, inverse)
    }
}
