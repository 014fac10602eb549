//! What a factorisation on a device needs before and after it: square matrices, a thread an entry.

use candle_core::{Result, Tensor};

use super::{Arg, Call, Launch, Output, each};

/// `A + δI`, in memory of its own.
pub fn damped(on: &impl Launch, matrix: &Tensor, damping: f64) -> Result<Output> {
    let (count, order) = (matrix.elem_count(), matrix.dim(0)?);
    let args = [Arg::Count(count), Arg::Count(order), Arg::Number(damping), Arg::In(matrix), Arg::like(matrix)];
    call(on, "damped", matrix, &args)
}

/// The symmetric matrix of which only the part on and above the diagonal is right.
pub fn mirrored(on: &impl Launch, upper: &Tensor) -> Result<Tensor> {
    let (count, order) = (upper.elem_count(), upper.dim(0)?);
    let args = [Arg::Count(count), Arg::Count(order), Arg::In(upper), Arg::like(upper)];
    Ok(call(on, "mirrored", upper, &args)?.tensor())
}

fn call(on: &impl Launch, kernel: &'static str, matrix: &Tensor, args: &[Arg]) -> Result<Output> {
    let (grid, block) = each(matrix.elem_count());
    let [output] = on.outputs(&Call { family: "matrix", kernel, real: matrix.dtype(), grid, block, args })?;
    Ok(output)
}
