//! Orthogonal bases, one an axis of a tensor: where KFAC by eigenvalues, EKFAC, SOAP and KL-Shampoo do their work.
//!
//! All of them are `V = Q [ (QᵀM) ⊘ D ]`, Q acting on every axis. They differ in whose second moments have Q as their eigenvectors, in
//! M (the gradient or its average), and in D: products of eigenvalues by axis, or averages of what was seen in that basis.

use candle_core::{DType, Result, Tensor};

use crate::linalg;

/// The tensor in the basis: `Qᵀ` along every axis that has one.
pub fn turn(tensor: &Tensor, basis: &[Option<&Tensor>]) -> Result<Tensor> {
    let of_axes = basis.iter().enumerate().filter_map(|(axis, vectors)| Some((axis, (*vectors)?)));
    of_axes.into_iter().try_fold(tensor.clone(), |tensor, (axis, vectors)| along(&tensor, axis, vectors))
}

/// The way back: `Q` along every axis.
pub fn back(tensor: &Tensor, basis: &[Option<&Tensor>]) -> Result<Tensor> {
    let of_axes = basis.iter().enumerate().filter_map(|(axis, vectors)| Some((axis, (*vectors)?)));
    of_axes.into_iter().try_fold(tensor.clone(), |tensor, (axis, vectors)| along(&tensor, axis, &vectors.t()?))
}

/// The tensor's products with the columns of an n×n `matrix` along an axis of length n.
pub fn along(tensor: &Tensor, axis: usize, matrix: &Tensor) -> Result<Tensor> {
    let order = matrix.dim(0)?;
    if axis == 0 {
        return linalg::product(&matrix.t()?, &tensor.reshape((order, ()))?)?.reshape(tensor.shape());
    }
    if axis + 1 == tensor.rank() {
        return linalg::product(&tensor.reshape(((), order))?, matrix)?.reshape(tensor.shape());
    }
    let last = tensor.transpose(axis, tensor.rank() - 1)?.contiguous()?;
    along(&last, tensor.rank() - 1, matrix)?.transpose(axis, tensor.rank() - 1)?.contiguous()
}

/// The second moments of a tensor along an axis of length n, n×n: its product with itself over all other axes.
pub fn moments(tensor: &Tensor, axis: usize) -> Result<Tensor> {
    let rows = tensor.transpose(0, axis)?.contiguous()?.reshape((tensor.dim(axis)?, ()))?;
    linalg::product(&rows, &rows.t()?)
}

/// The diagonal of those.
pub fn squares(tensor: &Tensor, axis: usize) -> Result<Tensor> {
    tensor.sqr()?.transpose(0, axis)?.contiguous()?.reshape((tensor.dim(axis)?, ()))?.sum(1)
}

/// L, a share of the second moments of a tensor along an axis, n×n, and its eigenvectors in the columns, those of the largest eigenvalues
/// first; `None` if these numbers have none (NaN), or L has no room in the tensor's numbers.
///
/// L may be singular, and then its basis is any of many: it is taken of `L + 10⁻³·(tr L/n)·diag(0, …, n−1)/n`. In float64, because that
/// slope may be as small as float32's rounding errors of L.
pub fn first(tensor: &Tensor, axis: usize, share: f64) -> Result<Option<[Tensor; 2]>> {
    let factor = linalg::scale(share, &moments(&tensor.to_dtype(DType::F64)?, axis)?)?;
    let rounded = factor.to_dtype(tensor.dtype())?;
    if !linalg::norm(&rounded)?.is_finite() {
        return Ok(None);
    }
    let order = factor.dim(0)?;
    let trace = (&factor * Tensor::eye(order, DType::F64, factor.device())?)?.sum_all()?;
    let step = 1e-3 * trace.to_scalar::<f64>()? / (order * order) as f64;
    let mut slope = vec![0.0; order * order];
    slope.iter_mut().step_by(order + 1).enumerate().for_each(|(i, entry)| *entry = i as f64 * step);
    let slope = Tensor::from_vec(slope, (order, order), factor.device())?;
    let Some((_, vectors)) = linalg::eigen(&(&factor + slope)?)? else { return Ok(None) };
    let reversed: Vec<u32> = (0..order as u32).rev().collect();
    let vectors = vectors.index_select(&Tensor::new(reversed, factor.device())?, 1)?;
    Ok(Some([rounded, vectors.to_dtype(tensor.dtype())?]))
}

/// The tensor times a diagonal along one axis.
pub fn times(tensor: &Tensor, axis: usize, diagonal: &Tensor) -> Result<Tensor> {
    let mut dims = vec![1; tensor.rank()];
    dims[axis] = diagonal.dim(0)?;
    tensor.broadcast_mul(&diagonal.reshape(dims)?)
}

#[cfg(test)]
mod tests {
    use super::{back, moments, turn};
    use candle_core::{DType, Device, Result, Tensor};

    fn numbers(dims: &[usize]) -> Result<Tensor> {
        let count: usize = dims.iter().product();
        Tensor::from_vec((0..count).map(|i| (i as f64 * 1.3).sin()).collect(), dims, &Device::Cpu)
    }

    fn distance(a: &Tensor, b: &Tensor) -> Result<f64> {
        (a - b)?.sqr()?.sum_all()?.sqrt()?.to_scalar()
    }

    #[test]
    fn every_axis_is_turned_there_and_back() -> Result<()> {
        let tensor = numbers(&[3, 4, 2, 5])?;
        let vectors = [3, 4, 2, 5].map(|order| -> Result<Tensor> {
            let vectors = crate::linalg::orthogonal(&numbers(&[order, order])?)?;
            vectors.ok_or_else(|| candle_core::Error::msg("no basis"))
        });
        let vectors: Vec<Tensor> = vectors.into_iter().collect::<Result<_>>()?;
        let basis = [Some(&vectors[0]), Some(&vectors[1]), None, Some(&vectors[3])];
        let turned = turn(&tensor, &basis)?;
        assert!(distance(&back(&turned, &basis)?, &tensor)? < 1e-12);
        assert!(distance(&turned, &tensor)? > 0.1, "control");
        for axis in [0, 1, 3] {
            // In the basis the moments of an axis are turned on both sides.
            let [q, there] = [&vectors[axis], &moments(&tensor, axis)?];
            let expected = q.t()?.matmul(there)?.matmul(q)?;
            assert!(distance(&moments(&turned, axis)?, &expected)? < 1e-12);
        }
        let other = moments(&tensor.to_dtype(DType::F64)?, 2)?;
        assert!(distance(&moments(&turned, 2)?, &other)? < 1e-12);
        Ok(())
    }
}
