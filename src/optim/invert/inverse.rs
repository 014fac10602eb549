//! An inverse, in the form in which it was found.

use candle_core::{Result, Tensor};

/// The inverse of a damped factor, in the form that the inverter found it.
#[derive(Debug, Clone)]
pub enum Inverse {
    Dense(Tensor),
    /// `Q diag(1/(values + δ)) Qᵀ`; eigenvectors in the columns of `vectors`.
    Eigen {
        vectors: Tensor,
        values: Tensor,
        damping: f64,
    },
    /// `δ⁻¹(I − Rᵀ core R)` with `R` the m×n `rows`.
    LowRank {
        rows: Tensor,
        core: Tensor,
        damping: f64,
    },
    /// The diagonal, n.
    Diagonal(Tensor),
}

impl Inverse {
    /// The inverse times `matrix`.
    pub fn apply(&self, matrix: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(inverse) => inverse.matmul(matrix),
            Self::Eigen { vectors, values, damping } => {
                let turned = vectors.t()?.matmul(matrix)?;
                vectors.matmul(&turned.broadcast_div(&(values + *damping)?.unsqueeze(1)?)?)
            }
            Self::LowRank { rows, core, damping } => {
                let part = rows.t()?.matmul(&core.matmul(&rows.matmul(matrix)?)?)?;
                (matrix - part)? / *damping
            }
            Self::Diagonal(diagonal) => matrix.broadcast_mul(&diagonal.unsqueeze(1)?),
        }
    }

    /// The inverse as a matrix.
    pub fn dense(&self) -> Result<Tensor> {
        let identity = |order: usize, like: &Tensor| Tensor::eye(order, like.dtype(), like.device());
        match self {
            Self::Dense(inverse) => Ok(inverse.clone()),
            Self::Eigen { vectors, .. } => self.apply(&identity(vectors.dim(0)?, vectors)?),
            Self::LowRank { rows, .. } => self.apply(&identity(rows.dim(1)?, rows)?),
            Self::Diagonal(diagonal) => self.apply(&identity(diagonal.dim(0)?, diagonal)?),
        }
    }
}
