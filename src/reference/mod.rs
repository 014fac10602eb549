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
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    #[error(transparent)]
    Optimizer(#[from] crate::optim::Error),
}

/// Replays the trace in `path` with our numbers in `dtype` and compares them tensor by tensor.
///
/// In float64 every recorded tensor is compared. In float32 only what survives rounding is: the first loss, and for nets
/// without batch norm everything within the first eight steps.
pub fn verify(path: &Path, dtype: DType, engine: Engine, tolerance: Option<f64>) -> Result<Verdict, Error> {
    let trace = Trace::open(path)?;
    match spec::read(&trace)? {
        None => primitives::replay(&trace, engine, Verdict::new(dtype, tolerance)),
        Some(spec) => match &spec.optimizer {
            None => model::replay(&trace, &spec, engine, Verdict::new(dtype, tolerance)),
            Some(optimizer) if optimizer.intervals().contains(&0) => {
                Err(trace.error("`spec`: an interval of 0".into()))
            }
            Some(optimizer) => run::replay(&trace, &spec, optimizer, engine, Verdict::new(dtype, tolerance)),
        },
    }
}
