//! What an inverter is given: a factor, its damping, last time's inverse.

use candle_core::{DType, Result, Tensor};

use super::Inverse;
use crate::linalg;

/// A factor to be inverted.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// Not damped yet.
    pub factor: Curvature<'a>,
    /// δ, to be added to the diagonal.
    pub damping: f64,
    /// The inverse of the last refresh.
    pub previous: Option<&'a Inverse>,
    /// This refresh's number, from 0.
    pub refresh: usize,
}

impl Problem<'_> {
    /// `A + δI`.
    pub fn damped(&self) -> Result<Tensor> {
        let factor = self.factor.dense()?;
        let identity = Tensor::eye(factor.dim(0)?, factor.dtype(), factor.device())?;
        factor + (identity * self.damping)?
    }
}

/// A symmetric positive semidefinite matrix.
#[derive(Debug, Clone, Copy)]
pub enum Curvature<'a> {
    /// The matrix itself, n×n.
    Matrix(&'a Tensor),
    /// `R`, m×n, of the matrix `RᵀR`.
    Rows(&'a Tensor),
}

impl Curvature<'_> {
    /// The matrix, n×n.
    pub fn dense(&self) -> Result<Tensor> {
        match self {
            Self::Matrix(matrix) => Ok((*matrix).clone()),
            Self::Rows(rows) => linalg::product(&rows.t()?, rows),
        }
    }

    /// Its diagonal, n, in float64.
    pub(super) fn diagonal(&self) -> Result<Tensor> {
        match self {
            Self::Matrix(matrix) => {
                let order = matrix.dim(0)?;
                // Every n + 1 numbers there is one of the diagonal.
                let padded = matrix.flatten_all()?.pad_with_zeros(0, 0, order)?;
                padded.reshape((order, order + 1))?.narrow(1, 0, 1)?.squeeze(1)?.to_dtype(DType::F64)
            }
            Self::Rows(rows) => rows.to_dtype(DType::F64)?.sqr()?.sum(0),
        }
    }

    /// What there is of it.
    pub(super) const fn tensor(&self) -> &Tensor {
        match self {
            Self::Matrix(tensor) | Self::Rows(tensor) => tensor,
        }
    }
}
