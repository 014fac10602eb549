//! Replay of recorded runs: same start, same batches, same settings, and the numbers must come out the same.
//!
//! A trace is a safetensors file made by a reference implementation in float64. Four kinds exist: a training run, one forward
//! and backward pass of a full-size model, the factors of one pass by both ways to share a weight, and primitives (statistics of
//! convolutions, the power iteration, Newton's iteration). Names and layouts in it are PyTorch's. Where ours differ from it by more than the tolerance, the replay says where first
//! and where worst.

mod model;
mod net;
mod primitives;
mod run;
mod sharing;
mod spec;
mod trace;
mod verdict;
mod words;

use std::path::Path;

use candle_core::{DType, Device};

use crate::kernel::Engine;

use trace::Trace;
pub use verdict::{Deviation, Verdict};

/// Why a trace could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {message}")]
    Trace { path: String, message: String },
    #[error("{}", crate::cause::message(.0))]
    Candle(#[from] candle_core::Error),
    #[error(transparent)]
    Optimizer(#[from] crate::optim::Error),
}

/// Replays the trace in `path` on `device`, with our numbers in `dtype`, and compares them tensor by tensor.
///
/// In float64 every recorded tensor is compared. In float32 only what survives rounding is: the first loss, and for nets
/// without batch norm everything within the first eight steps.
pub fn verify(
    path: &Path,
    dtype: DType,
    engine: Engine,
    device: &Device,
    tolerance: Option<f64>,
) -> Result<Verdict, Error> {
    replay(&Trace::open(path, device)?, engine, Verdict::new(dtype, tolerance))
}

fn replay(trace: &Trace, engine: Engine, verdict: Verdict) -> Result<Verdict, Error> {
    let Some(spec) = spec::read(trace)? else { return primitives::replay(trace, engine, verdict) };
    match spec.task.as_deref() {
        None => {}
        Some("sharing") => return sharing::replay(trace, &spec, engine, verdict),
        Some(task) => return Err(trace.error(format!("`spec`: no task `{task}`, only `sharing`"))),
    }
    let Some(optimizer) = &spec.optimizer else { return model::replay(trace, &spec, engine, verdict) };
    let optimizer = optimizer.optimizer().map_err(|message| trace.error(format!("`spec`: {message}")))?;
    run::replay(trace, &spec, &optimizer, engine, verdict)
}

/// Rounds of an iteration: more come no nearer, and a mistyped number would keep a replay busy for years.
const MOST_ROUNDS: usize = 100;

#[cfg(test)]
mod tests;
