//! Evaluation: running statistics, no gradients, no augmentation, every image once.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

use super::tally::{Score, Tally};
use super::{Config, shape};
use crate::data::{Images, eval_batches};
use crate::nn::weights::{self, Anew};
use crate::nn::{Net, Pass, cross_entropy};

/// The mean loss (without smoothing) and accuracy of `net` on `images`.
pub fn score(net: &Net, images: &Arc<Images>, batch: usize, dtype: DType, device: &Device) -> Result<Score> {
    let mut tally = Tally::default();
    for batch in eval_batches(images, batch)? {
        let batch = batch?.to(device, dtype)?;
        let logits = net.forward(&batch.images, &Pass::Evaluation)?;
        tally.add(&cross_entropy(&logits, &batch.labels, 0.0)?, &logits, &batch.labels)?;
    }
    tally.score()
}

/// What a net makes of images.
#[derive(Debug)]
pub struct Evaluation {
    pub score: Score,
    /// As the net saw them: normalised, `N×H×W×C`.
    pub images: Tensor,
    pub labels: Tensor,
    /// `N×K`.
    pub logits: Tensor,
    /// What is worth saying of the weights.
    pub remarks: Vec<String>,
}

/// Evaluates `config`'s net with the weights in a file on `images`.
pub fn evaluate(
    config: &Config,
    path: &Path,
    images: &Arc<Images>,
    device: &Device,
) -> std::result::Result<Evaluation, weights::Error> {
    let dtype = config.dtype.candle();
    let net = config.model.build(shape(&config.data), config.seed, dtype, device)?;
    let loaded = weights::load(&net.params, path)?;
    if let Some(Anew { theirs, ours, .. }) = loaded.anew {
        return Err(weights::Error::Classes { path: path.to_owned(), theirs, ours });
    }
    let (mut tally, mut seen) = (Tally::default(), [Vec::new(), Vec::new(), Vec::new()]);
    for batch in eval_batches(images, config.batch)? {
        let batch = batch?.to(device, dtype)?;
        let logits = net.forward(&batch.images, &Pass::Evaluation)?;
        tally.add(&cross_entropy(&logits, &batch.labels, 0.0)?, &logits, &batch.labels)?;
        for (seen, tensor) in seen.iter_mut().zip([batch.images, batch.labels, logits]) {
            seen.push(tensor);
        }
    }
    let [images, labels, logits] = seen.map(|tensors| Tensor::cat(&tensors, 0));
    let remarks = loaded.remarks(path);
    Ok(Evaluation { score: tally.score()?, images: images?, labels: labels?, logits: logits?, remarks })
}
