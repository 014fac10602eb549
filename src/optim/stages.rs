//! From an optimizer's configuration to its stages.

use std::sync::Arc;

use super::config::{Decay, OptimizerConfig, Precondition, Update};
use super::decay::WeightDecay;
use super::group::Scales;
use super::{Transform, adam, ademamix, average, cautious, clip, kfac, kl_shampoo, lion, momentum, muon, nadam, psgd};
use super::{schedule_free, shampoo, soap};
use crate::param::Params;

/// Clipping, preconditioning, the update's own stages with its decay, and what watches them.
pub fn stages(config: &OptimizerConfig, params: &Params, scales: &Arc<Scales>) -> Vec<Box<dyn Transform>> {
    let mut stages: Vec<Box<dyn Transform>> = Vec::new();
    if let Some(limit) = config.clip_norm {
        stages.push(Box::new(clip::Clip { limit }));
    }
    match &config.precondition {
        Some(Precondition::Kfac(config)) => stages.push(Box::new(kfac::Kfac::new(config, &params.blocks))),
        Some(Precondition::Shampoo(config)) => stages.push(Box::new(shampoo::Shampoo::new(config, &params.blocks))),
        None => {}
    }
    if let Update::Sgd { weight_decay, decay_from, .. } = config.update {
        stages.push(Box::new(WeightDecay::from_step(weight_decay, decay_from, scales)));
    }
    stages.push(core(config.update, scales));
    if config.cautious {
        stages.push(Box::new(cautious::Cautious::default()));
    }
    stages.extend(decay(config.update, scales).map(|decay| Box::new(decay) as Box<dyn Transform>));
    if let Some(config) = config.average {
        stages.push(Box::new(average::Average::new(config.decay)));
    }
    stages
}

/// The stage that makes a step of a gradient.
fn core(update: Update, scales: &Scales) -> Box<dyn Transform> {
    match update {
        Update::Sgd { momentum, nesterov, .. } => Box::new(momentum::Momentum::new(momentum, nesterov)),
        Update::Adam { betas, eps, .. } => Box::new(adam::Adam::new(betas, eps)),
        Update::Radam { betas, eps, .. } => Box::new(adam::Adam::rectified(betas, eps)),
        Update::Adabelief { betas, eps, .. } => Box::new(adam::Adam::belief(betas, eps)),
        Update::Muon { momentum, nesterov, rounds, matrices, scaling, precision, adam_ratio, betas, eps, .. } => {
            let settings = muon::Settings { momentum, nesterov, rounds, matrices, scaling, precision, adam_ratio };
            Box::new(muon::Muon::new(settings, adam::Adam::new(betas, eps)))
        }
        Update::Lion { betas, .. } => Box::new(lion::Lion::new(betas)),
        Update::Nadam { betas, eps, momentum_decay, .. } => Box::new(nadam::Nadam::new(betas, eps, momentum_decay)),
        Update::Ademamix { betas, eps, alpha, alpha_warmup, beta3_warmup, .. } => {
            let settings = ademamix::Settings { betas, eps, alpha, alpha_warmup, beta3_warmup };
            Box::new(ademamix::Ademamix::new(settings))
        }
        Update::ScheduleFree { betas, eps, weight_decay, warmup_steps } => {
            let weight_decay = scales.decay.iter().map(|scale| scale * weight_decay).collect();
            let settings = schedule_free::Settings { betas, eps, weight_decay, warmup_steps };
            Box::new(schedule_free::ScheduleFree::new(settings))
        }
        Update::Soap { betas, eps, precondition_every: every, largest, .. } => {
            Box::new(soap::Soap::new(soap::Settings { betas, eps, every, largest }))
        }
        Update::KlShampoo { betas, eps, precondition_every: every, largest, start, .. } => {
            Box::new(kl_shampoo::KlShampoo::new(kl_shampoo::Settings { betas, eps, every, largest, start }))
        }
        Update::PsgdKron {
            momentum,
            precondition_lr,
            largest,
            certain_steps,
            probability_decay,
            least_probability,
            seed,
            ..
        } => Box::new(psgd::Psgd::new(psgd::Settings {
            momentum,
            precondition_lr,
            largest,
            certain_steps,
            probability_decay,
            least_probability,
            seed,
        })),
    }
}

/// The decay behind it, where it has one there.
fn decay(update: Update, scales: &Arc<Scales>) -> Option<WeightDecay> {
    match update {
        Update::Sgd { .. } | Update::ScheduleFree { .. } => None,
        Update::Soap { weight_decay, .. } | Update::KlShampoo { weight_decay, .. } => {
            Some(WeightDecay::after_the_step(weight_decay, scales))
        }
        Update::Adam { betas, weight_decay, decay: Decay::BiasCorrected, .. } => {
            Some(WeightDecay::bias_corrected(weight_decay, betas[0], scales))
        }
        Update::Adam { weight_decay, decay: Decay::Decoupled, .. }
        | Update::Radam { weight_decay, .. }
        | Update::Adabelief { weight_decay, .. }
        | Update::Muon { weight_decay, .. }
        | Update::Lion { weight_decay, .. }
        | Update::Nadam { weight_decay, .. }
        | Update::Ademamix { weight_decay, .. }
        | Update::PsgdKron { weight_decay, .. } => Some(WeightDecay::new(weight_decay, scales)),
    }
}
