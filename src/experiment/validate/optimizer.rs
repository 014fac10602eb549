//! Optimizers that cannot be.

use serde_json::Value as Json;

use super::check::{Check, Problem};
use crate::optim::{
    Damping, Eigenvalues, InverterConfig, KfacConfig, OptimizerConfig, Precondition, Rescale, ShampooConfig, Sides,
    Start, Update,
};
use crate::train::{Config, Dtype};

/// A number that the net's own numbers have no room for would divide by zero.
pub(super) fn eps(check: &mut Check, config: &Config) {
    let Some(eps) = fields(&config.optimizer.update).get("eps").and_then(Json::as_f64) else { return };
    if config.dtype == Dtype::F32 && eps > 0.0 && eps as f32 == 0.0 {
        check.fail("optimizer.update.eps", format!("is {eps:e}, which is 0 in float32"));
        check.hint("1e-8 is usual; dtype = \"f64\" takes smaller ones");
    }
}

/// The first thing that is impossible in an optimizer; its path starts with `optimizer`.
pub fn problem_of_optimizer(optimizer: &OptimizerConfig) -> Option<Problem> {
    let mut found = Check::default();
    check(&mut found, optimizer);
    found.first()
}

/// Stages and what is put around them.
pub(super) fn check(found: &mut Check, optimizer: &OptimizerConfig) {
    if let Some(limit) = optimizer.clip_norm {
        found.positive("optimizer.clip_norm", limit);
    }
    match &optimizer.precondition {
        Some(Precondition::Kfac(kfac)) => self::kfac(found, kfac),
        Some(Precondition::Shampoo(shampoo)) => self::shampoo(found, shampoo),
        None => {}
    }
    update(found, &optimizer.update);
    wrappers(found, optimizer);
}

/// What is put around the update.
fn wrappers(check: &mut Check, optimizer: &OptimizerConfig) {
    if let Some(average) = optimizer.average {
        check.share("optimizer.average.decay", average.decay);
    }
    for group in &optimizer.groups {
        check.not_negative("optimizer.groups", group.lr);
        check.not_negative("optimizer.groups", group.decay);
    }
    if !matches!(optimizer.update, Update::ScheduleFree { .. }) {
        return;
    }
    let alone = "is given, but `schedule-free` moves between three points of its own";
    if optimizer.average.is_some() {
        check.fail("optimizer.average", alone.into());
    }
    if optimizer.cautious {
        check.fail("optimizer.cautious", alone.into());
    }
    if optimizer.groups.iter().any(|group| group.lr != 1.0) {
        check.fail("optimizer.groups", "have learning rates, which `schedule-free` would not average by".into());
    }
}

fn kfac(check: &mut Check, kfac: &KfacConfig) {
    let key = |name: &str| format!("optimizer.precondition.{name}");
    check.at_least_one(&key("factor_every"), kfac.factor_every);
    check.at_least_one(&key("inverse_every"), kfac.inverse_every);
    check.share(&key("moments.decay"), kfac.moments.decay);
    damping(check, kfac.damping);
    let is_joint = matches!(kfac.damping, Damping::Joint { .. });
    if is_joint && !matches!(kfac.inverter, InverterConfig::Eigen { .. }) {
        let inverter = kfac.inverter.name();
        check.fail(&key("damping.kind"), format!("is `joint`, which the inverter `{inverter}` cannot do"));
        check.hint("joint damping needs eigenvalues: inverter = { kind = \"eigen\" }");
    }
    if is_joint && kfac.sides == Sides::Inputs {
        check.fail(&key("sides"), "is `inputs`, where no factors meet that could be damped jointly".into());
    }
    if let Eigenvalues::Corrected { decay } = kfac.eigenvalues {
        check.share(&key("eigenvalues.decay"), decay);
        if !is_joint {
            check.fail(&key("eigenvalues.kind"), "is `corrected`, which needs joint damping".into());
            check.hint("damping = { kind = \"joint\", value = 1e-3 }, inverter = { kind = \"eigen\" }");
        }
    }
    if kfac.moments.keeps_rows() && kfac.moments.start != Start::Zero {
        check.fail(&key("moments.start"), "is not `zero`, but with a decay of 0 no average is kept".into());
    }
    match kfac.inverter {
        InverterConfig::Newton { steps, exact_every, .. } => {
            check.at_least_one(&key("inverter.steps"), steps);
            check.at_least_one(&key("inverter.exact_every"), exact_every);
        }
        InverterConfig::NewtonPure { steps, .. }
        | InverterConfig::NewtonOptimal { steps, .. }
        | InverterConfig::NewtonScaled { steps } => check.at_least_one(&key("inverter.steps"), steps),
        InverterConfig::Hyperpower { steps, order } => {
            check.at_least_one(&key("inverter.steps"), steps);
            if order < 2 {
                check.fail(&key("inverter.order"), format!("must be at least 2 (got {order})"));
            }
        }
        InverterConfig::Eigen { cutoff } => check.not_negative(&key("inverter.cutoff"), cutoff),
        InverterConfig::Woodbury {} if !kfac.moments.keeps_rows() => {
            check.fail(&key("inverter.kind"), "is `woodbury`, which inverts the rows of one batch".into());
            check.hint("moments = { sharing = \"reduce\", decay = 0.0, start = \"zero\" } keeps them");
        }
        InverterConfig::Cholesky {}
        | InverterConfig::Lu {}
        | InverterConfig::Woodbury {}
        | InverterConfig::Diagonal {}
        | InverterConfig::Identity {} => {}
    }
    rescale(check, kfac.rescale);
}

