//! Through the smaller Gram matrix of the rows (SKFAC, Tang et al. 2021): `n·m² + m³` operations.

use candle_core::Result;

use super::{Branch, Cholesky, Curvature, Inverse, Inverter, Problem, Refreshed, fallback};

/// `(δI + RᵀR)⁻¹ = δ⁻¹[I − Rᵀ(δI + RRᵀ)⁻¹R]` for `m < n` rows; of more rows, and of a factor that is no product of few rows, the
/// matrix itself is inverted, which for the latter counts as fallen back.
pub struct Woodbury;

impl Inverter for Woodbury {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let rows = match problem.factor {
            Curvature::Rows(rows) if rows.dim(0)? < rows.dim(1)? => rows,
            Curvature::Rows(_) => return Cholesky.invert(problem),
            Curvature::Matrix(_) => return fallback(problem),
        };
        let small = rows.matmul(&rows.t()?)?;
        let Some(core) = Cholesky.invert(&Problem { factor: Curvature::Matrix(&small), ..*problem })? else {
            return Ok(None);
        };
        let fell_back = core.branch == Branch::Fallback;
        let inverse = Inverse::LowRank { rows: rows.clone(), core: core.inverse.dense()?, damping: problem.damping };
        let branch = if fell_back { Branch::Fallback } else { Branch::Exact };
        Ok(Some(Refreshed { inverse, branch }))
    }
}
