//! Replay of recorded runs: same start, same batches, same settings, and the numbers must come out the same.
//!
//! A trace is a safetensors file made by a reference implementation in float64. Three kinds exist: a training run, one forward
//! and backward pass of a full-size model, and primitives (statistics of convolutions, the power iteration, Newton's
//! iteration). Names and layouts in it are PyTorch's. Where ours differ from it by more than the tolerance, the replay says where first
//! and where worst.

mod model;
mod primitives;
mod run;
mod spec;
mod trace;
mod verdict;

use std::path::Path;

use candle_core::DType;

use crate::kernel::conv::Engine;

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

/// Replays the trace in `path` with our numbers in `dtype` and compares them tensor by tensor.
///
/// In float64 every recorded tensor is compared. In float32 only what survives rounding is: the first loss, and for nets
/// without batch norm everything within the first eight steps.
pub fn verify(path: &Path, dtype: DType, engine: Engine, tolerance: Option<f64>) -> Result<Verdict, Error> {
    replay(&Trace::open(path)?, engine, Verdict::new(dtype, tolerance))
}

fn replay(trace: &Trace, engine: Engine, verdict: Verdict) -> Result<Verdict, Error> {
    let Some(spec) = spec::read(trace)? else { return primitives::replay(trace, engine, verdict) };
    let Some(optimizer) = &spec.optimizer else { return model::replay(trace, &spec, engine, verdict) };
    if optimizer.intervals().contains(&0) {
        return Err(trace.error("`spec`: an interval of 0".into()));
    }
    if optimizer.rounds() > MOST_ROUNDS {
        let rounds = optimizer.rounds();
        return Err(trace.error(format!("`spec`: an iteration of {rounds} rounds, at most {MOST_ROUNDS} expected")));
    }
    run::replay(trace, &spec, optimizer, engine, verdict)
}

/// Rounds of an iteration: more come no nearer, and a mistyped number would keep a replay busy for years.
const MOST_ROUNDS: usize = 100;

#[cfg(test)]
mod tests;
