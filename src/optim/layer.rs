//! A layer between its two factors: what KFAC makes of its gradient, and whether that is more than rounding errors.

use candle_core::{DType, Tensor};

use super::factor::{Factor, Refresh};
use super::invert::{Branch, Inverse};
use super::{Damping, Eigenvalues, KfacConfig, Result, Sides, basis};
use crate::linalg;
use crate::param::Block;

/// A block with its factors.
pub struct Layer {
    pub block: Block,
    /// The input factor A and the output factor G, which stays empty where the inputs' is wanted alone.
    pub factors: [Factor; 2],
    /// The corrected eigenvalues, `d_in × d_out` in float64; absent before the first step after a refresh.
    pub corrected: Option<Tensor>,
}

impl Layer {
    pub fn new(block: &Block) -> Self {
        Self { block: block.clone(), factors: Factor::of(block), corrected: None }
    }

    /// Counts fresh inverses as fallen back if they make hardly more of the gradient than of rounding errors, as those under a damping far
    /// below what the numbers resolve do. The errors are `ε·‖∇‖` in size and, where eigenvalues are damped jointly, `ε·‖A‖‖G‖‖V‖` too;
    /// having no direction they are stretched as the mean over all.
    pub fn doubt(
        &mut self,
        (gradient, direction): &(Tensor, Tensor),
        config: &KfacConfig,
        refreshed: &mut [Option<Refresh>; 2],
    ) -> Result {
        let [Some(a), g] = self.factors.each_ref().map(|factor| factor.inverse.as_ref()) else { return Ok(()) };
        let (given, made) = (linalg::norm(gradient)?, linalg::norm(direction)?);
        let noise = match (a, g, config.damping) {
            (Inverse::Eigen { values: a, .. }, Some(Inverse::Eigen { values: g, .. }), Damping::Joint { value }) => {
                let products = products(a, g)?;
                let largest: f64 = products.flatten_all()?.max(0)?.to_scalar()?;
                let inverse = linalg::norm(&(&products + value)?.recip()?)?;
                inverse / (products.elem_count() as f64).sqrt() * (given + largest * made)
            }
            _ => a.stretch()? * g.map_or(Ok(1.0), Inverse::stretch)? * given,
        };
        let noise = noise + self.noise_of_iterations(gradient, config.moments.keeps_rows(), refreshed)?;
        if linalg::precision(gradient.dtype()) * noise > linalg::UNSURE * made {
            for (factor, refresh) in self.factors.iter_mut().zip(refreshed) {
                refresh.iter_mut().for_each(|refresh| factor.fall_back(refresh));
            }
        }
        Ok(())
    }

    /// What rounding in an iteration leaves in the direction, in units of ε. The last round adds `B(I − ÃB)`, and the errors of `ÃB` are
    /// `ε‖A‖‖B‖`: so a gradient from the batch that A is made of, which `A⁻¹` makes small, gets a part of `ε‖A‖‖B‖²` in directions in which B
    /// is large. The errors of an exact inverse have the form `BEB`, and the gradient meets the small side of it.
    fn noise_of_iterations(
        &self,
        gradient: &Tensor,
        keeps_rows: bool,
        refreshed: &[Option<Refresh>; 2],
    ) -> candle_core::Result<f64> {
        let [a, g] = self.factors.each_ref().map(|factor| factor.inverse.as_ref());
        let mut noise = 0.0;
        for (refresh, inverse, is_inputs) in [(&refreshed[0], a, true), (&refreshed[1], g, false)] {
            let (Some(Refresh { average, branch: Branch::Newton | Branch::NewtonDamped, .. }), Some(inverse)) =
                (refresh, inverse)
            else {
                continue;
            };
            let other_side = match (is_inputs, a, g) {
                (true, _, Some(g)) => &g.apply_right(gradient)?,
                (false, Some(a), _) => &a.apply(gradient)?,
                _ => gradient,
            };
            let size = linalg::norm(average)?;
            let size = if keeps_rows { size * size } else { size };
            noise += size * inverse.stretch()?.powi(2) * linalg::norm(other_side)?;
        }
        Ok(noise)
    }

    /// `A⁻¹ ∇ G⁻¹`, or `A⁻¹ ∇` of inputs alone; the gradient itself as long as there are no inverses.
    pub fn precondition(&mut self, gradient: &Tensor, config: &KfacConfig, samples: usize) -> Result<Tensor> {
        let (a, g) = match self.factors.each_ref().map(|factor| factor.inverse.as_ref()) {
            [Some(a), Some(g)] => (a, g),
            [Some(a), None] if config.sides == Sides::Inputs => return Ok(a.apply(gradient)?),
            _ => return Ok(gradient.clone()),
        };
        match (a, g, config.damping) {
            (
                Inverse::Eigen { vectors: a, values: a_values, .. },
                Inverse::Eigen { vectors: g, values: g_values, .. },
                Damping::Joint { value },
            ) => {
                // In float64, where squares and products have room.
                let basis = [Some(a), Some(g)];
                let turned = basis::turn(gradient, &basis)?.to_dtype(DType::F64)?;
                let mut eigenvalues = products(a_values, g_values)?;
                if let Eigenvalues::Corrected { decay } = config.eigenvalues {
                    let last = self.corrected.as_ref().unwrap_or(&eigenvalues);
                    let fresh = samples as f64 * (1.0 - decay);
                    eigenvalues = linalg::combine(decay, last, fresh, &turned.sqr()?)?;
                    self.corrected = Some(eigenvalues.clone());
                }
                let divided = (turned / (eigenvalues + value)?)?.to_dtype(gradient.dtype())?;
                Ok(basis::back(&divided, &basis)?)
            }
            _ => Ok(g.apply_right(&a.apply(gradient)?)?),
        }
    }
}

/// All products of two factors' eigenvalues, `d_in × d_out` in float64.
fn products(a: &Tensor, g: &Tensor) -> candle_core::Result<Tensor> {
    let wide = |values: &Tensor| values.to_dtype(DType::F64);
    wide(a)?.unsqueeze(1)?.matmul(&wide(g)?.unsqueeze(0)?)
}
