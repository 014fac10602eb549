//! Factorisations that candle lacks, by faer: inverses, the symmetric eigendecomposition, orthogonal bases.
//!
//! Matrices are square tensors on any device; the work is done on the CPU, but for Cholesky's inverse and eigenvectors on a GPU. `None` means that these numbers have no such
//! factorisation, NaN among them, or that rounding leaves nothing of the inverse.

use candle_core::{DType, Device, Result, Tensor};
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, MatRef, Side};

use super::product::norm;
use super::slices::{Real, read};
use crate::device;
use crate::kernel::matrix;

/// What an inverse, or a direction, may be off by as a share of its norm: two parts in a hundred, more than which would show in a step that is
/// made of two inverses and all that follow from it. A choice, where the estimates of that share follow from the type's precision and the norms.
pub const UNSURE: f64 = 0.02;

/// The inverse of the symmetric positive definite `factor + δI`, by `LLᵀ`: n³ operations.
pub fn cholesky_inverse(factor: &Tensor, damping: f64) -> Result<Option<Tensor>> {
    fn by<T: Real>(factor: &Tensor, damping: f64) -> Result<Option<Tensor>> {
        let order = factor.dim(0)?;
        let host = factor.to_device(&Device::Cpu)?;
        let inverse = read(&[&host], |slices| matrix::cholesky_inverse::<T>(slices[0], damping, order))?;
        let Some(inverse) = inverse else { return Ok(None) };
        trusted(damped_size(factor, damping)?, Tensor::from_vec(inverse, (order, order), factor.device())?)
    }
    if let Some(gpu) = device::of(&[factor]) {
        let Some(inverse) = gpu.cholesky_inverse(factor, damping)? else { return Ok(None) };
        return trusted(damped_size(factor, damping)?, inverse);
    }
    if is_double(factor)? { by::<f64>(factor, damping) } else { by::<f32>(factor, damping) }
}

/// A bound of `‖A + δI‖_F`.
fn damped_size(factor: &Tensor, damping: f64) -> Result<f64> {
    Ok(norm(factor)? + damping * (factor.dim(0)? as f64).sqrt())
}

/// The inverse of a regular matrix, by `LU` with partial pivoting: 2n³ operations.
pub fn lu_inverse(matrix: &Tensor) -> Result<Option<Tensor>> {
    fn by<T: Real>(matrix: &Tensor) -> Result<Option<Tensor>> {
        let Some(inverse) = inverse_by::<T>(matrix, |matrix| Some(matrix.partial_piv_lu().inverse()))? else {
            return Ok(None);
        };
        trusted(norm(matrix)?, inverse)
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
    if let Some(gpu) = device::of(&[matrix]) {
        // An iteration may loop over NaN for long.
        return if norm(matrix)?.is_finite() { gpu.eigen(matrix) } else { Ok(None) };
    }
    if is_double(matrix)? { by::<f64>(matrix) } else { by::<f32>(matrix) }
}

/// Whether rounding leaves enough of the inverse of a matrix of this `size`, both given by their Frobenius norms.
pub fn resolves(size: f64, inverse: f64, order: usize, dtype: DType) -> bool {
    // `ε‖A‖_F‖B‖_F/√n` is about the residual `‖I − AB‖_F/√n`, and no less than `‖B − A⁻¹‖_F/‖A⁻¹‖_F` in all that was tried.
    precision(dtype) * size * inverse / (order as f64).sqrt() < UNSURE
}

/// The distance from 1 to the next number of a type.
pub fn precision(dtype: DType) -> f64 {
    if dtype == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) }
}

fn trusted(size: f64, inverse: Tensor) -> Result<Option<Tensor>> {
    Ok(resolves(size, norm(&inverse)?, inverse.dim(0)?, inverse.dtype()).then_some(inverse))
}

/// Q of `QR`, whose columns span what those of a square matrix do, the first k of both the same for every k.
pub fn orthogonal(matrix: &Tensor) -> Result<Option<Tensor>> {
    fn by<T: Real>(matrix: &Tensor) -> Result<Option<Tensor>> {
        let order = matrix.dim(0)?;
        let Some(values) = finite::<T>(matrix)? else { return Ok(None) };
        let q = MatRef::from_row_major_slice(&values, order, order).qr().compute_Q();
        Ok(Some(tensor(q.as_ref(), matrix)?))
    }
    if is_double(matrix)? { by::<f64>(matrix) } else { by::<f32>(matrix) }
}

fn is_double(matrix: &Tensor) -> Result<bool> {
    match matrix.dtype() {
        DType::F32 => Ok(false),
        DType::F64 => Ok(true),
        other => candle_core::bail!("linear algebra in {other:?} (must be float32 or float64)"),
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

#[cfg(test)]
mod tests {
    use super::{UNSURE, cholesky_inverse, orthogonal, precision};
    use crate::linalg::{norm, product};
    use crate::random::Random;
    use candle_core::{DType, Device, Result, Tensor};

    /// Of a matrix in float32 with eigenvalues from 1 down to `least`, many of them equal or all between: the estimate of its inverse's error,
    /// and the error; none where float32 has no inverse at all.
    fn errors(order: usize, least: f64, random: &mut Random) -> Result<Option<[f64; 2]>> {
        let numbers: Vec<f64> = (0..order * order).map(|_| random.normal()).collect();
        let numbers = Tensor::from_vec(numbers, (order, order), &Device::Cpu)?;
        let Some(vectors) = orthogonal(&numbers)? else { return Ok(None) };
        let (flat, share) = (random.uniform() < 0.5, random.uniform());
        let between = |i: usize, random: &mut Random| match i {
            0 => 1.0,
            1 => least,
            i if flat && (i as f64) < share * order as f64 => 1.0,
            _ if flat => least,
            _ => least.powf(random.uniform()),
        };
        let values: Vec<f64> = (0..order).map(|i| between(i, random)).collect();
        let values = Tensor::new(values, &Device::Cpu)?;
        let narrow = product(&vectors.broadcast_mul(&values)?, &vectors.t()?)?.to_dtype(DType::F32)?;
        let wide = narrow.to_dtype(DType::F64)?;
        let Some(theirs) = cholesky_inverse(&((&wide + wide.t()?)? / 2.0)?, 0.0)? else { return Ok(None) };
        let estimate = precision(DType::F32) * norm(&wide)? * norm(&theirs)? / (order as f64).sqrt();
        let values = narrow.flatten_all()?.to_vec1::<f32>()?;
        let Some(ours) = crate::kernel::matrix::cholesky_inverse(&values, 0.0, order) else { return Ok(None) };
        let ours = Tensor::from_vec(ours, (order, order), &Device::Cpu)?.to_dtype(DType::F64)?;
        Ok(Some([estimate, norm(&(ours - &theirs)?)? / norm(&theirs)?]))
    }

    #[test]
    fn an_inverse_is_not_further_off_than_its_norms_say() -> Result<()> {
        let mut random = Random::new(1, "inverses");
        let mut nearest = 0f64;
        for _ in 0..300 {
            let (order, least) = (2 + random.below(40), 10f64.powf(-7.0 * random.uniform()));
            let Some([estimate, error]) = errors(order, least, &mut random)? else { continue };
            assert!(error < estimate || estimate > UNSURE, "{error} where {estimate} was estimated");
            nearest = nearest.max(error / estimate);
        }
        // Control: less than the estimate would not have held.
        assert!(nearest > 0.3, "{nearest}");
        Ok(())
    }
}
