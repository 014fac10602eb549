//! Running and planning comparisons of inverters.

use std::path::Path;

use candle_core::Device;
use nkfac_bench::experiment::inverse::Comparison;
use nkfac_bench::runner::Summary;
use nkfac_bench::runner::inverse::{self, Place};
use nkfac_bench::text::counted;
use serde_json::json;

use super::output::{Transcript, line};

/// One line a trial.
pub fn plan(comparison: &Comparison) -> anyhow::Result<()> {
    line(format_args!("{}: {}", comparison.name, counted(comparison.trials.len(), "trial")))?;
    for trial in &comparison.trials {
        line(format_args!("{}  {}", trial.id, trial))?;
    }
    Ok(())
}

/// Runs what is not there yet, one line a trial.
pub fn run(
    comparison: &Comparison,
    out: &Path,
    (device, device_name): (&Device, &str),
    threads: usize,
    json: bool,
    transcript: &mut Transcript,
) -> anyhow::Result<Summary> {
    let place = Place { folder: out.join(&comparison.name), device, device_name, threads };
    let summary = inverse::run(comparison, &place, &mut |trial, residual| {
        if json {
            transcript.line(json!({ "event": "ended", "trial": trial.id, "arm": trial.arm, "residual": residual }));
        } else {
            transcript.line(format_args!("{}  {trial}  residual {residual:.1e}", trial.id));
        }
    })?;
    Ok(summary)
}
