//! Through the smaller Gram matrix of the rows (SKFAC, Tang et al. 2021): `n·m² + m³` operations.

use candle_core::{DType, Result};

use super::{Branch, Cholesky, Curvature, Inverse, Inverter, Problem, Refreshed, fallback};
use crate::linalg;

/// `(δI + RᵀR)⁻¹ = δ⁻¹[I − Rᵀ(δI + RRᵀ)⁻¹R]` for `m < n` rows; of more rows, and of a factor that is no product of few rows, the
/// matrix itself is inverted, which for the latter counts as fallen back. So it does where δ is so far below `RRᵀ`
/// that the difference would be of equal numbers.
///
/// Of a gradient in the span of the rows the difference leaves a part of `δ/λ`, and of the core's rounding errors `λ/δ` times as much: in
/// float32 a condition of a thousand would cost two digits of three. So the core is kept, and multiplied by, in float64; it is small.
pub struct Woodbury;

impl Inverter for Woodbury {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let rows = match problem.factor {
            Curvature::Rows(rows) if rows.dim(0)? < rows.dim(1)? => rows,
            Curvature::Rows(_) => return Cholesky.invert(problem),
            Curvature::Matrix(_) => return fallback(problem),
        };
        let wide = rows.to_dtype(DType::F64)?;
        let small = linalg::product(&wide, &wide.t()?)?;
        let root = (small.dim(0)? as f64).sqrt();
        if !linalg::resolves(linalg::norm(&small)?, root / problem.damping, small.dim(0)?, rows.dtype()) {
            return fallback(problem);
        }
        let Some(core) = Cholesky.invert(&Problem { factor: Curvature::Matrix(&small), ..*problem })? else {
            return Ok(None);
        };
        let fell_back = core.branch == Branch::Fallback;
        let inverse = Inverse::LowRank { rows: rows.clone(), core: core.inverse.dense()?, damping: problem.damping };
        let branch = if fell_back { Branch::Fallback } else { Branch::Exact };
        Ok(Some(Refreshed { inverse, branch }))
    }
}
