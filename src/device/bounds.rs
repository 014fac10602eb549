//! Tensors brought to a length or back below one, by numbers that never leave the device.

use candle_core::{DType, Device, Result, Tensor};

use super::{Arg, Call, Launch, each};

/// Threads of a block; as in the source.
const THREADS: usize = 256;
/// The least that a block sums.
const SPAN: usize = 4096;

/// `Σ⟨a, b⟩` over the pairs, in float64.
///
/// # Errors
/// The device's.
pub fn inner<'a>(
    on: &impl Launch,
    pairs: impl IntoIterator<Item = [&'a Tensor; 2]>,
    device: &Device,
) -> Result<Tensor> {
    let zero = Tensor::zeros(1, DType::F64, device)?;
    pairs.into_iter().try_fold(zero, |before, [a, b]| {
        let count = a.elem_count();
        // So few that the block which adds the spans has as many for each of its threads.
        let span = SPAN.max(count.div_ceil(SPAN));
        let spans = count.div_ceil(span);
        let args = [Arg::Count(count), Arg::Count(span), Arg::In(a), Arg::In(b), Arg::sums(spans)];
        let [sums] = on.tensors(&by_block("span_inner", a, spans, &args))?;
        let args = [Arg::Count(spans), Arg::In(&before), Arg::In(&sums), Arg::sums(1)];
        let [sum] = on.tensors(&by_block("add_spans", a, 1, &args))?;
        Ok(sum)
    })
}

/// `x·‖other‖/(‖x‖ + ε)`, by the squares of both norms.
///
/// # Errors
/// The device's.
pub fn to_norm(on: &impl Launch, x: &Tensor, [own, other]: [&Tensor; 2], epsilon: f64) -> Result<Tensor> {
    let numbers = [Arg::Count(x.elem_count()), Arg::Number(epsilon)];
    by_element(on, "to_norm", x, numbers.into_iter().chain([x, own, other].map(Arg::In)).collect())
}

/// `x·min(1, limit/(√inner + ε))`, and `x` where `inner` is not positive.
///
/// # Errors
/// The device's.
pub fn bounded(on: &impl Launch, x: &Tensor, inner: &Tensor, limit: f64, epsilon: f64) -> Result<Tensor> {
    let numbers = [Arg::Count(x.elem_count()), Arg::Number(limit), Arg::Number(epsilon)];
    by_element(on, "bounded", x, numbers.into_iter().chain([x, inner].map(Arg::In)).collect())
}

fn by_block<'a>(kernel: &'static str, like: &Tensor, blocks: usize, args: &'a [Arg<'a>]) -> Call<'a> {
    Call { family: "bounds", kernel, real: like.dtype(), grid: [blocks, 1], block: [THREADS as u32, 1], args }
}

fn by_element<'a>(on: &impl Launch, kernel: &'static str, x: &'a Tensor, mut args: Vec<Arg<'a>>) -> Result<Tensor> {
    args.push(Arg::like(x));
    let (grid, block) = each(x.elem_count());
    let [y] = on.tensors(&Call { family: "bounds", kernel, real: x.dtype(), grid, block, args: &args })?;
    Ok(y)
}
