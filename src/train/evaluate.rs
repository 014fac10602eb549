//! Evaluation: running statistics, no gradients, no augmentation, every image once.

use std::sync::Arc;

use candle_core::{DType, Device, Result};

use super::tally::{Score, Tally};
use crate::data::{Images, eval_batches};
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
