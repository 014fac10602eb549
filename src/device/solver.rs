//! Factorisations by cuSOLVER: matrices stay on the device; what comes back is whether there is a factorisation, and eigenvalues.
//!
//! cuSOLVER's columns are our rows. Of a symmetric matrix that says no more than which triangle it reads and writes.

use std::ffi::c_int;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::cusolver::{DnHandle, result::CusolverError, sys};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DevicePtrMut, DeviceRepr, ValidAsZeroBits};
use candle_core::cuda_backend::{CudaDType, CudaDevice, DeviceId, WrapErr};
use candle_core::{CudaStorage, DType, Error, Result};

/// The lower triangle of columns: the upper one of rows.
const TRIANGLE: sys::cublasFillMode_t = sys::cublasFillMode_t::CUBLAS_FILL_MODE_LOWER;
const VECTORS: sys::cusolverEigMode_t = sys::cusolverEigMode_t::CUSOLVER_EIG_MODE_VECTOR;

/// Turns a symmetric positive definite matrix into its inverse, as far as the triangle goes; false where it has no Cholesky factorisation.
pub fn invert(device: &CudaDevice, matrix: &mut CudaStorage, order: usize) -> Result<bool> {
    match matrix.dtype() {
        DType::F64 => invert_by::<f64>(device, matrix.as_cuda_slice_mut()?, order),
        _ => invert_by::<f32>(device, matrix.as_cuda_slice_mut()?, order),
    }
}

/// Turns a symmetric matrix into its eigenvectors, in rows, and gives its eigenvalues in ascending order; `None` where the iteration does not
/// end.
pub fn decompose(device: &CudaDevice, matrix: &mut CudaStorage, order: usize) -> Result<Option<Vec<f64>>> {
    match matrix.dtype() {
        DType::F64 => decompose_by::<f64>(device, matrix.as_cuda_slice_mut()?, order),
        _ => decompose_by::<f32>(device, matrix.as_cuda_slice_mut()?, order),
    }
}

type Status = sys::cusolverStatus_t;
type Handle = sys::cusolverDnHandle_t;
type Triangle = sys::cublasFillMode_t;
type Vectors = sys::cusolverEigMode_t;
type Space<T> = unsafe fn(Handle, Triangle, c_int, *mut T, c_int, *mut c_int) -> Status;
type Step<T> = unsafe fn(Handle, Triangle, c_int, *mut T, c_int, *mut T, c_int, *mut c_int) -> Status;

type EigenSpace<T> = unsafe fn(Handle, Vectors, Triangle, c_int, *const T, c_int, *const T, *mut c_int) -> Status;
type Eigen<T> = unsafe fn(Handle, Vectors, Triangle, c_int, *mut T, c_int, *mut T, *mut T, c_int, *mut c_int) -> Status;

/// cuSOLVER's functions for a type: with each the one that tells how much space it works in.
trait Solved: CudaDType + DeviceRepr + ValidAsZeroBits + Into<f64> {
    /// A triangle to its Cholesky factor, and that to the inverse.
    const INVERT: [(Space<Self>, Step<Self>); 2];
    const EIGEN_SPACE: EigenSpace<Self>;
    const EIGEN: Eigen<Self>;
}

fn invert_by<T: Solved>(device: &CudaDevice, matrix: &mut CudaSlice<T>, order: usize) -> Result<bool> {
    let (stream, solver, n) = (device.cuda_stream(), solver(device)?, whole(order)?);
    for (space, step) in T::INVERT {
        let mut info = stream.alloc_zeros::<c_int>(1).w()?;
        let (at, _held) = matrix.device_ptr_mut(&stream);
        let mut size = 0;
        // SAFETY: the handle is alive, `at` is a matrix of n × n numbers on its device, and `size` is written to.
        #[allow(unsafe_code)]
        let asked = unsafe { space(solver.cu(), TRIANGLE, n, at as *mut T, n, &mut size) };
        asked.result().map_err(failed)?;
        let mut work = stream.alloc_zeros::<T>(size.max(1) as usize).w()?;
        {
            let ((work, _free), (told, _read)) = (work.device_ptr_mut(&stream), info.device_ptr_mut(&stream));
            // SAFETY: the same, with as much room to work in as was asked for, and one number to say how it went.
            #[allow(unsafe_code)]
            let ran =
                unsafe { step(solver.cu(), TRIANGLE, n, at as *mut T, n, work as *mut T, size, told as *mut c_int) };
            ran.result().map_err(failed)?;
        }
        if stream.clone_dtoh(&info).w()? != [0] {
            return Ok(false);
        }
    }
    Ok(true)
}

