use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use candle_core::Device;
use clap::Args;
use nkfac_bench::experiment::{self, Settings, Summary};
use nkfac_bench::figure::Style;

use super::figure;
use super::inverses;
use super::lines::Lines;
use super::output::line;
use super::progress::Bars;
use super::selection::Selection;

/// Run every trial that is not finished yet, then draw its figures
///
/// Results go to results/<experiment>/, one Parquet file a trial; what is there already is skipped, so an interrupted run is
/// gone on with by the same command. The exit code is 1 if a trial failed; one that diverged is a result.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    selection: Selection,
    /// The folder for results
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads to compute with [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Write each trial's final weights beside its result, as safetensors with PyTorch's names and layouts
    ///
    /// A trial that is finished already is not run again for them.
    #[arg(long)]
    save_weights: bool,
    /// Print one JSON object a line for scripts
    #[arg(long)]
    json: bool,
}

impl Run {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        if let Some(comparison) = self.selection.comparison()? {
            let device = device(&self.device)?;
            let threads = threads(self.threads)?;
            let summary =
                inverses::run(&comparison, &self.out, (&device, device_name(&self.device)), threads, self.json)?;
            conclude(&self.out.join(&comparison.name), &summary, self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let experiment = self.selection.read()?;
        let settings = Settings {
            folder: self.out.join(&experiment.name),
            device: device(&self.device)?,
            device_name: device_name(&self.device).to_owned(),
            threads: threads(self.threads)?,
            save_weights: self.save_weights,
        };
        let summary = if self.json {
            experiment::run(&experiment, &settings, &mut Lines::default())?
        } else {
            let mut bars = Bars::new(experiment.trials.len());
            let summary = experiment::run(&experiment, &settings, &mut bars);
            bars.finish();
            summary?
        };
        conclude(&settings.folder, &summary, self.json)?;
        Ok(if summary.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// `cuda` and `cuda:0` are one device and get one name.
fn device_name(name: &str) -> &str {
    if name == "cuda" { "cuda:0" } else { name }
}

pub fn device(name: &str) -> anyhow::Result<Device> {
    let ordinal = match name.split_once(':').unwrap_or((name, "0")) {
        ("cpu", "0") => return Ok(Device::Cpu),
        ("cuda", ordinal) => ordinal.parse().ok(),
        _ => None,
    };
    let Some(ordinal) = ordinal else { bail!("unknown device `{name}`\nhint: cpu, cuda or cuda:N") };
    if !candle_core::utils::cuda_is_available() {
        bail!("this program was built without CUDA\nhint: cargo run --release --features cuda -- run … --device {name}")
    }
    Device::new_cuda(ordinal).with_context(|| format!("cannot use the device `{name}`"))
}

/// Sets up the threads that everything computes with; says how many.
pub fn threads(wanted: Option<u16>) -> anyhow::Result<usize> {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let count = wanted.map_or(available, usize::from);
    rayon::ThreadPoolBuilder::new().num_threads(count).build_global().context("cannot start the threads")?;
    Ok(count)
}

/// Draws what there is now, and sums up.
fn conclude(folder: &Path, summary: &Summary, json: bool) -> anyhow::Result<()> {
    let Summary { finished, diverged, skipped, failed } = *summary;
    if finished + diverged + skipped == 0 {
        eprintln!("no trial left a result in `{}`: there is nothing to draw", folder.display());
    } else {
        figure::draw(folder, &[], Style::default(), !json)?;
    }
    if json {
        let counts =
            serde_json::json!({ "finished": finished, "diverged": diverged, "skipped": skipped, "failed": failed });
        line(serde_json::json!({ "event": "summary", "trials": counts, "folder": folder }));
    } else {
        line(format_args!("{finished} finished, {diverged} diverged, {skipped} done before, {failed} failed"));
    }
    Ok(())
}
