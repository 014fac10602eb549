//! Moving averages of squares, kept as their roots: these have room wherever the numbers have whose squares they are of.

use candle_core::{DType, Result, Tensor};

use super::combine;
use super::slices::{Real, by_type, read};
use crate::device;
use crate::kernel::elementwise;

/// `√(β·root² + (1−β)·u²)`: the next root.
pub fn root_of_average(beta: f64, root: &Tensor, u: &Tensor) -> Result<Tensor> {
    fn by<T: Real>(beta: f64, root: &Tensor, u: &Tensor) -> Result<Tensor> {
        let next = read(&[root, u], |slices| elementwise::root_of_average::<T>(beta, slices[0], slices[1]))?;
        Tensor::from_vec(next, u.shape(), u.device())
    }
    let slowly = || {
        if let Some(gpu) = device::of(&[root, u]) {
            return device::elementwise::root_of_average(&gpu, beta, root, u);
        }
        let [kept, fresh] = [root, u].map(|tensor| tensor.to_dtype(DType::F64)?.sqr());
        combine(beta, &kept?, 1.0 - beta, &fresh?)?.sqrt()?.to_dtype(u.dtype())
    };
    by_type!(&[root, u], by::<f32>(beta, root, u), by::<f64>(beta, root, u), slowly())
}

/// `x / (root/c + ε)`.
pub fn over_root(x: &Tensor, root: &Tensor, c: f64, eps: f64) -> Result<Tensor> {
    fn by<T: Real>(x: &Tensor, root: &Tensor, c: f64, eps: f64) -> Result<Tensor> {
        let ratio = read(&[x, root], |slices| elementwise::over_root::<T>(slices[0], slices[1], c, eps))?;
        Tensor::from_vec(ratio, x.shape(), x.device())
    }
    let slowly = || match device::of(&[x, root]) {
        Some(gpu) => device::elementwise::over_root(&gpu, x, root, c, eps),
        None => x / ((root / c)? + eps)?,
    };
    by_type!(&[x, root], by::<f32>(x, root, c, eps), by::<f64>(x, root, c, eps), slowly())
}
