//! Replay of one forward and backward pass of a full-size model whose weights are given by a formula.

use std::sync::Arc;

use candle_core::Tensor;

use super::spec::Spec;
use super::{Error, Trace, Verdict};
use crate::clock::Clock;
use crate::kernel::Engine;
use crate::nn::{self, Pass, cross_entropy};
use crate::param::Params;

/// Evaluates, then takes one training pass, and compares logits, loss, and the norms of gradients and running statistics.
pub fn replay(trace: &Trace, spec: &Spec, engine: Engine, mut verdict: Verdict) -> Result<Verdict, Error> {
    let (model, shape) = spec.model.config(trace)?;
    let net = model.build_for(shape, 0, verdict.dtype, &trace.device, engine)?;
    if let Some(theirs) = spec.parameters.filter(|&theirs| theirs != net.params.count()) {
        let ours = net.params.count();
        return Err(trace.error(format!("`{}` trains {ours} numbers, the reference {theirs}", model.name())));
    }
    fill(&net.params)?;
    let (x, y) = (trace.inputs("x", verdict.dtype)?, trace.labels("y")?);
    let evaluated = net.forward(&x, &Pass::Evaluation)?;
    let pass = Pass::Training { tap: None, clock: Arc::new(Clock::new(&trace.device)) };
    let logits = net.forward(&x, &pass)?;
    let loss = cross_entropy(&logits, &y, 0.0)?;
    verdict.compare("loss", &loss, trace.get("loss")?, 1e-4)?;
    if !verdict.is_double() {
        return Ok(verdict);
    }
    // Of a net that is the same in training and evaluation the reference kept one of both.
    let theirs = trace.find("logits_eval").map_or_else(|| trace.get("logits_train"), Ok)?;
    verdict.compare("logits_eval", &evaluated, theirs, 1e-4)?;
    verdict.compare("logits_train", &logits, trace.get("logits_train")?, 1e-4)?;
    let gradients = net.params.gradients(&nn::backward(&loss)?)?;
    for (param, gradient) in net.params.params.iter().zip(&gradients.0) {
        let name = format!("grad_norm/{}", param.name);
        verdict.compare(&name, &norm(gradient)?, trace.get(&name)?, 1e-3)?;
    }
    for buffer in &net.params.buffers {
        let name = format!("running/{}", buffer.name);
        verdict.compare(&name, &norm(buffer.var.as_tensor())?, trace.get(&name)?, 1e-3)?;
    }
    Ok(verdict)
}

fn norm(tensor: &Tensor) -> candle_core::Result<Tensor> {
    tensor.sqr()?.sum_all()?.sqrt()
}

/// Sets every parameter and running statistic by the traces' formula, in the order of their names.
fn fill(params: &Params) -> candle_core::Result<()> {
    let mut named: Vec<_> = params.params.iter().chain(&params.buffers).collect();
    named.sort_by(|a, b| a.name.cmp(&b.name));
    for (k, param) in named.into_iter().enumerate() {
        let dims = param.layout.to_torch(param.var.as_tensor())?.dims().to_vec();
        let count: usize = dims.iter().product();
        let scale_is_one = param.name.ends_with("running_var") || param.name.ends_with("weight");
        let value = |i: usize| match dims.as_slice() {
            [_] if scale_is_one => 1.0 + hash(k, i) / 5.0,
            [_] => hash(k, i) / 5.0,
            _ => hash(k, i) * (24.0 * dims[0] as f64 / count as f64).sqrt(),
        };
        let values: Vec<f64> = (0..count).map(value).collect();
        let theirs = Tensor::from_vec(values, dims.as_slice(), param.var.device())?;
        param.var.set(&param.layout.from_torch(&theirs)?.to_dtype(param.var.dtype())?)?;
    }
    Ok(())
}

/// A number in [−½, ½) for element `i` of parameter `k`.
fn hash(k: usize, i: usize) -> f64 {
    let mut h = (i as u32).wrapping_add(1).wrapping_mul(2_654_435_761);
    h = h.wrapping_add((k as u32).wrapping_add(1).wrapping_mul(2_246_822_519));
    h ^= h >> 15;
    h = h.wrapping_mul(2_246_822_519);
    h ^= h >> 13;
    f64::from(h) / 2f64.powi(32) - 0.5
}
