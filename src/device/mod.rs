//! Kernels for CUDA devices: a `.cu` file a family of operations, and beside it what its launches look like.
//!
//! Where a kernel runs is no business of its family, which asks a [`Launch`] for it: a GPU here, and in the tests a program of the same
//! sources compiled for the host. So arguments, grids and sums are tested where there is no GPU; what is not is the launch itself.
//! Without the feature `cuda` there is no [`Gpu`], and everything that would need one is compiled away.

pub mod bounds;
pub mod elementwise;
#[cfg(feature = "cuda")]
mod gpu;
pub mod loss;
pub mod matrix;
pub mod norm;
pub mod pool;
#[cfg(feature = "cuda")]
mod solver;
pub mod window;

use candle_core::op::BackpropOp;
use candle_core::{DType, Error, Result, Shape, Storage, Tensor};

use crate::kernel::Geometry;

#[cfg(feature = "cuda")]
pub use gpu::Gpu;

/// There is none in a program built without CUDA.
#[cfg(not(feature = "cuda"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gpu(std::convert::Infallible);

#[cfg(not(feature = "cuda"))]
impl Gpu {
    pub fn cholesky_inverse(&self, _: &Tensor, _: f64) -> Result<Option<Tensor>> {
        match self.0 {}
    }

    pub fn eigen(&self, _: &Tensor) -> Result<Option<(Vec<f64>, Tensor)>> {
        match self.0 {}
    }
}

#[cfg(not(feature = "cuda"))]
impl Launch for Gpu {
    fn launch(&self, _: &Call) -> Result<Vec<Output>> {
        match self.0 {}
    }
}

/// The GPU that holds all of these tensors, if kernels can compute in their type, which is to be the same.
#[must_use]
pub fn of(tensors: &[&Tensor]) -> Option<Gpu> {
    let dtype = tensors.first()?.dtype();
    let fit = matches!(dtype, DType::F32 | DType::F64) && tensors.iter().all(|tensor| tensor.dtype() == dtype);
    if fit { on(tensors) } else { None }
}

#[cfg(feature = "cuda")]
fn on(tensors: &[&Tensor]) -> Option<Gpu> {
    Gpu::holding(tensors)
}

#[cfg(not(feature = "cuda"))]
const fn on(_: &[&Tensor]) -> Option<Gpu> {
    None
}

/// Whatever runs kernels.
pub trait Launch {
    /// What the kernel wrote, in the order of [`Arg::Out`].
    ///
    /// # Errors
    /// The device's.
    fn launch(&self, call: &Call) -> Result<Vec<Output>>;

    /// The same, of a kernel with so many outputs.
    ///
    /// # Errors
    /// The device's, and another number of outputs.
    fn outputs<const N: usize>(&self, call: &Call) -> Result<[Output; N]> {
        let outputs = self.launch(call)?;
        let found = outputs.len();
        outputs.try_into().map_err(|_| Error::Msg(format!("{}: {found} outputs (must be {N})", call.kernel)))
    }

    /// The same, as tensors.
    ///
    /// # Errors
    /// The device's, and another number of outputs.
    fn tensors<const N: usize>(&self, call: &Call) -> Result<[Tensor; N]> {
        Ok(self.outputs(call)?.map(Output::tensor))
    }
}

/// One launch of a kernel.
#[derive(Debug)]
pub struct Call<'a> {
    /// The `.cu` file.
    pub family: &'static str,
    pub kernel: &'static str,
    /// What its `real` stands for.
    pub real: DType,
    /// Blocks, across and down.
    pub grid: [usize; 2],
    /// Threads of a block, across and down.
    pub block: [u32; 2],
    /// In the order of the kernel's parameters.
    pub args: &'a [Arg<'a>],
}

impl Call<'_> {
    /// What the kernel is called in the type that it computes in.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}_{}", self.kernel, self.real.as_str())
    }
}

/// An argument of a kernel.
#[derive(Debug)]
pub enum Arg<'a> {
    /// `const T *`, in row order.
    In(&'a Tensor),
    /// `T *`, fresh memory for as many numbers as the shape has, each of which the kernel writes.
    Out(Shape, DType),
    /// `unsigned`.
    Count(usize),
    /// `double`.
    Number(f64),
}

impl Arg<'_> {
    /// Memory for a tensor like this one.
    fn like(tensor: &Tensor) -> Self {
        Self::Out(tensor.shape().clone(), tensor.dtype())
    }

    /// Memory for a tensor of this shape, with numbers like this one's.
    fn shaped(shape: impl Into<Shape>, like: &Tensor) -> Self {
        Self::Out(shape.into(), like.dtype())
    }

    /// Memory for sums, which are kept in float64.
    fn sums(shape: impl Into<Shape>) -> Self {
        Self::Out(shape.into(), DType::F64)
    }

    fn flag(set: bool) -> Self {
        Self::Count(usize::from(set))
    }

    /// The numbers of a tensor.
    fn count(&self) -> usize {
        match self {
            Self::In(tensor) => tensor.elem_count(),
            Self::Out(shape, _) => shape.elem_count(),
            Self::Count(_) | Self::Number(_) => 1,
        }
    }
}

/// What a kernel wrote, on the device that it ran on.
#[derive(Debug)]
pub struct Output(pub Storage, pub Shape);

impl Output {
    #[must_use]
    pub fn tensor(self) -> Tensor {
        Tensor::from_storage(self.0, self.1, BackpropOp::none(), false)
    }
}

/// Blocks and threads for a thread an element.
fn each(count: usize) -> ([usize; 2], [u32; 2]) {
    ([count.div_ceil(256), 1], [256, 1])
}

/// Runs a kernel that is told how windows slide over images, with a thread for each number of its first output.
fn over_images<const N: usize>(
    on: &impl Launch,
    [family, kernel]: [&'static str; 2],
    g: &Geometry,
    inputs: &[&Tensor],
    outputs: [Arg; N],
) -> Result<[Output; N]> {
    let (count, real) = (outputs[0].count(), inputs[0].dtype());
    let window = [g.height, g.width, g.inputs, g.out_height(), g.out_width(), g.kernel, g.stride, g.padding];
    let counts = std::iter::once(count).chain(window).map(Arg::Count);
    let args: Vec<Arg> = counts.chain(inputs.iter().map(|&tensor| Arg::In(tensor))).chain(outputs).collect();
    let (grid, block) = each(count);
    on.outputs(&Call { family, kernel, real, grid, block, args: &args })
}
