//! Evaluation: running statistics, no gradients, no augmentation, every image once.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

use super::tally::Tally;
use super::task::{Score, Task};
use super::{Config, shape};
use crate::data::{Examples, eval_batches};
use crate::nn::weights::{self, Anew};
use crate::nn::{Net, Pass};

/// The mean loss (without smoothing) of `net` on `examples`, and what its task is judged by.
pub fn score(
    task: Task,
    net: &Net,
    examples: &Arc<Examples>,
    batch: usize,
    dtype: DType,
    device: &Device,
) -> Result<Score> {
    let mut tally = Tally::new(task);
    for batch in eval_batches(examples, batch)? {
        let batch = batch?.to(device, dtype)?;
        let outputs = net.forward(&batch.inputs, &Pass::Evaluation)?;
        tally.add(&task.loss(&outputs, &batch.targets, 0.0)?, &outputs, &batch.targets)?;
    }
    tally.score()
}

/// What a net makes of examples.
#[derive(Debug)]
pub struct Evaluation {
    pub score: Score,
    /// As the net saw them: images normalised, `N×H×W×C`, or vectors, `N×D`, or tokens, `N×T`.
    pub inputs: Tensor,
    pub targets: Tensor,
    /// `N×K`, or `N×T×K`.
    pub outputs: Tensor,
    /// What is worth saying of the weights.
    pub remarks: Vec<String>,
}

/// Evaluates `config`'s net with the weights in a file on `examples`.
pub fn evaluate(
    config: &Config,
    path: &Path,
    examples: &Arc<Examples>,
    device: &Device,
) -> std::result::Result<Evaluation, weights::Error> {
    let dtype = config.dtype.candle();
    let net = config.model.build(shape(&config.data), config.seed, dtype, device)?;
    let loaded = weights::load(&net.params, path)?;
    if let Some(Anew { theirs, ours, .. }) = loaded.anew {
        return Err(weights::Error::Classes { path: path.to_owned(), theirs, ours });
    }
    let task = Task::of(config);
    let (mut tally, mut seen) = (Tally::new(task), [Vec::new(), Vec::new(), Vec::new()]);
    for batch in eval_batches(examples, config.batch)? {
        let batch = batch?.to(device, dtype)?;
        let outputs = net.forward(&batch.inputs, &Pass::Evaluation)?;
        tally.add(&task.loss(&outputs, &batch.targets, 0.0)?, &outputs, &batch.targets)?;
        for (seen, tensor) in seen.iter_mut().zip([batch.inputs, batch.targets, outputs]) {
            seen.push(tensor);
        }
    }
    let [inputs, targets, outputs] = seen.map(|tensors| Tensor::cat(&tensors, 0));
    let remarks = loaded.remarks(path);
    Ok(Evaluation { score: tally.score()?, inputs: inputs?, targets: targets?, outputs: outputs?, remarks })
}
