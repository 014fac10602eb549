//! Batch normalisation over rows of channels, and layer normalisation of each row.

use candle_core::{Result, Tensor};

use super::{Arg, Call, Launch, Output, each};

const FAMILY: &str = "norm";
/// Columns of a block; as in the source.
const COLUMNS: u32 = 32;
/// Threads that share a column; as in the source.
const LANES: u32 = 8;
/// Threads of a row; as in the source.
const ROW_THREADS: u32 = 128;

/// What a batch was normalised by, a number a channel: mean, biased variance and `γ/√(variance + ε)`.
#[derive(Debug)]
pub struct Moments {
    pub mean: Tensor,
    pub variance: Tensor,
    pub factor: Tensor,
}

/// Rows that a block sums, and how many such spans there are: enough blocks for every device, and few sums to put together.
fn spans(rows: usize) -> [usize; 2] {
    let span = rows.div_ceil(1024).max(128);
    [span, rows.div_ceil(span)]
}

/// A launch with a block for 32 columns of a span.
fn by_columns<'a>(kernel: &'static str, x: &Tensor, columns: usize, spans: usize, args: &'a [Arg<'a>]) -> Call<'a> {
    let grid = [columns.div_ceil(COLUMNS as usize), spans];
    Call { family: FAMILY, kernel, real: x.dtype(), grid, block: [COLUMNS, LANES], args }
}

fn by_element<'a>(kernel: &'static str, x: &Tensor, args: &'a [Arg<'a>]) -> Call<'a> {
    let (grid, block) = each(x.elem_count());
    Call { family: FAMILY, kernel, real: x.dtype(), grid, block, args }
}

fn by_row<'a>(kernel: &'static str, x: &Tensor, rows: usize, args: &'a [Arg<'a>]) -> Call<'a> {
    Call { family: FAMILY, kernel, real: x.dtype(), grid: [rows, 1], block: [ROW_THREADS, 1], args }
}

/// Moments of the rows of `x`, `…×C`.
pub fn moments(on: &impl Launch, x: &Tensor, gamma: &Tensor, epsilon: f64) -> Result<Moments> {
    let channels = gamma.elem_count();
    let rows = x.elem_count() / channels;
    let [span, spans] = spans(rows);
    let [means, squares] = on.tensors(&by_columns(
        "span_moments",
        x,
        channels,
        spans,
        &[
            Arg::Count(rows),
            Arg::Count(channels),
            Arg::Count(span),
            Arg::In(x),
            Arg::sums((spans, channels)),
            Arg::sums((spans, channels)),
        ],
    ))?;
    let [mean, variance, factor] = on.tensors(&by_columns(
        "batch_moments",
        x,
        channels,
        1,
        &[
            Arg::Count(spans),
            Arg::Count(rows),
            Arg::Count(channels),
            Arg::Count(span),
            Arg::Number(epsilon),
            Arg::In(gamma),
            Arg::In(&means),
            Arg::In(&squares),
            Arg::like(gamma),
            Arg::like(gamma),
            Arg::like(gamma),
        ],
    ))?;
    Ok(Moments { mean, variance, factor })
}

/// `(x − mean)·factor + shift`, channel by channel, no less than zero if `rectified`.
pub fn affine(on: &impl Launch, x: &Tensor, [mean, factor, shift]: [&Tensor; 3], rectified: bool) -> Result<Output> {
    let [y] = on.outputs(&by_element(
        "channel_affine",
        x,
        &[
            Arg::Count(x.elem_count()),
            Arg::Count(mean.elem_count()),
            Arg::flag(rectified),
            Arg::In(x),
            Arg::In(mean),
            Arg::In(factor),
            Arg::In(shift),
            Arg::like(x),
        ],
    ))?;
    Ok(y)
}

