//! Softmax cross-entropy with label smoothing, a block a row of logits.

use candle_core::{DType, Result, Tensor};

use super::{Arg, Call, Launch, Output};

/// The mean loss of `logits`, `…×K`, under `labels` in u32, `…`: a scalar.
pub fn cross_entropy(on: &impl Launch, logits: &Tensor, labels: &Tensor, smoothing: f64) -> Result<Output> {
    let (rows, classes) = (labels.elem_count(), logits.elem_count() / labels.elem_count());
    let [losses] = on.tensors(&by_block(
        "row_losses",
        logits,
        rows,
        &[
            Arg::Count(classes),
            Arg::Number(smoothing),
            Arg::In(logits),
            Arg::In(labels),
            Arg::Out(rows.into(), DType::F64),
        ],
    ))?;
    let args = [Arg::Count(rows), Arg::In(&losses), Arg::shaped((), logits)];
    let [mean] = on.outputs(&by_block("mean_loss", logits, 1, &args))?;
    Ok(mean)
}

/// The gradient by the logits, where that by the mean loss is the scalar `grad`.
pub fn cross_entropy_gradient(
    on: &impl Launch,
    [logits, labels, grad]: [&Tensor; 3],
    smoothing: f64,
) -> Result<Tensor> {
    let (rows, classes) = (labels.elem_count(), logits.elem_count() / labels.elem_count());
    let [dlogits] = on.tensors(&by_block(
        "loss_gradient",
        logits,
        rows,
        &[
            Arg::Count(rows),
            Arg::Count(classes),
            Arg::Number(smoothing),
            Arg::In(logits),
            Arg::In(labels),
            Arg::In(grad),
            Arg::like(logits),
        ],
    ))?;
    Ok(dlogits)
}

/// As many threads a block as in the source.
fn by_block<'a>(kernel: &'static str, logits: &Tensor, blocks: usize, args: &'a [Arg<'a>]) -> Call<'a> {
    Call { family: "loss", kernel, real: logits.dtype(), grid: [blocks, 1], block: [128, 1], args }
}
