//! Factorisations that candle lacks, by faer: inverses, and the symmetric eigendecomposition.
//!
//! Matrices are square tensors on any device; the work is done on the CPU. `None` means that these numbers have no such
//! factorisation, NaN among them.

use candle_core::{DType, Device, Result, Tensor};
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, MatRef, Side};

use super::slices::{Real, read};
use crate::kernel::matrix;

/// The inverse of the symmetric positive definite `factor + δI`, by `LLᵀ`: n³ operations.
pub fn cholesky_inverse(factor: &Tensor, damping: f64) -> Result<Option<Tensor>> {
    fn by<T: Real>(factor: &Tensor, damping: f64) -> Result<Option<Tensor>> {
        let order = factor.dim(0)?;
        let host = factor.to_device(&Device::Cpu)?;
        let inverse = read(&[&host], |slices| matrix::cholesky_inverse::<T>(slices[0], damping, order))?;
        inverse.map(|inverse| Tensor::from_vec(inverse, (order, order), factor.device())).transpose()
    }
    if is_double(factor)? { by::<f64>(factor, damping) } else { by::<f32>(factor, damping) }
}

/// The inverse of a regular matrix, by `LU` with partial pivoting: 2n³ operations.
pub fn lu_inverse(matrix: &Tensor) -> Result<Option<Tensor>> {
    fn by<T: Real>(matrix: &Tensor) -> Result<Option<Tensor>> {
        inverse_by::<T>(matrix, |matrix| Some(matrix.partial_piv_lu().inverse()))
    }
    if is_double(matrix)? { by::<f64>(matrix) } else { by::<f32>(matrix) }
}

/// Eigenvalues in ascending order, and eigenvectors in the columns of a matrix like the given symmetric one.
pub fn eigen(matrix: &Tensor) -> Result<Option<(Vec<f64>, Tensor)>> {
    fn by<T: Real>(matrix: &Tensor) -> Result<Option<(Vec<f64>, Tensor)>> {
        let order = matrix.dim(0)?;
        let Some(values) = finite::<T>(matrix)? else { return Ok(None) };
        let Ok(eigen) = MatRef::from_row_major_slice(&values, order, order).self_adjoint_eigen(Side::Lower) else {
            return Ok(None);
        };
        let eigenvalues = eigen.S().column_vector().iter().map(|value| value.to_f64()).collect();
        Ok(Some((eigenvalues, tensor(eigen.U(), matrix)?)))
    }
    if is_double(matrix)? { by::<f64>(matrix) } else { by::<f32>(matrix) }
}

fn is_double(matrix: &Tensor) -> Result<bool> {
    match matrix.dtype() {
        DType::F32 => Ok(false),
        DType::F64 => Ok(true),
        other => candle_core::bail!("linear algebra in {other:?}: float32 or float64 expected"),
    }
}

fn inverse_by<T: Real>(matrix: &Tensor, invert: impl Fn(MatRef<'_, T>) -> Option<Mat<T>>) -> Result<Option<Tensor>> {
    let order = matrix.dim(0)?;
    let Some(values) = finite::<T>(matrix)? else { return Ok(None) };
    let Some(inverse) = invert(MatRef::from_row_major_slice(&values, order, order)) else { return Ok(None) };
    let inverse = tensor(inverse.as_ref(), matrix)?;
    // A singular matrix has an LU factorisation too.
    Ok(finite::<T>(&inverse)?.map(|_| inverse))
}

/// The numbers in row order, unless one of them is not finite: factorisations may loop over NaN for long.
fn finite<T: Real>(matrix: &Tensor) -> Result<Option<Vec<T>>> {
    let values = matrix.flatten_all()?.to_vec1::<T>()?;
    Ok(values.iter().all(|value| value.to_f64().is_finite()).then_some(values))
}

fn tensor<T: Real>(matrix: MatRef<'_, T>, like: &Tensor) -> Result<Tensor> {
    let (rows, columns) = matrix.shape();
    let values: Vec<T> = matrix.transpose().col_iter().flat_map(|row| row.iter().copied()).collect();
    Tensor::from_vec(values, (rows, columns), like.device())
}
