//! Newton's iteration with the best step (supplement of the NKFAC paper, section 6): 3 products a round.

use candle_core::{Result, Tensor};

use super::{Inverter, Problem, Refreshed, iteration};
use crate::linalg::{self, Products};

/// `B ← B + α*·BR` with `R = I − ÃB` and `α* = ⟨R, ÃBR⟩/‖ÃBR‖²`, which makes the next residual's norm the least along `BR`.
pub struct NewtonOptimal {
    /// Rounds a refresh.
    pub steps: usize,
    pub precision: Products,
}

impl Inverter for NewtonOptimal {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let product = |a: &Tensor, b: &Tensor| linalg::square_product(self.precision, a, b);
        iteration::rounds(problem, self.steps, self.precision, |state| {
            // ÃBR = (I − R)R.
            let change = (state.residual - product(state.residual, state.residual)?)?;
            let inner = linalg::inner(state.residual, &change)?;
            let square = linalg::inner(&change, &change)?;
            // A residual of zero needs no step.
            let step = if square > 0.0 { inner / square } else { 0.0 };
            linalg::combine(1.0, state.inverse, step, &product(state.inverse, state.residual)?)
        })
    }
}
