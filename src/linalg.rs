//! Dense linear algebra that candle lacks, by faer: inverses by factorisation and the symmetric eigendecomposition.
//!
//! Matrices are square candle tensors in float32 or float64, on any device; the work is done on the CPU. `None` means that
//! these numbers have no such factorisation, NaN among them.

use candle_core::{DType, Result, Storage, Tensor, WithDType};
use faer::linalg::solvers::DenseSolveCore;
use faer::traits::RealField;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};

use crate::kernel;

/// Numbers that both libraries can compute with.
trait Real: WithDType + RealField {}

impl Real for f32 {}
impl Real for f64 {}

/// The inverse of a symmetric positive definite matrix, by `LLᵀ`: n³ operations.
pub fn cholesky_inverse(matrix: &Tensor) -> Result<Option<Tensor>> {
    fn by<T: Real>(matrix: &Tensor) -> Result<Option<Tensor>> {
        inverse_by::<T>(matrix, |matrix| Some(matrix.llt(Side::Lower).ok()?.inverse()))
    }
    if is_double(matrix)? { by::<f64>(matrix) } else { by::<f32>(matrix) }
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

/// `a · b`; on the CPU by the same library and threads as the factorisations, so that their times can be compared.
pub fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    fn by<T: Real>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let ((rows, inner), columns) = (a.dims2()?, b.dim(1)?);
        let (a_values, b_values) = (a.flatten_all()?.to_vec1::<T>()?, b.flatten_all()?.to_vec1::<T>()?);
        let mut product = vec![T::zero_impl(); rows * columns];
        faer::linalg::matmul::matmul(
            MatMut::from_row_major_slice_mut(&mut product, rows, columns),
            Accum::Replace,
            MatRef::from_row_major_slice(&a_values, rows, inner),
            MatRef::from_row_major_slice(&b_values, inner, columns),
            T::one_impl(),
            Par::rayon(0),
        );
        Tensor::from_vec(product, (rows, columns), a.device())
    }
    if !a.device().is_cpu() || a.dim(1)? != b.dim(0)? {
        return a.matmul(b);
    }
    if is_double(a)? { by::<f64>(a, b) } else { by::<f32>(a, b) }
}

/// `a·x + b·y`, in one pass over memory on the CPU.
pub fn combine(a: f64, x: &Tensor, b: f64, y: &Tensor) -> Result<Tensor> {
    fn by<T: Real + kernel::Real>(a: f64, x: &Tensor, b: f64, y: &Tensor) -> Result<Tensor> {
        let (x_storage, x_layout) = x.storage_and_layout();
        let (y_storage, y_layout) = y.storage_and_layout();
        let (Storage::Cpu(xs), Storage::Cpu(ys)) = (&*x_storage, &*y_storage) else { return slowly(a, x, b, y) };
        let (Some(x_range), Some(y_range)) = (x_layout.contiguous_offsets(), y_layout.contiguous_offsets()) else {
            return slowly(a, x, b, y);
        };
        let (xs, ys) = (xs.as_slice::<T>()?, ys.as_slice::<T>()?);
        let (a, b) = (kernel::Real::from_f64(a), kernel::Real::from_f64(b));
        let sum = kernel::elementwise::combine::<T>(a, &xs[x_range.0..x_range.1], b, &ys[y_range.0..y_range.1]);
        Tensor::from_vec(sum, x.shape(), x.device())
    }
    fn slowly(a: f64, x: &Tensor, b: f64, y: &Tensor) -> Result<Tensor> {
        (x * a)? + (y * b)?
    }
    match (x.dtype(), y.dtype()) {
        _ if x.shape() != y.shape() => slowly(a, x, b, y),
        (DType::F32, DType::F32) => by::<f32>(a, x, b, y),
        (DType::F64, DType::F64) => by::<f64>(a, x, b, y),
        _ => slowly(a, x, b, y),
    }
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
