//! Replay of a training run: every loss, and the parameters, gradients, factors and inverses that were kept.

use std::sync::Arc;

use candle_core::Tensor;

use super::spec::Spec;
use super::words::Optimizer as Recorded;
use super::{Error, Trace, Verdict};
use crate::clock::Clock;
use crate::kernel::Engine;
use crate::nn::{self, Net, Pass, cross_entropy};
use crate::optim::{Optimizer, Side, Step};
use crate::param::{Params, Updates};

/// Steps after which float32 is no longer compared, for rounding grows.
const SINGLE_STEPS: usize = 8;

/// Trains as recorded and compares along the way.
pub fn replay(
    trace: &Trace,
    spec: &Spec,
    recorded: &Recorded,
    engine: Engine,
    mut verdict: Verdict,
) -> Result<Verdict, Error> {
    let (model, shape) = spec.model.config(trace)?;
    let net = model.build_for(shape, 0, verdict.dtype, &trace.device, engine)?;
    load(trace, "init/", &net.params)?;
    let lr = recorded.lr;
    let mut optimizer = Optimizer::new(&recorded.config, &net.params);
    let clock = Arc::new(Clock::new(&trace.device));
    let losses = trace.get("loss")?;
    for index in 0..spec.steps {
        let (loss, gradients) = gradients(trace, &net, &optimizer, index, &clock, verdict.dtype)?;
        if verdict.is_double() || index < compared_steps(&net.params) {
            let single = if index == 0 { 1e-4 } else { 1e-3 };
            verdict.compare(&format!("loss/{index}"), &loss, &losses.get(index)?, single)?;
            compare_gradients(trace, &net.params, &gradients, index, &mut verdict)?;
        }
        let samples = trace.labels(&format!("y/{index}"))?.elem_count();
        optimizer.step(gradients, &Step { index, lr, samples, params: &net.params, clock: &clock })?;
        if verdict.is_double() || index < compared_steps(&net.params) {
            compare_params(trace, &net.params, index, &mut verdict)?;
            compare_factors(trace, &optimizer, index, &mut verdict)?;
        }
        if !verdict.is_double() && index + 1 == compared_steps(&net.params) {
            return Ok(verdict);
        }
    }
    compare_evaluated(trace, &net.params, &optimizer, &mut verdict)?;
    Ok(verdict)
}

/// How many steps can be compared in float32: deep nets with batch norm amplify rounding too fast.
fn compared_steps(params: &Params) -> usize {
    if params.buffers.is_empty() { SINGLE_STEPS } else { 1 }
}

fn gradients(
    trace: &Trace,
    net: &Net,
    optimizer: &Optimizer,
    index: usize,
    clock: &Arc<Clock>,
    dtype: candle_core::DType,
) -> Result<(Tensor, Updates), Error> {
    let tap = optimizer.listens(index).map(|(tap, _)| tap);
    if let Some(tap) = &tap {
        tap.set_whole(true);
    }
    let pass = Pass::Training { tap, clock: clock.clone() };
    let logits = net.forward(&trace.inputs(&format!("x/{index}"), dtype)?, &pass)?;
    let loss = cross_entropy(&logits, &trace.labels(&format!("y/{index}"))?, 0.0)?;
    let gradients = net.params.gradients(&nn::backward(&loss)?)?;
    Ok((loss.detach(), gradients))
}

/// Fills parameters and running statistics from the tensors under `prefix`.
pub fn load(trace: &Trace, prefix: &str, params: &Params) -> Result<(), Error> {
    for param in params.params.iter().chain(&params.buffers) {
        let theirs = trace.get(&format!("{prefix}{}", param.name))?;
        param.var.set(&param.layout.from_torch(&theirs.to_dtype(param.var.dtype())?)?)?;
    }
    Ok(())
}

fn compare_gradients(
    trace: &Trace,
    params: &Params,
    gradients: &Updates,
    index: usize,
    verdict: &mut Verdict,
) -> Result<(), Error> {
    for (param, gradient) in params.params.iter().zip(&gradients.0) {
        let name = format!("grad/{index}/{}", param.name);
        if let Some(theirs) = trace.find(&name) {
            verdict.compare(&name, &param.layout.to_torch(gradient)?, theirs, 1e-3)?;
        }
    }
    Ok(())
}

fn compare_params(trace: &Trace, params: &Params, index: usize, verdict: &mut Verdict) -> Result<(), Error> {
    for param in params.params.iter().chain(&params.buffers) {
        let name = format!("param/{index}/{}", param.name);
        if let Some(theirs) = trace.find(&name) {
            verdict.compare(&name, &param.layout.to_torch(param.var.as_tensor())?, theirs, 1e-3)?;
        }
    }
    Ok(())
}

/// The point that is evaluated, where it is not the one that is trained.
fn compare_evaluated(
    trace: &Trace,
    params: &Params,
    optimizer: &Optimizer,
    verdict: &mut Verdict,
) -> Result<(), Error> {
    let point = optimizer.evaluated(params)?;
    for (i, param) in params.params.iter().enumerate() {
        let name = format!("evaluated/{}", param.name);
        if let Some(theirs) = trace.find(&name) {
            let ours = point.as_ref().and_then(|point| point.get(i)).unwrap_or_else(|| param.var.as_tensor());
            verdict.compare(&name, &param.layout.to_torch(ours)?, theirs, 1e-3)?;
        }
    }
    Ok(())
}

fn compare_factors(trace: &Trace, optimizer: &Optimizer, index: usize, verdict: &mut Verdict) -> Result<(), Error> {
    let Some(kfac) = optimizer.kfac() else { return Ok(()) };
    for what in ["factor_a", "factor_g", "inverse_a", "inverse_g"] {
        let side = if what.ends_with('a') { Side::Inputs } else { Side::OutputGrads };
        let prefix = format!("{what}/{index}/");
        for layer in trace.under(&prefix) {
            let name = format!("{prefix}{layer}");
            let Some((block, factor)) = kfac.factor(layer, side) else {
                return Err(trace.error(format!("no layer for `{name}`")));
            };
            let ours = match &factor.inverse {
                Some(inverse) if what.starts_with("inverse") => Some(inverse.dense()?),
                _ => factor.average.clone(),
            };
            let Some(ours) = ours else { return Err(trace.error(format!("no value for `{name}`"))) };
            let ours = match side {
                Side::Inputs => block.inputs_to_torch(&ours)?,
                Side::OutputGrads => ours,
            };
            verdict.compare(&name, &ours, trace.get(&name)?, 1e-3)?;
        }
    }
    Ok(())
}
