//! Launches on a GPU, with the code that `build.rs` had nvcc make of each family: PTX for its oldest architecture, which the driver
//! compiles for the GPU at hand.

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, DeviceRepr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::{CudaDevice, CudaStorageSlice, WrapErr};
use candle_core::{CudaStorage, DType, Device, Layout, Result, Shape, Storage, Tensor};

use super::{Arg, Call, Launch, Output, matrix, solver};

/// `PTX`: a name, such as `norm.f32`, and the code of a family in a type.
mod compiled {
    include!(concat!(env!("OUT_DIR"), "/ptx.rs"));
}

/// A GPU, and the order in which it does things.
#[derive(Debug, Clone)]
pub struct Gpu(CudaDevice);

impl Gpu {
    /// That of the first of these tensors, if all are on one.
    pub fn holding(tensors: &[&Tensor]) -> Option<Self> {
        let Device::Cuda(device) = tensors.first()?.device() else { return None };
        tensors.iter().all(|tensor| tensor.device().is_cuda()).then(|| Self(device.clone()))
    }

    /// The inverse of the symmetric positive definite `factor + δI`; `None` where it has no Cholesky factorisation.
    ///
    /// # Errors
    /// The device's.
    pub fn cholesky_inverse(&self, factor: &Tensor, damping: f64) -> Result<Option<Tensor>> {
        let (mut damped, shape) = cuda(matrix::damped(self, factor, damping)?)?;
        if !solver::invert(&self.0, &mut damped, factor.dim(0)?)? {
            return Ok(None);
        }
        matrix::mirrored(self, &Output(Storage::Cuda(damped), shape).tensor()).map(Some)
    }

    /// Eigenvalues in ascending order, and eigenvectors in the columns of a matrix; `None` where the iteration does not end.
    ///
    /// # Errors
    /// The device's.
    pub fn eigen(&self, symmetric: &Tensor) -> Result<Option<(Vec<f64>, Tensor)>> {
        let (mut vectors, shape) = cuda(matrix::damped(self, symmetric, 0.0)?)?;
        let Some(values) = solver::decompose(&self.0, &mut vectors, symmetric.dim(0)?)? else { return Ok(None) };
        Ok(Some((values, Output(Storage::Cuda(vectors), shape).tensor().t()?.contiguous()?)))
    }

    fn ready<'a>(&self, arg: &Arg, tensors: &mut impl Iterator<Item = (&'a Storage, &'a Layout)>) -> Result<Ready<'a>> {
        Ok(match arg {
            Arg::In(_) => {
                let Some((Storage::Cuda(storage), layout)) = tensors.next() else {
                    candle_core::bail!("a tensor is not on the GPU that computes with it")
                };
                Ready::In(view(storage, layout)?)
            }
            Arg::Out(shape, dtype) => {
                let count = shape.elem_count();
                Ready::Out(match dtype {
                    DType::F32 => Fresh::Single(self.fresh(count)?),
                    DType::F64 => Fresh::Double(self.fresh(count)?),
                    DType::U32 => Fresh::Whole(self.fresh(count)?),
                    other => candle_core::bail!("kernels write no {other:?}"),
                })
            }
            Arg::Count(count) => match u32::try_from(*count) {
                Ok(count) => Ready::Count(count),
                Err(_) => candle_core::bail!("{count} numbers are more than a kernel counts"),
            },
            Arg::Number(number) => Ready::Number(*number),
        })
    }

    fn fresh<T: DeviceRepr>(&self, count: usize) -> Result<CudaSlice<T>> {
        // SAFETY: nothing reads what a kernel has not written, and `Arg::Out` has it write all.
        #[allow(unsafe_code)]
        unsafe {
            self.0.alloc(count)
        }
    }
}

/// What a kernel wrote on a GPU.
fn cuda(Output(storage, shape): Output) -> Result<(CudaStorage, Shape)> {
    match storage {
        Storage::Cuda(storage) => Ok((storage, shape)),
        _ => candle_core::bail!("a matrix is not on the GPU that factorises it"),
    }
}

/// An argument as the driver takes it.
enum Ready<'a> {
    In(View<'a>),
    Out(Fresh),
    Count(u32),
    Number(f64),
}

