//! The numbers of CPU tensors.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{CpuStorage, DType, Result, Storage, Tensor, WithDType};

use crate::kernel;

/// Numbers that candle, faer and the kernels can compute with.
pub trait Real: WithDType + kernel::Real {}

impl Real for f32 {}
impl Real for f64 {}

static KERNELS: AtomicBool = AtomicBool::new(true);

/// From here on this process computes in candle's operations alone, as it does on a GPU: so that what a GPU is going to compute can be
/// checked where there is none. Factorisations stay with faer.
pub fn turn_kernels_off() {
    KERNELS.store(false, Ordering::Relaxed);
}

/// Whether kernels compute on tensors like this one: on the CPU, unless they were turned off.
pub fn has_kernels(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && KERNELS.load(Ordering::Relaxed)
}

/// What the kernels are to compute these tensors in; `None` where they cannot.
pub fn kernel_type(tensors: &[&Tensor]) -> Option<DType> {
    let dtype = tensors.first()?.dtype();
    let all = tensors.iter().all(|tensor| has_kernels(tensor) && tensor.dtype() == dtype);
    (all && matches!(dtype, DType::F32 | DType::F64)).then_some(dtype)
}

/// Calls `f` with the numbers of CPU tensors, in row order: a copy is made only of what is not in that order.
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

/// Calls one of two functions by the type of a tensor's numbers, or the third where no kernel can compute with them.
macro_rules! by_type {
    ($tensors:expr, $single:expr, $double:expr, $else:expr) => {
        match $crate::linalg::slices::kernel_type($tensors) {
            Some(candle_core::DType::F32) => $single,
            Some(candle_core::DType::F64) => $double,
            _ => $else,
        }
    };
}
pub(super) use by_type;
