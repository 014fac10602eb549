//! Replay of one pass whose factors were recorded for both ways to share a weight, expand and reduce, empirical Fisher.

use std::sync::Arc;

use candle_core::Tensor;

use super::spec::Spec;
use super::{Error, Trace, Verdict, run};
use crate::clock::Clock;
use crate::kernel::Engine;
use crate::nn::{self, Net, Pass, cross_entropy};
use crate::optim::{
    Damping, Eigenvalues, Fisher, InverterConfig, KfacConfig, MomentsConfig, Optimizer, OptimizerConfig, Precondition,
    Rescale, Scale, Sharing, Side, Sides, Start, Step, Update,
};

/// Takes the pass once for each way and compares the factors of every layer, scale included.
pub fn replay(trace: &Trace, spec: &Spec, engine: Engine, mut verdict: Verdict) -> Result<Verdict, Error> {
    let (model, shape) = spec.model.config(trace)?;
    let net = model.build_for(shape, 0, verdict.dtype, &trace.device, engine)?;
    for (name, sharing) in [("expand", Sharing::Expand), ("reduce", Sharing::Reduce)] {
        run::load(trace, "init/", &net.params)?;
        let optimizer = statistics(trace, &net, sharing, verdict.dtype)?;
        let Some(kfac) = optimizer.kfac() else { continue };
        for (what, side) in [("a", Side::Inputs), ("g", Side::OutputGrads)] {
            let prefix = format!("{name}/{what}/");
            for layer in trace.under(&prefix) {
                let name = format!("{prefix}{layer}");
                let found =
                    kfac.factor(layer, side).and_then(|(block, factor)| Some((block, factor.average.as_ref()?)));
                let Some((block, average)) = found else { return Err(trace.error(format!("no layer for `{name}`"))) };
                let factor = match sharing {
                    Sharing::Expand => average.clone(),
                    // Kept as its rows.
                    Sharing::Reduce => average.t()?.matmul(average)?,
                };
                let factor = if side == Side::Inputs { block.inputs_to_torch(&factor)? } else { factor };
                verdict.compare(&name, &factor, trace.get(&name)?, 1e-3)?;
            }
        }
    }
    Ok(verdict)
}

/// An optimizer that has seen the recorded batch once.
fn statistics(trace: &Trace, net: &Net, sharing: Sharing, dtype: candle_core::DType) -> Result<Optimizer, Error> {
    let mut optimizer = Optimizer::new(&config(sharing), &net.params);
    let clock = Arc::new(Clock::new(&trace.device));
    let tap = optimizer.listens(0).map(|(tap, _)| tap);
    let (x, y): (Tensor, Tensor) = (trace.inputs("x", dtype)?, trace.labels("y")?);
    if let Some(tap) = &tap {
        tap.set_terms(y.elem_count() / y.dim(0)?);
    }
    let pass = Pass::Training { tap, clock: clock.clone() };
    let loss = cross_entropy(&net.forward(&x, &pass)?, &y, 0.0)?;
    let gradients = net.params.gradients(&nn::backward(&loss)?)?;
    let samples = y.elem_count();
    optimizer.step(gradients, &Step { index: 0, lr: 0.0, samples, params: &net.params, clock: &clock })?;
    Ok(optimizer)
}

/// Statistics of one batch, neither averaged nor normalised.
const fn config(sharing: Sharing) -> OptimizerConfig {
    let kfac = KfacConfig {
        factor_every: 1,
        inverse_every: 1,
        fisher: Fisher::Empirical,
        moments: MomentsConfig { scale: Scale::SpatialMean, sharing, decay: 0.0, start: Start::Zero },
        damping: Damping::Absolute { value: 1.0 },
        inverter: InverterConfig::Identity {},
        eigenvalues: Eigenvalues::Products,
        sides: Sides::Both,
        rescale: Rescale::None,
    };
    let update = Update::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0, decay_from: 0 };
    OptimizerConfig {
        clip_norm: None,
        precondition: Some(Precondition::Kfac(kfac)),
        update,
        cautious: false,
        average: None,
        groups: Vec::new(),
    }
}