fn shampoo(check: &mut Check, shampoo: &ShampooConfig) {
    let key = |name: &str| format!("optimizer.precondition.{name}");
    check.at_least_one(&key("factor_every"), shampoo.factor_every);
    check.at_least_one(&key("root_every"), shampoo.root_every);
    if !(0.0..=1.0).contains(&shampoo.decay) {
        check.fail(&key("decay"), format!("must be from 0 to 1 (got {})", shampoo.decay));
    }
    if ![2, 4].contains(&shampoo.root) {
        check.fail(&key("root"), format!("is {} (must be 2 or 4)", shampoo.root));
    }
    damping(check, shampoo.damping);
    if matches!(shampoo.damping, Damping::Joint { .. }) {
        check.fail(&key("damping.kind"), "is `joint`, which roots of single factors cannot do".into());
    }
    rescale(check, shampoo.rescale);
}

fn damping(check: &mut Check, damping: Damping) {
    match damping {
        Damping::Relative { factor, floor } => {
            check.not_negative("optimizer.precondition.damping.factor", factor);
            check.positive("optimizer.precondition.damping.floor", floor);
        }
        Damping::Absolute { value } | Damping::Joint { value } => {
            check.positive("optimizer.precondition.damping.value", value);
        }
    }
}

fn rescale(check: &mut Check, rescale: Rescale) {
    match rescale {
        Rescale::None | Rescale::GradientNorm => {}
        Rescale::KlClip { limit } => check.positive("optimizer.precondition.rescale.limit", limit),
        Rescale::Adam { betas, eps } => {
            betas.into_iter().for_each(|beta| check.share("optimizer.precondition.rescale.betas", beta));
            check.positive("optimizer.precondition.rescale.eps", eps);
        }
    }
}

/// A key means the same in every update that has it.
fn update(check: &mut Check, update: &Update) {
    for (key, value) in fields(update) {
        let path = format!("optimizer.update.{key}");
        // JSON has no infinities and no NaN.
        let number = |value: &Json| value.as_f64().unwrap_or(f64::NAN);
        match key.as_str() {
            "momentum" => check.share(&path, number(&value)),
            "betas" => value.as_array().into_iter().flatten().for_each(|beta| check.share(&path, number(beta))),
            "least_probability" if !(0.0..=1.0).contains(&number(&value)) => {
                check.fail(&path, format!("must be from 0 to 1 (got {})", number(&value)));
            }
            "eps" | "start" => check.positive(&path, number(&value)),
            "rounds" | "precondition_every" if value == 0 => check.at_least_one(&path, 0),
            "weight_decay" | "adam_ratio" | "alpha" | "momentum_decay" | "precondition_lr" | "probability_decay" => {
                check.not_negative(&path, number(&value));
            }
            _ => {}
        }
    }
    match update {
        Update::Sgd { momentum: 0.0, nesterov: true, .. } => {
            check.fail("optimizer.update.nesterov", "is `true`, but there is no momentum".into());
        }
        // The evaluated point would be `1/β₁` times as far off as float32 rounds.
        Update::ScheduleFree { betas: [beta1, _], .. } if (..0.01).contains(beta1) => {
            check.fail(
                "optimizer.update.betas",
                format!("begins with {beta1}, by which the evaluated point is divided"),
            );
            check.hint("at least 0.01; 0.9 is usual");
        }
        Update::Ademamix { betas: [0.0, _, _], beta3_warmup: 1.., .. } => {
            check.fail("optimizer.update.beta3_warmup", "rises from β₁, which is 0".into());
        }
        _ => {}
    }
}

/// The keys of an update with their values.
fn fields(update: &Update) -> serde_json::Map<String, Json> {
    let json = serde_json::to_value(update).ok();
    json.and_then(|json| json.as_object()?.values().next()?.as_object().cloned()).unwrap_or_default()
}
