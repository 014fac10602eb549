//! What is legal, but probably not meant.

use std::path::Path;

use super::Trial;
use crate::optim::{InverterConfig, KfacConfig, Precondition};
use crate::text::Shown;

/// One line a matter, each once however many trials it concerns.
pub fn all(trials: &[Trial]) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    for trial in trials {
        let data = &trial.config.data;
        for remark in data.census.iter().flat_map(|census| census.remarks()) {
            let warning = format!("`{}`: {remark}", data.path.as_deref().unwrap_or(Path::new("")).shown());
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        let Some(Precondition::Kfac(kfac)) = &trial.config.optimizer.precondition else { continue };
        let steps = trial.config.total_steps();
        for warning in [stale(kfac), never_newton(kfac, steps)].into_iter().flatten() {
            let warning = format!("arm `{}`: {warning}", trial.arm);
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    warnings
}

fn stale(kfac: &KfacConfig) -> Option<String> {
    let (factor, inverse) = (kfac.factor_every, kfac.inverse_every);
    (!inverse.is_multiple_of(factor)).then(|| {
        format!(
            "inverse_every = {inverse} is no multiple of factor_every = {factor}: inverses are made of old statistics"
        )
    })
}

fn never_newton(kfac: &KfacConfig, steps: usize) -> Option<String> {
    let InverterConfig::Newton { exact_until, exact_every, .. } = kfac.inverter else { return None };
    let refreshes = steps.div_ceil(kfac.inverse_every);
    // Of two neighbours one is no multiple, unless every number is.
    let newton = (exact_until.saturating_add(1)..refreshes).take(2).any(|refresh| !refresh.is_multiple_of(exact_every));
    (!newton).then(|| {
        format!(
            "with inverse_every = {} all {refreshes} refreshes in {steps} steps are exact, so Newton's iteration never runs\nhint: lower `optimizer.precondition.inverse_every`",
            kfac.inverse_every
        )
    })
}
