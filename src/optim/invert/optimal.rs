//! Newton's iteration with the best step (supplement of the NKFAC paper, section 6): 3 products a round.

use candle_core::{DType, Result};

use super::{Inverter, Problem, Refreshed, iteration};
use crate::linalg;

/// `B ← B + α*·BR` with `R = I − ÃB` and `α* = ⟨R, ÃBR⟩/‖ÃBR‖²`, which makes the next residual's norm the least along `BR`.
pub struct NewtonOptimal {
    /// Rounds a refresh.
    pub steps: usize,
}

impl Inverter for NewtonOptimal {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        iteration::rounds(problem, self.steps, |state| {
            // ÃBR = (I − R)R.
            let change = (state.residual - linalg::product(state.residual, state.residual)?)?;
            let inner: f64 = (state.residual * &change)?.sum_all()?.to_dtype(DType::F64)?.to_scalar()?;
            let square: f64 = change.sqr()?.sum_all()?.to_dtype(DType::F64)?.to_scalar()?;
            // A residual of zero needs no step.
            let step = if square > 0.0 { inner / square } else { 0.0 };
            linalg::combine(1.0, state.inverse, step, &linalg::product(state.inverse, state.residual)?)
        })
    }
}
