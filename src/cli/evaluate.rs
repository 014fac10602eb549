use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use nkfac_bench::data::{self, Dataset};
use nkfac_bench::nn::weights;
use nkfac_bench::record::Metric;
use nkfac_bench::train::{self, Evaluation, Task};

use super::machine::device;
use super::output::{line, say};
use super::selection::Selection;

/// Evaluate saved weights on an experiment's test set
///
/// The weights are those of `run --save-weights`, or of the same net in PyTorch, saved by safetensors.torch.save_file or torch.save.
#[derive(Debug, Args)]
pub struct Evaluate {
    #[command(flatten)]
    selection: Selection,
    /// The weights (safetensors, or a .pt or .pth checkpoint)
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Write images (N×C×H×W, as the net sees them), vectors or tokens, labels and logits to this safetensors file
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
}

impl Evaluate {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let experiment = self.selection.read()?;
        let Some(first) = experiment.trials.first() else { bail!("the experiment has no trials") };
        let config = &first.config;
        let same = |other: &train::Config| {
            (&other.model, &other.data.kind, other.dtype) == (&config.model, &config.data.kind, config.dtype)
        };
        if let Some(other) = experiment.trials.iter().find(|trial| !same(&trial.config)) {
            let (first, other) = (&first.arm, &other.arm);
            bail!("trials of `{first}` and `{other}` differ in net, data set or dtype\nhint: choose one by --set")
        }
        let data = Dataset::load(&config.data, &data::folder(experiment.data_dir.as_deref()))?;
        let Evaluation { score, inputs, targets, outputs, remarks } =
            train::evaluate(config, &self.weights, &data.test, &device(&self.device)?)?;
        for remark in remarks {
            say(remark);
        }
        if let Some(path) = &self.export {
            let are_numbers = targets.dtype().is_float();
            let labels = if are_numbers { targets } else { targets.to_dtype(candle_core::DType::I64)? };
            let (name, inputs) = match inputs.rank() {
                4 => ("images", inputs.permute((0, 3, 1, 2))?),
                _ if inputs.dtype().is_float() => ("vectors", inputs),
                _ => ("tokens", inputs.to_dtype(candle_core::DType::I64)?),
            };
            let named = [(name, inputs), ("labels", labels), ("logits", outputs)];
            weights::write(path, named.map(|(name, tensor)| (name.to_owned(), tensor)).into())?;
        }
        let (task, count) = (Task::of(config), data.test.len());
        let metrics: Vec<String> =
            task.metrics(score).iter().map(|(metric, value)| described(*metric, *value)).collect();
        let what = match data.test.images() {
            Some(images) if images.shape.is_vector() => "vectors",
            Some(_) => "images",
            None => "windows of text",
        };
        line(format_args!("test {}, {count} {what}", metrics.join(", ")))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `loss 0.123456`, `accuracy 0.9000`.
fn described(metric: Metric, value: f64) -> String {
    let decimals = if metric == Metric::Loss { 6 } else { 4 };
    format!("{} {value:.decimals$}", metric.name().replace('_', " "))
}
