use std::path::PathBuf;
use std::process::ExitCode;

use super::engine::EngineArgs;
use super::machine::device;
use super::output;
use anyhow::ensure;
use candle_core::DType;
use clap::{Args, ValueEnum};
use nkfac_bench::linalg;
use nkfac_bench::reference::{self, Deviation, Verdict};
use nkfac_bench::text::Shown;

/// Replay recorded runs of reference implementations and compare every number
///
/// One line per trace, worst first. The exit code is 1 if any number is over its bar or a trace cannot be replayed.
#[derive(Debug, Args)]
pub struct Verify {
    /// Traces (safetensors files)
    #[arg(required = true)]
    traces: Vec<PathBuf>,
    /// Largest relative error [default: 1e-9 in f64; in f32 what rounding leaves: 1e-4 for the first loss, else 1e-3]
    #[arg(long)]
    tolerance: Option<f64>,
    /// Precision of our side
    #[arg(long, value_enum, default_value_t = Precision::F64)]
    dtype: Precision,
    #[command(flatten)]
    engine: EngineArgs,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Compute in candle's operations alone, as on a GPU
    #[arg(long)]
    without_kernels: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Precision {
    F32,
    F64,
}

impl Verify {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        ensure!(
            self.tolerance.is_none_or(|tolerance| tolerance > 0.0),
            "--tolerance {}: must be greater than 0",
            self.tolerance.unwrap_or_default()
        );
        let dtype = match self.dtype {
            Precision::F32 => DType::F32,
            Precision::F64 => DType::F64,
        };
        if self.without_kernels {
            linalg::turn_kernels_off();
        }
        let device = device(&self.device)?;
        let mut lines: Vec<Line> = self
            .traces
            .iter()
            .map(|path| {
                let verdict = reference::verify(path, dtype, self.engine.engine(), &device, self.tolerance);
                Line::new(&path.shown(), verdict)
            })
            .collect();
        lines.sort_by(|a, b| b.excess.total_cmp(&a.excess));
        for line in &lines {
            output::line(&line.text)?;
        }
        let passed = lines.iter().filter(|line| line.excess <= 1.0).count();
        output::line(format_args!("{passed} of {} traces pass", lines.len()))?;
        Ok(if passed == lines.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What is printed of one trace, and how many times over its bar it is.
struct Line {
    excess: f64,
    text: String,
}

impl Line {
    fn new(path: &str, verdict: Result<Verdict, reference::Error>) -> Self {
        match verdict {
            Err(error) => {
                let text = error.to_string();
                let text = if text.starts_with(path) { text } else { format!("{path}: {text}") };
                Self { excess: f64::INFINITY, text: format!("error  {text}") }
            }
            Ok(verdict) => {
                let state = if verdict.passes() { "ok    " } else { "FAILED" };
                let compared = verdict.compared;
                let mut text = format!("{state} {path}: {compared} tensors");
                if let Some(worst) = &verdict.worst {
                    text += &format!(", worst {:.1e} of {:.0e} in {}", worst.error, worst.tolerance, worst.tensor);
                }
                if let Some(first) = &verdict.first {
                    text += &format!(", first over the bar {:.1e} in {}", first.error, first.tensor);
                }
                let worst = verdict.worst.as_ref().map_or(f64::INFINITY, Deviation::excess);
                Self { excess: worst, text }
            }
        }
    }
}
