//! From tensors to slices and back, for operations that have a CPU kernel.

use candle_core::{CpuStorage, DType, Result, Shape, Storage, Tensor, WithDType};

use super::Value;
use super::window::Window;
use crate::kernel::{self, Geometry};

/// Numbers that both candle and the kernels can compute with.
pub trait Real: kernel::Real + WithDType {}

impl Real for f32 {}
impl Real for f64 {}

/// What kernels can compute in, if they can at all: elsewhere, and in other types, candle operations do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    Single,
    Double,
    None,
}

impl Kernel {
    /// For operations on tensors like this one.
    pub fn of(x: &Tensor) -> Self {
        match (x.device().is_cpu(), x.dtype()) {
            (true, DType::F32) => Self::Single,
            (true, DType::F64) => Self::Double,
            _ => Self::None,
        }
    }
}

/// Calls `f` with the numbers of CPU tensors, in row order.
pub fn read<T: Real, R>(tensors: &[&Tensor], f: impl FnOnce(&[&[T]]) -> R) -> Result<R> {
    let tensors = tensors.iter().map(|tensor| tensor.contiguous()).collect::<Result<Vec<_>>>()?;
    let storages: Vec<_> = tensors.iter().map(|tensor| tensor.storage_and_layout()).collect();
    let slices = storages.iter().map(|(storage, layout)| {
        let Storage::Cpu(storage) = &**storage else {
            candle_core::bail!("a kernel was given a tensor of another device")
        };
        let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("a copy is not contiguous") };
        Ok(&CpuStorage::as_slice::<T>(storage)?[start..end])
    });
    Ok(f(&slices.collect::<Result<Vec<_>>>()?))
}

/// A kernel's result as the value of an operation.
pub fn value<T: Real>(values: Vec<T>, shape: impl Into<Shape>) -> Value {
    Value::Host(T::to_cpu_storage_owned(values), shape.into())
}

/// A kernel's result as a tensor like `like`.
pub fn tensor<T: Real>(
    values: Vec<T>,
    shape: impl candle_core::shape::ShapeWithOneHole,
    like: &Tensor,
) -> Result<Tensor> {
    Tensor::from_vec(values, shape, like.device())
}

/// The geometry of a window over `x`, `N×H×W×C`.
pub fn geometry(x: &Tensor, window: Window, outputs: usize) -> Result<Geometry> {
    let (batch, height, width, inputs) = x.dims4()?;
    // Checks that the window fits.
    window.positions(height.min(width))?;
    let Window { kernel, stride, padding } = window;
    Ok(Geometry { batch, height, width, inputs, outputs, kernel, stride, padding })
}
