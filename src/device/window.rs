//! Patches of images, and the way back.

use candle_core::{Result, Tensor};

use super::{Arg, Launch, over_images};
use crate::kernel::Geometry;

/// The patches of `x`, `N×H×W×C`, in rows: `(N·H'·W') × (k·k·C)`, zero outside the image.
pub fn patches(on: &impl Launch, g: &Geometry, x: &Tensor) -> Result<Tensor> {
    let out = Arg::shaped((g.pixels(), g.patch()), x);
    let [patches] = over_images(on, ["window", "gather_patches"], g, &[x], [out])?;
    Ok(patches.tensor())
}

/// The transpose of [`patches`]: their gradient added up to that of the images, `N×H×W×C`.
pub fn add_patches(on: &impl Launch, g: &Geometry, patches: &Tensor) -> Result<Tensor> {
    let out = Arg::shaped((g.batch, g.height, g.width, g.inputs), patches);
    let [x] = over_images(on, ["window", "add_patches"], g, &[patches], [out])?;
    Ok(x.tensor())
}