enum View<'a> {
    Single(CudaView<'a, f32>),
    Double(CudaView<'a, f64>),
    Whole(CudaView<'a, u32>),
}

enum Fresh {
    Single(CudaSlice<f32>),
    Double(CudaSlice<f64>),
    Whole(CudaSlice<u32>),
}

fn view<'a>(storage: &'a CudaStorage, layout: &Layout) -> Result<View<'a>> {
    let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("a copy is not contiguous") };
    Ok(match &storage.slice {
        CudaStorageSlice::F32(slice) => View::Single(slice.slice(start..end)),
        CudaStorageSlice::F64(slice) => View::Double(slice.slice(start..end)),
        CudaStorageSlice::U32(slice) => View::Whole(slice.slice(start..end)),
        _ => candle_core::bail!("kernels read no {:?}", storage.dtype()),
    })
}

impl Launch for Gpu {
    fn launch(&self, call: &Call) -> Result<Vec<Output>> {
        let inputs =
            call.args.iter().filter_map(|arg| if let Arg::In(tensor) = arg { Some(tensor.contiguous()) } else { None });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let storages: Vec<_> = inputs.iter().map(Tensor::storage_and_layout).collect();
        let mut tensors = storages.iter().map(|(storage, layout)| (&**storage, *layout));
        let mut args = call.args.iter().map(|arg| self.ready(arg, &mut tensors)).collect::<Result<Vec<_>>>()?;
        if call.grid.iter().all(|&blocks| blocks > 0) {
            self.start(call, &mut args)?;
        }
        let shapes =
            call.args.iter().filter_map(|arg| if let Arg::Out(shape, _) = arg { Some(shape.clone()) } else { None });
        let written = args.into_iter().filter_map(|arg| if let Ready::Out(fresh) = arg { Some(fresh) } else { None });
        let device = || self.0.clone();
        let outputs = written.zip(shapes).map(|(fresh, shape)| {
            let storage = match fresh {
                Fresh::Single(slice) => CudaStorage::wrap_cuda_slice(slice, device()),
                Fresh::Double(slice) => CudaStorage::wrap_cuda_slice(slice, device()),
                Fresh::Whole(slice) => CudaStorage::wrap_cuda_slice(slice, device()),
            };
            Output(Storage::Cuda(storage), shape)
        });
        Ok(outputs.collect())
    }
}

impl Gpu {
    fn start(&self, call: &Call, args: &mut [Ready]) -> Result<()> {
        let module = format!("{}.{}", call.family, call.real.as_str());
        let Some((_, ptx)) = compiled::PTX.iter().find(|(name, _)| *name == module) else {
            candle_core::bail!("there are no kernels `{module}`")
        };
        let [across, down] = call.grid.map(|blocks| u32::try_from(blocks).unwrap_or(u32::MAX));
        let grid = LaunchConfig {
            grid_dim: (across, down, 1),
            block_dim: (call.block[0], call.block[1], 1),
            shared_mem_bytes: 0,
        };
        let function = self.0.get_or_load_custom_func(&call.name(), &module, ptx)?;
        let mut launch = function.builder();
        for arg in args {
            match arg {
                Ready::In(View::Single(view)) => launch.arg(&*view),
                Ready::In(View::Double(view)) => launch.arg(&*view),
                Ready::In(View::Whole(view)) => launch.arg(&*view),
                Ready::Out(Fresh::Single(slice)) => launch.arg(slice),
                Ready::Out(Fresh::Double(slice)) => launch.arg(slice),
                Ready::Out(Fresh::Whole(slice)) => launch.arg(slice),
                Ready::Count(count) => launch.arg(&*count),
                Ready::Number(number) => launch.arg(&*number),
            };
        }
        // SAFETY: a family gives its kernels the arguments that their parameters are, and memory for all that they write. tests/it/device.rs
        // holds it to both: it runs every kernel with what this function gets, checks the types, and looks for writes elsewhere.
        #[allow(unsafe_code)]
        let launched = unsafe { launch.launch(grid) };
        launched.w()?;
        Ok(())
    }
}
