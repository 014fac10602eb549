//! Running and planning comparisons of inverters.

use nkfac_bench::experiment::inverse::{Comparison, Trial};
use nkfac_bench::runner::Summary;
use nkfac_bench::runner::inverse::{self, Place};
use nkfac_bench::text::counted;
use serde_json::json;

use super::output::{Transcript, line};

/// One line per trial.
pub fn plan(comparison: &Comparison, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        for Trial { id, arm, swept, config, json } in &comparison.trials {
            line(json!({ "trial": id, "arm": arm, "seed": config.seed, "swept": swept, "config": json }))?;
        }
        return Ok(());
    }
    line(format_args!("{}: {}", comparison.name, counted(comparison.trials.len(), "trial")))?;
    for trial in &comparison.trials {
        line(format_args!("{}  {}", trial.id, trial))?;
    }
    Ok(())
}

/// Runs what is not there yet, one line per trial.
pub fn run(
    comparison: &Comparison,
    place: &Place<'_>,
    json: bool,
    transcript: &mut Transcript,
) -> anyhow::Result<Summary> {
    Ok(inverse::run(comparison, place, &mut |trial, residual| {
        if json {
            transcript.line(json!({ "event": "ended", "trial": trial.id, "arm": trial.arm, "residual": residual }));
        } else {
            transcript.line(format_args!("{}  {trial}  residual {residual:.1e}", trial.id));
        }
    })?)
}
