//! The shape of a convolution.

/// Images, channels and window of a convolution with a square kernel, equal strides and equal padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Geometry {
    /// H'; the window must fit.
    #[must_use]
    pub const fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// W'; the window must fit.
    #[must_use]
    pub const fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Output pixels of one image, H'·W'.
    #[must_use]
    pub const fn positions(&self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Output pixels of the batch, N·H'·W'.
    #[must_use]
    pub const fn pixels(&self) -> usize {
        self.batch * self.positions()
    }

    /// Numbers in a patch, k·k·C_in.
    #[must_use]
    pub const fn patch(&self) -> usize {
        self.kernel * self.kernel * self.inputs
    }

    /// Numbers in an input image, H·W·C_in.
    #[must_use]
    pub const fn image(&self) -> usize {
        self.height * self.width * self.inputs
    }

    /// Whether each patch is just one input pixel, in order.
    #[must_use]
    pub const fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }

    /// For output row or column `at`, the taps that fall on an edge of `size` pixels and the pixel under the first of them.
    #[must_use]
    pub fn reach(&self, at: usize, size: usize) -> (std::ops::Range<usize>, usize) {
        let start = at * self.stride;
        let first = self.padding.saturating_sub(start);
        let last = (size + self.padding).saturating_sub(start).min(self.kernel);
        (first..last.max(first), start + first - self.padding)
    }
}
