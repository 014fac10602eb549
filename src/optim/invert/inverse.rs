//! An inverse, in the form in which it was found.

use candle_core::{DType, Result, Tensor};

use crate::linalg;
use crate::state::State;

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
    /// `δ⁻¹(I − Rᵀ core R)` with `R` the m×n `rows`, the core in float64.
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
            Self::Dense(inverse) => linalg::product(inverse, matrix),
            Self::Eigen { vectors, values, damping } => {
                let turned = linalg::product(&vectors.t()?, matrix)?;
                linalg::product(vectors, &turned.broadcast_div(&(values + *damping)?.unsqueeze(1)?)?)
            }
            Self::LowRank { rows, core, damping } => {
                let [rows, wide] = [rows, matrix].map(|tensor| tensor.to_dtype(DType::F64));
                let (rows, wide) = (rows?, wide?);
                let part = linalg::product(core, &linalg::product(&rows, &wide)?)?;
                let part = linalg::product(&rows.t()?, &part)?;
                ((wide - part)? / *damping)?.to_dtype(matrix.dtype())
            }
            Self::Diagonal(diagonal) => matrix.broadcast_mul(&diagonal.unsqueeze(1)?),
        }
    }

    /// `matrix` times the inverse, which is symmetric.
    pub fn apply_right(&self, matrix: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(inverse) => linalg::product(matrix, inverse),
            Self::Eigen { vectors, values, damping } => {
                let turned = linalg::product(matrix, vectors)?;
                linalg::product(&turned.broadcast_div(&(values + *damping)?)?, &vectors.t()?)
            }
            // It is symmetric.
            Self::LowRank { .. } => self.apply(&matrix.t()?)?.t(),
            Self::Diagonal(diagonal) => matrix.broadcast_mul(diagonal),
        }
    }

    /// The same in memory in the order of its rows, so that one read from a checkpoint is multiplied by the same path, to the same bits.
    pub(in crate::optim) fn contiguous(&self) -> Result<Self> {
        Ok(match self {
            Self::Dense(inverse) => Self::Dense(inverse.contiguous()?),
            Self::Eigen { vectors, values, damping } => {
                Self::Eigen { vectors: vectors.contiguous()?, values: values.contiguous()?, damping: *damping }
            }
            Self::LowRank { rows, core, damping } => {
                Self::LowRank { rows: rows.contiguous()?, core: core.contiguous()?, damping: *damping }
            }
            Self::Diagonal(diagonal) => Self::Diagonal(diagonal.contiguous()?),
        })
    }

    /// For checkpoints.
    pub(in crate::optim) fn state(&self) -> State {
        let mut state = State::new();
        match self {
            Self::Dense(inverse) => state.put("dense", inverse),
            Self::Eigen { vectors, values, damping } => {
                state.put("vectors", vectors);
                state.put("values", values);
                state.put_number("damping", *damping);
            }
            Self::LowRank { rows, core, damping } => {
                state.put("rows", rows);
                state.put("core", core);
                state.put_number("damping", *damping);
            }
            Self::Diagonal(diagonal) => state.put("diagonal", diagonal),
        }
        state
    }

    /// What [`Inverse::state`] gave away; nothing if there was no inverse.
    pub(in crate::optim) fn load(mut state: State) -> Result<Option<Self>> {
        let pair = |state: &mut State, one, two| state.take(one).zip(state.take(two));
        let inverse = if let Some(inverse) = state.take("dense") {
            Some(Self::Dense(inverse))
        } else if let Some((vectors, values)) = pair(&mut state, "vectors", "values") {
            Some(Self::Eigen { vectors, values, damping: state.take_number("damping")? })
        } else if let Some((rows, core)) = pair(&mut state, "rows", "core") {
            Some(Self::LowRank { rows, core, damping: state.take_number("damping")? })
        } else {
            state.take("diagonal").map(Self::Diagonal)
        };
        state.finish()?;
        Ok(inverse)
    }

    /// `‖B‖_F/√n`: how much longer it makes a vector without a direction.
    pub(in crate::optim) fn stretch(&self) -> Result<f64> {
        let mean = |values: &Tensor| Ok(linalg::norm(values)? / (values.dim(0)? as f64).sqrt());
        match self {
            Self::Dense(inverse) => mean(inverse),
            Self::Eigen { values, damping, .. } => mean(&(values.to_dtype(DType::F64)? + *damping)?.recip()?),
            // That of what is not in the few rows.
            Self::LowRank { damping, .. } => Ok(damping.recip()),
            Self::Diagonal(diagonal) => mean(diagonal),
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