fn decompose_by<T: Solved>(device: &CudaDevice, matrix: &mut CudaSlice<T>, order: usize) -> Result<Option<Vec<f64>>> {
    let (stream, solver, n) = (device.cuda_stream(), solver(device)?, whole(order)?);
    let mut info = stream.alloc_zeros::<c_int>(1).w()?;
    let mut values = stream.alloc_zeros::<T>(order).w()?;
    {
        let ((at, _held), (to, _written)) = (matrix.device_ptr_mut(&stream), values.device_ptr_mut(&stream));
        let mut size = 0;
        // SAFETY: the handle is alive, `at` is a matrix of n × n numbers on its device, `to` has n, and `size` is written to.
        #[allow(unsafe_code)]
        let asked = unsafe {
            (T::EIGEN_SPACE)(solver.cu(), VECTORS, TRIANGLE, n, at as *const T, n, to as *const T, &mut size)
        };
        asked.result().map_err(failed)?;
        let mut work = stream.alloc_zeros::<T>(size.max(1) as usize).w()?;
        let ((work, _free), (told, _read)) = (work.device_ptr_mut(&stream), info.device_ptr_mut(&stream));
        let (at, to, work, told) = (at as *mut T, to as *mut T, work as *mut T, told as *mut c_int);
        // SAFETY: the same, with as much room to work in as was asked for, and one number to say how it went.
        #[allow(unsafe_code)]
        let ran = unsafe { (T::EIGEN)(solver.cu(), VECTORS, TRIANGLE, n, at, n, to, work, size, told) };
        ran.result().map_err(failed)?;
    }
    if stream.clone_dtoh(&info).w()? != [0] {
        return Ok(None);
    }
    Ok(Some(stream.clone_dtoh(&values).w()?.into_iter().map(Into::into).collect()))
}

/// cuSOLVER takes long to get ready: its handle is kept for the device that was asked for last.
fn solver(device: &CudaDevice) -> Result<Arc<DnHandle>> {
    static LAST: Mutex<Option<(DeviceId, Arc<DnHandle>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((id, handle)) if *id == device.id() => Ok(handle.clone()),
        _ => {
            let handle = Arc::new(DnHandle::new(device.cuda_stream()).map_err(failed)?);
            *last = Some((device.id(), handle.clone()));
            Ok(handle)
        }
    }
}

fn whole(order: usize) -> Result<c_int> {
    c_int::try_from(order).map_err(|_| Error::Msg(format!("a matrix of {order} rows is too large")))
}

fn failed(error: CusolverError) -> Error {
    Error::Cuda(Box::new(error)).bt()
}

impl Solved for f32 {
    const INVERT: [(Space<Self>, Step<Self>); 2] = [
        (sys::cusolverDnSpotrf_bufferSize, sys::cusolverDnSpotrf),
        (sys::cusolverDnSpotri_bufferSize, sys::cusolverDnSpotri),
    ];
    const EIGEN_SPACE: EigenSpace<Self> = sys::cusolverDnSsyevd_bufferSize;
    const EIGEN: Eigen<Self> = sys::cusolverDnSsyevd;
}

impl Solved for f64 {
    const INVERT: [(Space<Self>, Step<Self>); 2] = [
        (sys::cusolverDnDpotrf_bufferSize, sys::cusolverDnDpotrf),
        (sys::cusolverDnDpotri_bufferSize, sys::cusolverDnDpotri),
    ];
    const EIGEN_SPACE: EigenSpace<Self> = sys::cusolverDnDsyevd_bufferSize;
    const EIGEN: Eigen<Self> = sys::cusolverDnDsyevd;
}
