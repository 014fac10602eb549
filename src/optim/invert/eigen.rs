//! The inverse by eigendecomposition, which also lets both factors of a layer be damped jointly.

use candle_core::{Result, Tensor};

use super::{Branch, Inverse, Inverter, Problem, Refreshed};
use crate::linalg;

/// Eigenvalues up to `cutoff` count as zero. Where the damping is so small that rounding decides what the inverse is, it counts as fallen
/// back; so it does not where there is no damping here, for then it is joint.
pub struct Eigen {
    pub cutoff: f64,
}

impl Inverter for Eigen {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let Some((values, vectors)) = linalg::eigen(&problem.factor.dense()?)? else { return Ok(None) };
        let kept: Vec<f64> = values.iter().map(|&value| if value > self.cutoff { value } else { 0.0 }).collect();
        let damping = problem.damping;
        let size =
            |each: &dyn Fn(f64) -> f64| kept.iter().map(|value| each(value + damping).powi(2)).sum::<f64>().sqrt();
        let resolves = linalg::resolves(size(&|value| value), size(&f64::recip), kept.len(), vectors.dtype());
        let branch = if resolves || damping == 0.0 { Branch::Exact } else { Branch::Fallback };
        let values = Tensor::new(kept, vectors.device())?.to_dtype(vectors.dtype())?;
        Ok(Some(Refreshed { inverse: Inverse::Eigen { vectors, values, damping }, branch }))
    }
}