/// Gradients by `x`, `γ` and `β` of a loss whose gradient by the output is `grad`; `rectified` is that output, if it was.
pub fn batch_gradients(
    on: &impl Launch,
    x: &Tensor,
    [mean, variance, gamma]: [&Tensor; 3],
    epsilon: f64,
    grad: &Tensor,
    rectified: Option<&Tensor>,
) -> Result<[Tensor; 3]> {
    let channels = gamma.elem_count();
    let rows = x.elem_count() / channels;
    let [span, spans] = spans(rows);
    let output = rectified.unwrap_or(grad);
    let [products, sums] = on.tensors(&by_columns(
        "span_gradients",
        x,
        channels,
        spans,
        &[
            Arg::Count(rows),
            Arg::Count(channels),
            Arg::Count(span),
            Arg::flag(rectified.is_some()),
            Arg::In(x),
            Arg::In(mean),
            Arg::In(grad),
            Arg::In(output),
            Arg::sums((spans, channels)),
            Arg::sums((spans, channels)),
        ],
    ))?;
    let [dgamma, dbeta, a, b, c] = on.tensors(&by_columns(
        "batch_gradients",
        x,
        channels,
        1,
        &[
            Arg::Count(spans),
            Arg::Count(rows),
            Arg::Count(channels),
            Arg::Number(epsilon),
            Arg::In(variance),
            Arg::In(gamma),
            Arg::In(&products),
            Arg::In(&sums),
            Arg::like(gamma),
            Arg::like(gamma),
            Arg::like(gamma),
            Arg::like(gamma),
            Arg::like(gamma),
        ],
    ))?;
    let [dx] = on.tensors(&by_element(
        "batch_gradient",
        x,
        &[
            Arg::Count(x.elem_count()),
            Arg::Count(channels),
            Arg::flag(rectified.is_some()),
            Arg::In(x),
            Arg::In(mean),
            Arg::In(grad),
            Arg::In(output),
            Arg::In(&a),
            Arg::In(&b),
            Arg::In(&c),
            Arg::like(x),
        ],
    ))?;
    Ok([dx, dgamma, dbeta])
}

/// `γ·(x − mean)/√(variance + ε) + β`, each row along the last axis by its own moments; and its mean and `1/√(variance + ε)`.
pub fn layer_norm(
    on: &impl Launch,
    x: &Tensor,
    [gamma, beta]: [&Tensor; 2],
    epsilon: f64,
) -> Result<(Output, [Tensor; 2])> {
    let columns = gamma.elem_count();
    let rows = x.elem_count() / columns;
    let [y, mean, inverse] = on.outputs(&by_row(
        "layer_norm",
        x,
        rows,
        &[
            Arg::Count(columns),
            Arg::Number(epsilon),
            Arg::In(x),
            Arg::In(gamma),
            Arg::In(beta),
            Arg::like(x),
            Arg::shaped(rows, x),
            Arg::shaped(rows, x),
        ],
    ))?;
    Ok((y, [mean.tensor(), inverse.tensor()]))
}

/// Gradients by `x`, `γ` and `β` of a loss whose gradient by the output is `grad`, with what [`layer_norm`] kept of its rows.
pub fn layer_gradients(
    on: &impl Launch,
    x: &Tensor,
    [mean, inverse]: [&Tensor; 2],
    gamma: &Tensor,
    grad: &Tensor,
) -> Result<[Tensor; 3]> {
    let columns = gamma.elem_count();
    let rows = x.elem_count() / columns;
    let [span, spans] = spans(rows);
    let [dx] = on.tensors(&by_row(
        "layer_gradient",
        x,
        rows,
        &[
            Arg::Count(columns),
            Arg::In(x),
            Arg::In(mean),
            Arg::In(inverse),
            Arg::In(gamma),
            Arg::In(grad),
            Arg::like(x),
        ],
    ))?;
    let [products, sums] = on.tensors(&by_columns(
        "span_layer_gradients",
        x,
        columns,
        spans,
        &[
            Arg::Count(rows),
            Arg::Count(columns),
            Arg::Count(span),
            Arg::In(x),
            Arg::In(mean),
            Arg::In(inverse),
            Arg::In(grad),
            Arg::sums((spans, columns)),
            Arg::sums((spans, columns)),
        ],
    ))?;
    let [dgamma, dbeta] = on.tensors(&by_columns(
        "layer_gradients",
        x,
        columns,
        1,
        &[
            Arg::Count(spans),
            Arg::Count(columns),
            Arg::In(&products),
            Arg::In(&sums),
            Arg::like(gamma),
            Arg::like(gamma),
        ],
    ))?;
    Ok([dx, dgamma, dbeta])
}
