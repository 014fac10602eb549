use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use nkfac_bench::bench::{self, InverseRow, StepSettings, StepTimes};
use nkfac_bench::config::{Value, from_value};
use nkfac_bench::experiment;
use nkfac_bench::kernel::conv::Engine;
use nkfac_bench::nn::zoo::{ModelConfig, Shape};
use nkfac_bench::optim::InverterConfig;

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

/// Measure a training step by phase: medians, on random images
///
/// A plain step takes no statistics and inverts nothing; what these cost is measured apart, once for all layers.
#[derive(Debug, Args)]
struct Step {
    /// A model of `list models`
    #[arg(long, default_value = "resnet18")]
    model: String,
    /// Channels behind the stem, for models that come in any width
    #[arg(long)]
    width: Option<usize>,
    /// Images a step
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
    /// A preset of `list optimizers`
    #[arg(long, default_value = "sgd")]
    optimizer: String,
    /// How convolutions are computed
    #[arg(long, default_value = "auto", value_parser = engine)]
    engine: Engine,
    /// Threads to compute with [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Plain steps that are measured
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
    /// Inverters of `list inverters`
    #[arg(long, num_args = 1.., default_values_t = ["newton", "cholesky", "lu", "eigen"].map(String::from))]
    inverters: Vec<String>,
    /// Threads to compute with [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Inverses that are measured, a size and inverter
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeats: u16,
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
}

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
        let width = self.width.map_or(String::new(), |width| format!(", width = {width}"));
        let model: ModelConfig = named("model", &format!("{{ kind = {:?}{width} }}", self.model))?;
        let shape = Shape { channels: self.channels, height: self.side, width: self.side, classes: self.classes };
        model.check(shape).map_err(anyhow::Error::msg)?;
        let settings = StepSettings {
            model,
            shape,
            batch: self.batch as usize,
            optimizer: experiment::optimizer(&format!("preset = {:?}", self.optimizer))?,
            engine: self.engine,
            steps: self.steps.into(),
        };
        if settings.model.has_grouped() && settings.optimizer.precondition.is_some() {
            let (model, optimizer) = (&self.model, &self.optimizer);
            bail!(
                "`{model}` has grouped convolutions, which `{optimizer}` cannot precondition\nhint: --optimizer sgd, adamw or muon"
            );
        }
        let times = bench::step(&settings)?;
        if self.json {
            let mut object = serde_json::to_value(&times)?;
            let about = serde_json::json!({
                "model": self.model, "width": self.width, "batch": self.batch, "side": self.side,
                "optimizer": self.optimizer, "engine": self.engine.name(), "threads": threads, "steps": self.steps,
            });
            if let (Some(object), Some(about)) = (object.as_object_mut(), about.as_object()) {
                object.retain(|_, value| !value.is_null());
                object.extend(about.clone());
            }
            line(object)?;
        } else {
            table(&times)?;
        }
        Ok(())
    }
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
        ("forward in evaluation", times.eval_forward.into()),
    ];
    for (name, seconds) in rows {
        if let Some(seconds) = seconds {
            let share = seconds / times.total;
            line(format_args!("{name:<24} {:>10.1} ms {share:>7.2} plain steps", seconds * 1e3))?;
        }
    }
    if let Some(memory) = times.peak_rss_mb {
        line(format_args!("{:<24} {memory:>10.0} MiB", "peak memory"))?;
    }
    Ok(())
}

impl Inverse {
    fn execute(&self) -> anyhow::Result<()> {
        let threads = machine::wanted(self.threads);
        machine::start(threads)?;
        let inverters = self.inverters.iter().map(|name| named("inverter", &format!("{{ kind = {name:?} }}")));
        let inverters = inverters.collect::<anyhow::Result<Vec<InverterConfig>>>()?;
        let mut rows = Vec::new();
        for &n in &self.sizes {
            for &inverter in &inverters {
                let row =
                    bench::inverse(n as usize, inverter, self.repeats.into()).with_context(|| format!("order {n}"))?;
                if !self.json {
                    print(&row, rows.is_empty())?;
                }
                rows.push(row);
            }
        }
        if self.json {
            line(serde_json::json!({ "threads": threads, "rows": rows }))?;
        }
        Ok(())
    }
}

fn print(row: &InverseRow, first: bool) -> anyhow::Result<()> {
    if first {
        line(format_args!("{:>6} {:<12} {:>12} {:>9} {:>10}", "n", "inverter", "ms", "GFLOP/s", "residual"))?;
    }
    let (Some(seconds), Some(gflops), Some(residual)) = (row.seconds, row.gflops, row.residual) else {
        return line(format_args!("{:>6} {:<12} no inverse found", row.n, row.inverter));
    };
    line(format_args!("{:>6} {:<12} {:>12.2} {gflops:>9.0} {residual:>10.1e}", row.n, row.inverter, seconds * 1e3))
}

/// A thing of a catalog, written as in an experiment file.
fn named<T: serde::de::DeserializeOwned>(key: &str, table: &str) -> anyhow::Result<T> {
    let value = Value::parse("command line", &format!("{key} = {table}"))?;
    let inner = value.get(key).context("an empty table")?;
    Ok(from_value(inner).map_err(|error| error.within(key))?)
}

/// An engine by its name.
pub fn engine(name: &str) -> Result<Engine, String> {
    Engine::ALL.into_iter().find(|engine| engine.name() == name).ok_or_else(|| {
        let known: Vec<&str> = Engine::ALL.iter().map(|engine| engine.name()).collect();
        format!("one of {} expected", known.join(", "))
    })
}
