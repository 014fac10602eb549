use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use nkfac_bench::data::{self, Dataset};
use nkfac_bench::nn::weights;
use nkfac_bench::train::{self, Evaluation};

use super::machine::device;
use super::output::{line, say};
use super::selection::Selection;

/// Evaluate saved weights on an experiment's test images
///
/// The weights are those of `run --save-weights`, or of the same net in PyTorch, saved by safetensors.torch.save_file or torch.save.
#[derive(Debug, Args)]
pub struct Evaluate {
    #[command(flatten)]
    selection: Selection,
    /// The weights (safetensors, or a .pt or .pth checkpoint)
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Write images (N×C×H×W, as the net sees them), labels and logits to this safetensors file
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
        let Evaluation { score, images, labels, logits, remarks } =
            train::evaluate(config, &self.weights, &data.test, &device(&self.device)?)?;
        for remark in remarks {
            say(remark);
        }
        if let Some(path) = &self.export {
            let images = images.permute((0, 3, 1, 2))?;
            let labels = labels.to_dtype(candle_core::DType::I64)?;
            let named = [("images", images), ("labels", labels), ("logits", logits)];
            weights::write(path, named.map(|(name, tensor)| (name.to_owned(), tensor)).into())?;
        }
        line(format_args!("test loss {:.6}, accuracy {:.4}, {} images", score.loss, score.accuracy, data.test.len()))?;
        Ok(ExitCode::SUCCESS)
    }
}
