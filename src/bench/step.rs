//! The time of a training step, by phase: medians over some steps on random images or tokens.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use serde::Serialize;

use super::median;
use crate::clock::{Clock, Phase, Seconds};
use crate::kernel::Engine;
use crate::nn::zoo::{Input, ModelConfig, Shape};
use crate::nn::{self, Net, Pass, bernoulli, cross_entropy};
use crate::optim::{self, InverterConfig, Optimizer, OptimizerConfig, Precondition, Step, Update};
use crate::random::Random;
use crate::train::memory;

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct StepSettings {
    pub model: ModelConfig,
    pub shape: Shape,
    /// Images or texts a step.
    pub batch: usize,
    pub optimizer: OptimizerConfig,
    pub engine: Engine,
    pub device: Device,
    /// Plain steps; where an optimizer keeps curvature there are as many again that update it.
    pub steps: usize,
}

/// Medians, in seconds, and memory. `None` where an optimizer has no such part.
#[derive(Debug, Clone, Serialize)]
pub struct StepTimes {
    pub forward: f64,
    pub backward: f64,
    /// Statistics of all layers, once.
    pub moments: Option<f64>,
    /// Damping of all factors, once.
    pub damping: Option<f64>,
    /// Inversion of all factors, once, without damping; exact, or by Newton where that is the optimizer's way. New bases, where it has those.
    pub inversion: Option<f64>,
    /// Newton's rounds for all factors, damping included.
    pub inversion_newton: Option<f64>,
    /// Exact inverses of all factors, damping included.
    pub inversion_exact: Option<f64>,
    pub preconditioning: Option<f64>,
    pub update: f64,
    /// A plain step: no inversion in it, and no statistics but such as every step takes.
    pub total: f64,
    /// A step on average, statistics and inverses coming as often as the optimizer's intervals say.
    pub mean: f64,
    /// What the optimizer remembers in its tensors, in bytes a parameter.
    pub state_bytes: f64,
    /// The net's forward pass in evaluation, on as many inputs.
    pub eval_forward: f64,
    /// The most memory the process held, in units of 2²⁰ bytes; `None` where the system does not tell.
    pub peak_rss_mb: Option<f64>,
}

/// What a step does besides training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Statistics,
    Newton,
    Exact,
}

/// Statistics are taken in every second step, inverses in every fourth, by turns exact and by Newton.
const FACTOR_EVERY: usize = 2;
const INVERSE_EVERY: usize = 4;
const EXACT_EVERY: usize = 2;

/// Measures training steps.
///
/// # Errors
/// Those of the model and the optimizer.
pub fn step(settings: &StepSettings) -> Result<StepTimes, optim::Error> {
    memory::reset_peak();
    let device = &settings.device;
    let net = settings.model.build_for(settings.shape, 1, DType::F32, device, settings.engine)?;
    let config = often(settings.optimizer.clone());
    let mut optimizer = Optimizer::new(&config, &net.params);
    let intervals = intervals(&settings.optimizer);
    let curvature = intervals.is_some();
    let inverts = config.precondition.is_some();
    let newton = matches!(
        &config.precondition,
        Some(Precondition::Kfac(config)) if matches!(config.inverter, InverterConfig::Newton { .. })
    );
    let (images, labels) = batch(settings)?;
    let clock = Arc::new(Clock::new(device));
    // A first step warms up; with curvature a whole period does, so that no buffer is made on the clock.
    // The period that follows has both kinds of inverses in it.
    let period = INVERSE_EVERY * EXACT_EVERY;
    let (warm, steps) = if curvature { (INVERSE_EVERY, (2 * settings.steps).max(period)) } else { (2, settings.steps) };
    let mut timed = Vec::with_capacity(steps);
    for index in 0..warm + steps {
        let before = clock.seconds();
        train(&net, &mut optimizer, (&images, &labels), index, &clock)?;
        let after = clock.seconds();
        let spent: Seconds = std::array::from_fn(|i| after[i] - before[i]);
        if index >= warm {
            timed.push((kind(index, curvature, newton), spent));
        }
    }
    let eval_forward = evaluate(&net, &images, settings.steps.div_ceil(2).max(3))?;
    let of = |kinds: &[Kind], phases: &[Phase]| {
        let spent = timed.iter().filter(|(kind, _)| kinds.contains(kind));
        median(spent.map(|(_, seconds)| phases.iter().map(|&phase| seconds[phase as usize]).sum()).collect())
    };
    let every = |phase: Phase| of(&[Kind::Plain], &[phase]);
    let refreshes: &[Kind] = if newton { &[Kind::Newton] } else { &[Kind::Exact] };
    let both = [Phase::Damping, Phase::Inversion];
    let total = of(&[Kind::Plain], &Phase::ALL);
    let moments = curvature.then(|| of(&[Kind::Statistics], &[Phase::Moments]));
    let mean = intervals.map_or(total, |[statistics, refresh]| {
        let shares = [(statistics, moments.unwrap_or_default()), (refresh, of(refreshes, &both))];
        // What comes in every step is in a plain one.
        total + shares.iter().filter(|(every, _)| *every > 1).map(|(every, once)| once / *every as f64).sum::<f64>()
    });
    Ok(StepTimes {
        forward: every(Phase::Forward),
        backward: every(Phase::Backward),
        moments,
        damping: inverts.then(|| of(&[Kind::Newton, Kind::Exact], &[Phase::Damping])),
        inversion: curvature.then(|| of(refreshes, &[Phase::Inversion])),
        inversion_newton: newton.then(|| of(&[Kind::Newton], &both)),
        inversion_exact: inverts.then(|| of(&[Kind::Exact], &both)),
        preconditioning: curvature.then(|| every(Phase::Preconditioning)),
        update: every(Phase::Update),
        total,
        mean,
        state_bytes: bytes(&optimizer) / net.params.count() as f64,
        eval_forward,
        peak_rss_mb: memory::peak().map(|bytes| bytes as f64 / (1 << 20) as f64),
    })
}

