//! Sliding windows over `N×H×W×C` as candle operations, for any device: the portable ground of convolution and pooling.

use candle_core::{Result, Tensor};

use crate::device;
use crate::kernel::Geometry;

/// A square window that slides over height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Window {
    /// Whether patches are the pixels themselves, in order.
    pub const fn is_a_pixel(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }

    /// How many positions the window takes along an edge of `size` pixels; an error where it does not fit once.
    pub fn positions(&self, size: usize) -> Result<usize> {
        let padded = size + 2 * self.padding;
        if padded < self.kernel {
            candle_core::bail!(
                "a window of {} does not fit into {size} pixels with padding {}",
                self.kernel,
                self.padding
            )
        }
        Ok((padded - self.kernel) / self.stride + 1)
    }

    /// Where it slides over `x`, `N×H×W×C`, and gives so many channels.
    pub fn geometry(&self, x: &Tensor, outputs: usize) -> Result<Geometry> {
        let (batch, height, width, inputs) = x.dims4()?;
        // Checks that the window fits.
        self.positions(height.min(width))?;
        let Self { kernel, stride, padding } = *self;
        Ok(Geometry { batch, height, width, inputs, outputs, kernel, stride, padding })
    }

    /// The k² shifted images, each `N×H'×W'×C`, taps in row order; pixels outside the image are `fill`.
    pub fn slices(&self, x: &Tensor, fill: f64) -> Result<Vec<Tensor>> {
        let (_, height, width, _) = x.dims4()?;
        let (rows, columns) = (self.positions(height)?, self.positions(width)?);
        let x = self.pad(&self.pad(x, 1, rows, fill)?, 2, columns, fill)?;
        self.taps().map(|(dy, dx)| self.every(&self.every(&x, 1, dy, rows)?, 2, dx, columns)).collect()
    }

    /// The patches in rows, `(N·H'·W') × (k²·C)`; pixels outside the image are zero.
    pub fn patches(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(gpu) = device::of(&[x]) {
            return device::window::patches(&gpu, &self.geometry(x, x.dim(3)?)?, x);
        }
        let patches = Tensor::cat(&self.slices(x, 0.0)?, 3)?;
        patches.reshape(((), patches.dim(3)?))
    }

    /// The transpose of [`patches`](Self::patches): adds rows up to images like `x`, `N×H×W×C`.
    pub fn add_patches(&self, patches: &Tensor, x: &Tensor) -> Result<Tensor> {
        let g = self.geometry(x, x.dim(3)?)?;
        if let Some(gpu) = device::of(&[patches]) {
            return device::window::add_patches(&gpu, &g, patches);
        }
        let patches = patches.reshape((g.batch, g.out_height(), g.out_width(), g.patch()))?;
        let taps = self.kernel * self.kernel;
        let slices: Result<Vec<Tensor>> = (0..taps).map(|tap| patches.narrow(3, tap * g.inputs, g.inputs)).collect();
        self.fold(&slices?, g.height, g.width)
    }

    /// The transpose of [`slices`](Self::slices): adds k² images, each `N×H'×W'×C`, into one of `N×height×width×C`.
    pub fn fold(&self, slices: &[Tensor], height: usize, width: usize) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for (slice, (dy, dx)) in slices.iter().zip(self.taps()) {
            let spread = self.spread(&self.spread(slice, 1, dy)?, 2, dx)?;
            sum = Some(match sum {
                Some(sum) => (sum + spread)?,
                None => spread,
            });
        }
        let Some(sum) = sum else { candle_core::bail!("a window without taps") };
        // Rows that no window reaches are missing at the end, rows of padding are too many at the start.
        let sum = sum.pad_with_zeros(1, 0, height)?.narrow(1, self.padding, height)?;
        sum.pad_with_zeros(2, 0, width)?.narrow(2, self.padding, width)?.contiguous()
    }

    fn taps(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let kernel = self.kernel;
        (0..kernel).flat_map(move |dy| (0..kernel).map(move |dx| (dy, dx)))
    }

    /// Pads to the length that `positions` strides of every tap need.
    fn pad(&self, x: &Tensor, dim: usize, positions: usize, fill: f64) -> Result<Tensor> {
        let size = x.dim(dim)?;
        let needed = self.stride * positions + self.kernel - 1;
        let (before, after) = (self.padding, needed - self.padding - size);
        if fill == 0.0 {
            return x.pad_with_zeros(dim, before, after);
        }
        let edge = |length| {
            let mut dims = x.dims().to_vec();
            dims[dim] = length;
            Tensor::full(fill as f32, dims, x.device())?.to_dtype(x.dtype())
        };
        Tensor::cat(&[&edge(before)?, x, &edge(after)?], dim)
    }

    /// Pixels `offset, offset + stride, …`, as many as there are positions.
    fn every(&self, x: &Tensor, dim: usize, offset: usize, positions: usize) -> Result<Tensor> {
        let run = x.narrow(dim, offset, self.stride * positions)?.contiguous()?;
        if self.stride == 1 {
            return Ok(run);
        }
        let mut dims = run.dims().to_vec();
        dims.splice(dim..=dim, [positions, self.stride]);
        run.reshape(dims)?.narrow(dim + 1, 0, 1)?.squeeze(dim + 1)?.contiguous()
    }

    /// The transpose of `every`: puts pixels `stride` apart, behind `offset` zeros; all taps give the same length.
    fn spread(&self, x: &Tensor, dim: usize, offset: usize) -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        dims[dim] *= self.stride;
        let spaced = x.unsqueeze(dim + 1)?.pad_with_zeros(dim + 1, 0, self.stride - 1)?.reshape(dims)?;
        spaced.pad_with_zeros(dim, offset, self.kernel - 1 - offset)
    }
}

#[cfg(test)]
mod tests {
    use super::Window;
    use candle_core::{Device, Result, Tensor};
    use proptest::prelude::*;

    fn inner(a: &Tensor, b: &Tensor) -> Result<f64> {
        (a * b)?.sum_all()?.to_scalar()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// ⟨slices(x), y⟩ = ⟨x, fold(y)⟩ for every geometry.
        #[test]
        fn fold_is_the_transpose_of_slices(
            kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3, height in 4usize..9, width in 4usize..9,
        ) {
            let window = Window { kernel, stride, padding };
            let x = Tensor::randn(0f64, 1., (2, height, width, 3), &Device::Cpu).unwrap();
            let slices = window.slices(&x, 0.0).unwrap();
            let ys: Vec<Tensor> = slices.iter().map(|slice| slice.randn_like(0., 1.).unwrap()).collect();
            let left: f64 = slices.iter().zip(&ys).map(|(slice, y)| inner(slice, y).unwrap()).sum();
            let right = inner(&x, &window.fold(&ys, height, width).unwrap()).unwrap();
            prop_assert!((left - right).abs() < 1e-9, "{left} and {right}");
        }
    }
}
