use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use nkfac_bench::bench::{self, InverseRow, StepSettings, StepTimes};
use nkfac_bench::config::{Value, from_value};
use nkfac_bench::experiment;
use nkfac_bench::nn::zoo::{Images, Input, ModelConfig, Shape};
use nkfac_bench::optim::{InverterConfig, PRESETS};

use super::engine::EngineArgs;
use super::machine;
use super::output::line;

/// Measure one training step, or one inverse, on this machine
#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Step(Step),
    Inverse(Inverse),
}

/// Measure a training step by phase: medians, on random images or, for `gpt`, tokens
///
/// A plain step updates no statistics and inverts nothing; what these cost is measured separately, once for all layers. An average step has them as often as the preset says.
#[derive(Debug, Args)]
struct Step {
    /// A model of `list models`
    #[arg(long, default_value = "resnet18")]
    model: String,
    /// Channels behind the stem, or of a token, for models that come in any width
    #[arg(long)]
    width: Option<usize>,
    /// Images or texts a step
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Edge of the images, in pixels
    #[arg(long, default_value_t = 32)]
    side: usize,
    /// Channels of the images
    #[arg(long, default_value_t = 3)]
    channels: usize,
    #[arg(long, default_value_t = 100)]
    classes: usize,
    /// Tokens of a text, of as many as Shakespeare has characters
    #[arg(long, default_value_t = 64)]
    context: usize,
    /// Presets of `list optimizers`, or `all` of them: of more than one a table
    #[arg(long, num_args = 1.., default_values_t = ["sgd".to_owned()])]
    optimizer: Vec<String>,
    #[command(flatten)]
    engine: EngineArgs,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads to compute with [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// How many plain steps to measure
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
}

/// Measure inverters: seconds, GFLOP/s (2n³ over the seconds) and residual ‖I − BA‖_F/√n by size
#[derive(Debug, Args)]
struct Inverse {
    /// Orders of the matrices
    #[arg(long, num_args = 1.., default_values_t = [576, 1152, 2304], value_parser = clap::value_parser!(u32).range(1..=32_768))]
    sizes: Vec<u32>,
    /// Inverters of `list inverters`, by name or as experiment files have them: '{ kind = "newton", precision = "bf16" }'
    #[arg(long, num_args = 1.., default_values_t = ["newton", "cholesky", "lu", "eigen"].map(String::from))]
    inverters: Vec<String>,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads to compute with [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// How many inverses to measure per size and inverter
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeats: u16,
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
}

/// Of tiny Shakespeare.
const CHARACTERS: usize = 65;

impl Bench {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Step(step) => step.execute()?,
            What::Inverse(inverse) => inverse.execute()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Step {
    fn execute(&self) -> anyhow::Result<()> {
        let threads = machine::wanted(self.threads);
        machine::start(threads)?;
        // Each name is looked up before the first is measured.
        let all = self.all()?;
        let mut first = None;
        for (name, settings) in &all {
            if settings.model.has_grouped() && settings.optimizer.precondition.is_some() {
                if all.len() > 1 {
                    continue;
                }
                let model = &self.model;
                bail!(
                    "`{model}` has grouped convolutions, which `{name}` cannot precondition\nhint: --optimizer sgd, adamw or muon"
                );
            }
            let times = bench::step(settings)?;
            if self.json {
                self.print(name, settings, &times, threads)?;
            } else if all.len() == 1 {
                table(&times)?;
            } else {
                row(name, &times, first)?;
            }
            first.get_or_insert(times.mean);
        }
        Ok(())
    }

    /// What is to be measured, by optimizer.
    fn all(&self) -> anyhow::Result<Vec<(&str, StepSettings)>> {
        let width = self.width.map_or(String::new(), |width| format!(", width = {width}"));
        let model: ModelConfig = named("model", &format!("{{ kind = {:?}{width} }}", self.model))?;
        let shape = self.shape(&model);
        model.check(shape).map_err(anyhow::Error::msg)?;
        let names: Vec<&str> = match self.optimizer.as_slice() {
            [all] if all == "all" => PRESETS.iter().map(|preset| preset.entry.name).collect(),
            names => names.iter().map(String::as_str).collect(),
        };
        let settings = |name| {
            let settings = StepSettings {
                model: model.clone(),
                shape,
                batch: self.batch as usize,
                optimizer: experiment::optimizer(&format!("preset = {name:?}"))?,
                engine: self.engine.engine(),
                device: machine::device(&self.device)?,
                steps: self.steps.into(),
            };
            Ok((name, settings))
        };
        names.into_iter().map(settings).collect()
    }

    /// What the model takes and gives.
    fn shape(&self, model: &ModelConfig) -> Shape {
        let Self { channels, side, classes, .. } = *self;
        match model {
            ModelConfig::Gpt(_) => {
                let input = Input::Tokens { vocabulary: CHARACTERS, context: self.context };
                Shape { input, outputs: CHARACTERS }
            }
            ModelConfig::Autoencoder(_) => {
                let input = Input::Images { channels, height: side, width: side };
                Shape { input, outputs: input.size() }
            }
            _ => Images { channels, height: side, width: side, classes }.into(),
        }
    }

    /// One JSON object on one line.
    fn print(&self, name: &str, settings: &StepSettings, times: &StepTimes, threads: usize) -> anyhow::Result<()> {
        let mut object = serde_json::to_value(times)?;
        let about = serde_json::json!({
            "model": self.model, "width": self.width, "batch": self.batch, "side": self.side,
            "optimizer": name, "engine": settings.engine.conv.name(), "simd": settings.engine.simd.resolved().name(), "device": machine::device_name(&self.device), "threads": threads, "steps": self.steps,
        });
        if let (Some(object), Some(about)) = (object.as_object_mut(), about.as_object()) {
            object.retain(|_, value| !value.is_null());
            object.extend(about.clone());
        }
        line(object)
    }
}

/// One optimizer beside others; shares are of the first one's average step.
fn row(name: &str, times: &StepTimes, first: Option<f64>) -> anyhow::Result<()> {
    if first.is_none() {
        line(format_args!(
            "{:<20} {:>10} {:>11} {:>9} {:>18}",
            "optimizer", "plain, ms", "average, ms", "of first", "bytes a parameter"
        ))?;
    }
    let share = times.mean / first.unwrap_or(times.mean);
    let (plain, mean, bytes) = (times.total * 1e3, times.mean * 1e3, times.state_bytes);
    line(format_args!("{name:<20} {plain:>10.1} {mean:>11.1} {share:>9.2} {bytes:>18.1}"))
}

fn table(times: &StepTimes) -> anyhow::Result<()> {
    let rows = [
        ("forward", Some(times.forward)),
        ("backward", Some(times.backward)),
        ("preconditioning", times.preconditioning),
        ("update", Some(times.update)),
        ("a plain step", Some(times.total)),
        ("moments, all layers", times.moments),
        ("damping, all factors", times.damping),
        ("inversion by Newton", times.inversion_newton),
        ("inversion, exact", times.inversion_exact),
        ("new bases, all factors", times.inversion.filter(|_| times.inversion_exact.is_none())),
        ("a step on average", Some(times.mean)),
        ("forward in evaluation", times.eval_forward.into()),
    ];
    for (name, seconds) in rows {
        if let Some(seconds) = seconds {
            let share = seconds / times.total;
            line(format_args!("{name:<24} {:>10.1} ms {share:>7.2} plain steps", seconds * 1e3))?;
        }
    }
    line(format_args!("{:<24} {:>10.1} bytes a parameter", "what it remembers", times.state_bytes))?;
    if let Some(memory) = times.peak_rss_mb {
        line(format_args!("{:<24} {memory:>10.0} MiB", "peak memory"))?;
    }
    Ok(())
}

impl Inverse {
    fn execute(&self) -> anyhow::Result<()> {
        let threads = machine::wanted(self.threads);
        machine::start(threads)?;
        let device = machine::device(&self.device)?;
        let table = |text: &str| if text.starts_with('{') { text.into() } else { format!("{{ kind = {text:?} }}") };
        let inverters = self.inverters.iter().map(|text| Ok((text.as_str(), named("inverter", &table(text))?)));
        let inverters = inverters.collect::<anyhow::Result<Vec<(&str, InverterConfig)>>>()?;
        let width = inverters.iter().map(|(name, _)| name.len()).fold(12, usize::max);
        let mut rows = Vec::new();
        for &n in &self.sizes {
            for &(name, inverter) in &inverters {
                let row = bench::inverse(n as usize, name, inverter, self.repeats.into(), &device)
                    .with_context(|| format!("order {n}"))?;
                if !self.json {
                    print(&row, width, rows.is_empty())?;
                }
                rows.push(row);
            }
        }
        if self.json {
            line(
                serde_json::json!({ "device": machine::device_name(&self.device), "threads": threads, "rows": rows }),
            )?;
        }
        Ok(())
    }
}

/// A row, its inverter in a column of a `width`, below the head if it is the first.
fn print(row: &InverseRow, width: usize, first: bool) -> anyhow::Result<()> {
    if first {
        line(format_args!("{:>6} {:<width$} {:>12} {:>9} {:>10}", "n", "inverter", "ms", "GFLOP/s", "residual"))?;
    }
    let (Some(seconds), Some(gflops), Some(residual)) = (row.seconds, row.gflops, row.residual) else {
        return line(format_args!("{:>6} {:<width$} no inverse found", row.n, row.inverter));
    };
    line(format_args!("{:>6} {:<width$} {:>12.2} {gflops:>9.0} {residual:>10.1e}", row.n, row.inverter, seconds * 1e3))
}

/// A thing of a catalog, written as in an experiment file.
fn named<T: serde::de::DeserializeOwned>(key: &str, table: &str) -> anyhow::Result<T> {
    let value = Value::parse("command line", &format!("{key} = {table}"))?;
    let inner = value.get(key).context("an empty table")?;
    Ok(from_value(inner).map_err(|error| error.within(key))?)
}