/// Steps between statistics and between inverses or bases, where an optimizer has such.
const fn intervals(config: &OptimizerConfig) -> Option<[usize; 2]> {
    match (&config.precondition, config.update) {
        (Some(Precondition::Kfac(kfac)), _) => Some([kfac.factor_every, kfac.inverse_every]),
        (Some(Precondition::Shampoo(shampoo)), _) => Some([shampoo.factor_every, shampoo.root_every]),
        (None, Update::Soap { precondition_every, .. } | Update::KlShampoo { precondition_every, .. }) => {
            Some([1, precondition_every])
        }
        (None, _) => None,
    }
}

/// Bytes of all tensors that an optimizer remembers.
fn bytes(optimizer: &Optimizer) -> f64 {
    let state = optimizer.state();
    state.tensors.values().map(|tensor| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as f64).sum()
}

/// The optimizer with intervals so short that a few steps show all that it does.
fn often(mut config: OptimizerConfig) -> OptimizerConfig {
    match &mut config.precondition {
        Some(Precondition::Kfac(kfac)) => {
            (kfac.factor_every, kfac.inverse_every) = (FACTOR_EVERY, INVERSE_EVERY);
            if let InverterConfig::Newton { exact_until, exact_every, .. } = &mut kfac.inverter {
                (*exact_until, *exact_every) = (0, EXACT_EVERY);
            }
        }
        Some(Precondition::Shampoo(shampoo)) => {
            (shampoo.factor_every, shampoo.root_every) = (FACTOR_EVERY, INVERSE_EVERY);
        }
        None => {}
    }
    if let Update::Soap { precondition_every, .. } | Update::KlShampoo { precondition_every, .. } = &mut config.update {
        *precondition_every = INVERSE_EVERY;
    }
    config
}

const fn kind(index: usize, curvature: bool, newton: bool) -> Kind {
    if !curvature || !index.is_multiple_of(FACTOR_EVERY) {
        Kind::Plain
    } else if !index.is_multiple_of(INVERSE_EVERY) {
        Kind::Statistics
    } else if newton && !(index / INVERSE_EVERY).is_multiple_of(EXACT_EVERY) {
        Kind::Newton
    } else {
        Kind::Exact
    }
}

/// One step, on the clock.
fn train(
    net: &Net,
    optimizer: &mut Optimizer,
    (images, labels): (&Tensor, &Tensor),
    index: usize,
    clock: &Arc<Clock>,
) -> Result<(), optim::Error> {
    let _running = clock.start();
    let tap = optimizer.listens(index).map(|(tap, _)| tap);
    if let Some(tap) = &tap {
        tap.set_whole(true);
    }
    let pass = Pass::Training { tap, clock: clock.clone() };
    let forward = clock.phase(Phase::Forward);
    let outputs = net.forward(images, &pass)?;
    let loss =
        if labels.dtype().is_float() { bernoulli(&outputs, labels) } else { cross_entropy(&outputs, labels, 0.0) }?;
    drop(forward);
    let backward = clock.phase(Phase::Backward);
    let gradients = net.params.gradients(&nn::backward(&loss)?)?;
    drop(loss);
    drop(backward);
    optimizer.step(gradients, &Step { index, lr: 0.01, samples: images.dim(0)?, params: &net.params, clock })
}

/// The median time of a forward pass in evaluation.
fn evaluate(net: &Net, images: &Tensor, passes: usize) -> candle_core::Result<f64> {
    let mut seconds = Vec::with_capacity(passes);
    for pass in 0..=passes {
        let start = Instant::now();
        net.forward(images, &Pass::Evaluation)?;
        images.device().synchronize()?;
        if pass > 0 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(median(seconds))
}

/// Normal images or tokens drawn evenly, and labels that say nothing: classes, or what an autoencoder is to give back.
fn batch(settings: &StepSettings) -> candle_core::Result<(Tensor, Tensor)> {
    let (batch, shape) = (settings.batch, settings.shape);
    let mut random = Random::new(1, "bench");
    let device = &settings.device;
    if let ModelConfig::Autoencoder(_) = settings.model {
        let mut numbers = || -> Vec<f32> { (0..batch * shape.outputs).map(|_| random.uniform() as f32).collect() };
        let [inputs, targets] = [numbers(), numbers()].map(|n| Tensor::from_vec(n, (batch, shape.outputs), device));
        return Ok((inputs?, targets?));
    }
    let mut below =
        |count: usize, limit: usize| -> Vec<u32> { (0..count).map(|_| random.below(limit) as u32).collect() };
    match shape.input {
        Input::Images { channels, height, width } => {
            let labels = Tensor::new(below(batch, shape.outputs), device)?;
            let values: Vec<f32> = (0..batch * height * width * channels).map(|_| random.normal() as f32).collect();
            Ok((Tensor::from_vec(values, (batch, height, width, channels), device)?, labels))
        }
        Input::Vectors { size } => {
            let labels = Tensor::new(below(batch, shape.outputs), device)?;
            let values: Vec<f32> = (0..batch * size).map(|_| random.normal() as f32).collect();
            Ok((Tensor::from_vec(values, (batch, size), device)?, labels))
        }
        Input::Tokens { vocabulary, context } => {
            let mut tokens = |limit| Tensor::from_vec(below(batch * context, limit), (batch, context), device);
            Ok((tokens(vocabulary)?, tokens(shape.outputs)?))
        }
    }
}
