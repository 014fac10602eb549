//! Differentiable operations with a backward pass of their own.
//!
//! candle's own layers cut or bend the gradient here and there, and drop what curvature needs; so each layer that matters is
//! one [`Operation`] over whole tensors. This is the seam for fast kernels too: an operation may compute on slices or in candle
//! operations, its callers cannot tell. Activations are `N×H×W×C` throughout.

pub mod attention;
mod backward;
#[cfg(test)]
mod check;
pub mod concat;
pub mod conv;
pub mod embedding;
pub mod gelu;
pub mod grouped;
mod host;
pub mod layer_norm;
pub mod loss;
pub mod norm;
pub mod pool;
pub mod relu;
pub mod sigmoid;
pub mod window;

use std::sync::{Arc, Mutex, PoisonError};

use backward::Applied;
pub use backward::backward;

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Error, Layout, Result, Shape, Storage, Tensor,
};

use crate::device::Output;

/// A function of tensors with a known derivative.
pub trait Operation: Send + Sync {
    /// For error messages.
    fn name(&self) -> &'static str;

    /// The value. The arguments are detached: nothing computed here is recorded for a backward pass.
    fn forward(&self, args: &[Tensor]) -> Result<Value>;

    /// The gradient by each argument; of several, `None` where `!args[i].track_op()`. `grad` is contiguous, and detached as all else is
    /// to be.
    fn backward(&self, args: &[&Tensor], output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>>;
}

/// Applies `operation` to one to three tensors and records it for the backward pass.
pub fn apply(operation: impl Operation + 'static, args: &[&Tensor]) -> Result<Tensor> {
    let detached: Vec<Tensor> = args.iter().map(|arg| arg.detach()).collect();
    let value = operation.forward(&detached)?;
    let applied = Applied::new(Box::new(operation), args);
    let node = Node { applied: applied.clone(), value: Mutex::new(Some(value)) };
    let output = match args {
        [a] => a.apply_op1(node),
        [a, b] => a.apply_op2(b, node),
        [a, b, c] => a.apply_op3(b, c, node),
        _ => candle_core::bail!("{}: {} arguments (must be 1 to 3)", applied.name(), args.len()),
    }?;
    if output.track_op() {
        applied.remember(&output);
    }
    Ok(output)
}

/// What an operation computed.
pub enum Value {
    /// By a kernel: moved into the graph without a copy.
    Host(CpuStorage, Shape),
    /// By a kernel of a device: the same.
    Device(Output),
    /// In candle operations.
    Tensor(Tensor),
}

/// Carries a value that is computed already through candle's interface for custom operations.
struct Node {
    applied: Arc<Applied>,
    value: Mutex<Option<Value>>,
}

impl Node {
    fn take(&self) -> Result<Value> {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or_else(|| Error::Msg(format!("{}: applied twice", self.applied.name())))
    }

    fn cpu(&self) -> Result<(CpuStorage, Shape)> {
        let value = match self.take()? {
            Value::Host(storage, shape) | Value::Device(Output(Storage::Cpu(storage), shape)) => {
                return Ok((storage, shape));
            }
            Value::Device(_) => candle_core::bail!("{}: value is not on the CPU", self.applied.name()),
            Value::Tensor(value) => whole(&value)?,
        };
        let (storage, layout) = value.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => Ok((storage.try_clone(layout)?, value.shape().clone())),
            _ => candle_core::bail!("{}: value is not on the CPU", self.applied.name()),
        }
    }

    fn cuda(&self) -> Result<(CudaStorage, Shape)> {
        let value = match self.take()? {
            Value::Device(Output(Storage::Cuda(storage), shape)) => return Ok((storage, shape)),
            Value::Tensor(value) => whole(&value)?,
            _ => candle_core::bail!("{}: value is not on the CUDA device", self.applied.name()),
        };
        let (storage, layout) = value.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, value.shape().clone())),
            _ => candle_core::bail!("{}: value is not on the CUDA device", self.applied.name()),
        }
    }
}

impl CustomOp1 for Node {
    fn name(&self) -> &'static str {
        self.applied.name()
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.cpu()
    }
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }
    fn bwd(&self, _: &Tensor, output: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let [da] = exactly(self.applied.backward(output, grad)?)?;
        Ok(da)
    }
}

impl CustomOp2 for Node {
    fn name(&self) -> &'static str {
        self.applied.name()
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.cpu()
    }
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }
    fn bwd(&self, _: &Tensor, _: &Tensor, output: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [da, db] = exactly(self.applied.backward(output, grad)?)?;
        Ok((da, db))
    }
}

impl CustomOp3 for Node {
    fn name(&self) -> &'static str {
        self.applied.name()
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.cpu()
    }
    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }
    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [da, db, dc] = exactly(self.applied.backward(output, grad)?)?;
        Ok((da, db, dc))
    }
}

/// The tensor in a storage of its own: the graph takes a storage as it is, and a view would bring all that it is a part of.
fn whole(value: &Tensor) -> Result<Tensor> {
    if value.is_contiguous() && value.layout().start_offset() > 0 {
        value.force_contiguous()
    } else {
        value.contiguous()
    }
}

fn exactly<const N: usize>(grads: Vec<Option<Tensor>>) -> Result<[Option<Tensor>; N]> {
    let found = grads.len();
    grads.try_into().map_err(|_| Error::Msg(format!("{found} gradients for {N} arguments")))
}
