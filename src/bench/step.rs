//! The time of a training step, by phase: medians over some steps on random images.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use serde::Serialize;

use super::median;
use crate::clock::{Clock, Phase, Seconds};
use crate::kernel::conv::Engine;
use crate::nn::zoo::{ModelConfig, Shape};
use crate::nn::{self, Net, Pass, cross_entropy};
use crate::optim::{self, InverterConfig, Optimizer, OptimizerConfig, Precondition, Step};
use crate::random::Random;
use crate::train::memory;

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct StepSettings {
    pub model: ModelConfig,
    pub shape: Shape,
    /// Images a step.
    pub batch: usize,
    pub optimizer: OptimizerConfig,
    pub engine: Engine,
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
    /// Inversion of all factors, once, without damping; exact, or by Newton where that is the optimizer's way.
    pub inversion: Option<f64>,
    /// Newton's rounds for all factors, damping included.
    pub inversion_newton: Option<f64>,
    /// Exact inverses of all factors, damping included.
    pub inversion_exact: Option<f64>,
    pub preconditioning: Option<f64>,
    pub update: f64,
    /// A plain step: no statistics and no inversion in it.
    pub total: f64,
    /// The net's forward pass in evaluation, on as many images.
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
    let device = Device::Cpu;
    let net = settings.model.build_for(settings.shape, 1, DType::F32, &device, settings.engine)?;
    let config = often(settings.optimizer.clone());
    let mut optimizer = Optimizer::new(&config, &net.params);
    let curvature = config.precondition.is_some();
    let newton = matches!(
        &config.precondition,
        Some(Precondition::Kfac(config)) if matches!(config.inverter, InverterConfig::Newton { .. })
    );
    let (images, labels) = batch(settings)?;
    let clock = Arc::new(Clock::new(&device));
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
    Ok(StepTimes {
        forward: every(Phase::Forward),
        backward: every(Phase::Backward),
        moments: curvature.then(|| of(&[Kind::Statistics], &[Phase::Moments])),
        damping: curvature.then(|| of(&[Kind::Newton, Kind::Exact], &[Phase::Damping])),
        inversion: curvature.then(|| of(refreshes, &[Phase::Inversion])),
        inversion_newton: newton.then(|| of(&[Kind::Newton], &both)),
        inversion_exact: curvature.then(|| of(&[Kind::Exact], &both)),
        preconditioning: curvature.then(|| every(Phase::Preconditioning)),
        update: every(Phase::Update),
        total: of(&[Kind::Plain], &Phase::ALL),
        eval_forward,
        peak_rss_mb: memory::peak().map(|bytes| bytes as f64 / (1 << 20) as f64),
    })
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
    let loss = cross_entropy(&net.forward(images, &pass)?, labels, 0.0)?;
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
        if pass > 0 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(median(seconds))
}

/// Normal images, and labels that say nothing.
fn batch(settings: &StepSettings) -> candle_core::Result<(Tensor, Tensor)> {
    let Shape { channels, height, width, classes } = settings.shape;
    let mut random = Random::new(1, "bench");
    let values: Vec<f32> = (0..settings.batch * height * width * channels).map(|_| random.normal() as f32).collect();
    let labels: Vec<u32> = (0..settings.batch).map(|_| random.below(classes) as u32).collect();
    let device = Device::Cpu;
    let images = Tensor::from_vec(values, (settings.batch, height, width, channels), &device)?;
    Ok((images, Tensor::new(labels, &device)?))
}
