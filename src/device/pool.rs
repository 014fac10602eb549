//! Max and average pooling over `N×H×W×C`, for any window.

use candle_core::{DType, Result, Tensor};

use super::{Arg, Call, Launch, Output, each, over_images};
use crate::kernel::Geometry;

/// The largest value in each window and the pixel of its image that holds it; the first of equals, and padding never.
pub fn max(on: &impl Launch, g: &Geometry, x: &Tensor) -> Result<(Output, Tensor)> {
    let winners = Arg::Out(pooled(g).into(), DType::U32);
    let [y, winners] = over_images(on, ["pool", "max_pool"], g, &[x], [Arg::shaped(pooled(g), x), winners])?;
    Ok((y, winners.tensor()))
}

/// Sends each gradient to its winner.
pub fn max_gradient(on: &impl Launch, g: &Geometry, grad: &Tensor, winners: &Tensor) -> Result<Tensor> {
    let out = Arg::shaped(images(g), grad);
    let [dx] = over_images(on, ["pool", "max_pool_gradient"], g, &[grad, winners], [out])?;
    Ok(dx.tensor())
}

/// The mean of each window, zeros of the padding counted.
pub fn average(on: &impl Launch, g: &Geometry, x: &Tensor) -> Result<Output> {
    let [y] = over_images(on, ["pool", "average_pool"], g, &[x], [Arg::shaped(pooled(g), x)])?;
    Ok(y)
}

/// The transpose of [`average`].
pub fn average_gradient(on: &impl Launch, g: &Geometry, grad: &Tensor) -> Result<Tensor> {
    let out = Arg::shaped(images(g), grad);
    let [dx] = over_images(on, ["pool", "average_pool_gradient"], g, &[grad], [out])?;
    Ok(dx.tensor())
}

/// Means over height and width, `N×C`.
pub fn global_average(on: &impl Launch, x: &Tensor) -> Result<Output> {
    let (batch, height, width, channels) = x.dims4()?;
    over_pixels(on, "global_average", [height * width, channels], x, Arg::shaped((batch, channels), x))
}

/// The transpose of [`global_average`], for images like `x`.
pub fn global_average_gradient(on: &impl Launch, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (_, height, width, channels) = x.dims4()?;
    let dx = over_pixels(on, "global_average_gradient", [height * width, channels], grad, Arg::like(x))?;
    Ok(dx.tensor())
}

fn over_pixels(
    on: &impl Launch,
    kernel: &'static str,
    [pixels, channels]: [usize; 2],
    from: &Tensor,
    out: Arg,
) -> Result<Output> {
    let count = out.count();
    let args = [Arg::Count(count), Arg::Count(pixels), Arg::Count(channels), Arg::In(from), out];
    let (grid, block) = each(count);
    let [output] = on.outputs(&Call { family: "pool", kernel, real: from.dtype(), grid, block, args: &args })?;
    Ok(output)
}

fn pooled(g: &Geometry) -> (usize, usize, usize, usize) {
    (g.batch, g.out_height(), g.out_width(), g.inputs)
}

fn images(g: &Geometry) -> (usize, usize, usize, usize) {
    (g.batch, g.height, g.width, g.inputs)
}
