//! The inverse by eigendecomposition, which also lets both factors of a layer be damped jointly.

use candle_core::{Result, Tensor};

use super::{Branch, Inverse, Inverter, Problem, Refreshed};
use crate::linalg;

/// Eigenvalues up to `cutoff` count as zero.
pub struct Eigen {
    pub cutoff: f64,
}

impl Inverter for Eigen {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let Some((values, vectors)) = linalg::eigen(&problem.factor.dense()?)? else { return Ok(None) };
        let kept: Vec<f64> = values.iter().map(|&value| if value > self.cutoff { value } else { 0.0 }).collect();
        let values = Tensor::new(kept, vectors.device())?.to_dtype(vectors.dtype())?;
        let inverse = Inverse::Eigen { vectors, values, damping: problem.damping };
        Ok(Some(Refreshed { inverse, branch: Branch::Exact }))
    }
}
