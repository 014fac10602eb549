//! From tensors to slices and back, for operations that have a CPU kernel.

use candle_core::{DType, Result, Shape, Tensor};

use super::Value;
use crate::device::{self, Gpu};
use crate::linalg::has_kernels;
pub use crate::linalg::{Real, read};

/// What kernels can compute in or on, if they can at all: elsewhere, and in other types, candle operations do it.
#[derive(Debug, Clone)]
pub enum Kernel {
    Single,
    Double,
    Device(Gpu),
    None,
}

impl Kernel {
    /// For operations on tensors like this one.
    pub fn of(x: &Tensor) -> Self {
        match (has_kernels(x), x.dtype()) {
            (true, DType::F32) => Self::Single,
            (true, DType::F64) => Self::Double,
            _ => device::of(&[x]).map_or(Self::None, Self::Device),
        }
    }
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
