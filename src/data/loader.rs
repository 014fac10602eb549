//! Batches: shuffled and augmented for training, made ahead of the step on another thread; in order for evaluation.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use candle_core::{DType, Device, Result, Tensor};

use super::{Augment, Images};
use crate::random::Random;

/// Batches that wait for the step at most.
const AHEAD: usize = 2;

/// Images and labels of one step.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Normalised, `N×H×W×C`.
    pub images: Tensor,
    /// `N` whole numbers below the number of classes.
    pub labels: Tensor,
}

impl Batch {
    /// The same on `device`, images in `dtype`.
    pub fn to(&self, device: &Device, dtype: DType) -> Result<Self> {
        Ok(Self { images: self.images.to_device(device)?.to_dtype(dtype)?, labels: self.labels.to_device(device)? })
    }
}

/// Training batches, epoch by epoch. Order and augmentation depend on the seed and the epoch alone.
#[derive(Debug, Clone)]
pub struct Loader {
    images: Arc<Images>,
    augment: Vec<Augment>,
    batch: usize,
    seed: u64,
}

impl Loader {
    /// Batches of `batch` images; what is left over in an epoch is dropped.
    ///
    /// # Errors
    /// If an epoch would have no batch at all: `batch` is 0, or more than there are images.
    pub fn new(images: Arc<Images>, augment: &[Augment], batch: usize, seed: u64) -> Result<Self> {
        if batch == 0 || batch > images.len() {
            candle_core::bail!("`batch` is {batch}, from 1 to {} training images expected", images.len())
        }
        Ok(Self { images, augment: augment.to_vec(), batch, seed })
    }

    /// Batches an epoch.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.images.len() / self.batch
    }

    /// The batches of one epoch. Dropping them early ends the thread that makes them.
    pub fn epoch(&self, epoch: usize) -> Result<Batches> {
        let (sender, receiver) = sync_channel(AHEAD);
        let loader = self.clone();
        let make_all = move || {
            let mut random = Random::new(loader.seed, &format!("epoch/{epoch}"));
            let mut order: Vec<usize> = (0..loader.images.len()).collect();
            random.shuffle(&mut order);
            for indices in order.chunks_exact(loader.batch) {
                let batch = make(&loader.images, indices, &loader.augment, &mut random);
                if sender.send(batch).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("loader".into()).spawn(make_all)?;
        Ok(Batches(receiver))
    }
}

/// Batches as they become ready.
#[derive(Debug)]
pub struct Batches(Receiver<Result<Batch>>);

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.recv().ok()
    }
}

/// All images in order, without augmentation; the last batch may be smaller.
pub fn eval_batches(images: &Images, batch: usize) -> impl Iterator<Item = Result<Batch>> {
    let starts = (0..images.len()).step_by(batch.max(1));
    starts.map(move |start| {
        let indices: Vec<usize> = (start..images.len().min(start + batch)).collect();
        make(images, &indices, &[], &mut Random::new(0, "evaluation"))
    })
}

fn make(images: &Images, indices: &[usize], augment: &[Augment], random: &mut Random) -> Result<Batch> {
    let shape = images.shape;
    let tables = tables(images);
    let mut image = vec![0; shape.bytes()];
    let mut scratch = image.clone();
    let mut values = Vec::with_capacity(indices.len() * image.len());
    for &i in indices {
        image.copy_from_slice(&images.pixels[i * shape.bytes()..(i + 1) * shape.bytes()]);
        for augment in augment {
            augment.apply(&mut image, &mut scratch, shape, random);
        }
        values.extend(image.iter().zip(tables.iter().cycle()).map(|(&pixel, table)| table[usize::from(pixel)]));
    }
    let labels: Vec<u32> = indices.iter().map(|&i| u32::from(images.labels[i])).collect();
    Ok(Batch {
        images: Tensor::from_vec(values, (indices.len(), shape.height, shape.width, shape.channels), &Device::Cpu)?,
        labels: Tensor::new(labels, &Device::Cpu)?,
    })
}

/// For each channel the normalised value of every byte.
fn tables(images: &Images) -> Vec<[f32; 256]> {
    let channels = images.normalisation.mean.iter().zip(images.normalisation.deviation);
    channels.map(|(mean, deviation)| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / deviation)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Batch, Loader, eval_batches};
    use crate::data::{Augment, Images, Kind};
    use std::sync::Arc;

    fn images() -> Arc<Images> {
        Arc::new(crate::data::digits::read().unwrap().0)
    }

    fn bits(batch: candle_core::Result<Batch>) -> (Vec<u32>, Vec<u32>) {
        let batch = batch.unwrap();
        let values = batch.images.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (values.into_iter().map(f32::to_bits).collect(), batch.labels.to_vec1().unwrap())
    }

    #[test]
    fn an_epoch_depends_on_seed_and_number_alone() {
        let epoch = |seed, epoch| {
            let loader = Loader::new(images(), &[Augment::Crop, Augment::Flip], 32, seed).unwrap();
            loader.epoch(epoch).unwrap().map(bits).collect::<Vec<_>>()
        };
        assert_eq!(epoch(1, 3), epoch(1, 3));
        assert_ne!(epoch(1, 3), epoch(1, 4));
        assert_ne!(epoch(1, 3), epoch(2, 3));
        assert_eq!(epoch(1, 0).len(), 1437 / 32);
    }

    #[test]
    fn an_epoch_left_early_changes_nothing_in_the_next() {
        let loader = || Loader::new(images(), &[Augment::Crop], 32, 1).unwrap();
        let whole = |loader: &Loader, epoch| loader.epoch(epoch).unwrap().map(bits).collect::<Vec<_>>();
        for taken in [0, 1, 7] {
            let left = loader();
            assert_eq!(left.epoch(0).unwrap().take(taken).count(), taken);
            assert_eq!(whole(&left, 1), whole(&loader(), 1));
            assert_ne!(whole(&left, 1), whole(&loader(), 0));
        }
    }

    #[test]
    fn a_batch_no_epoch_can_fill_is_refused() {
        let message = |batch| Loader::new(images(), &[], batch, 1).unwrap_err().to_string();
        assert!(message(1438).starts_with("`batch` is 1438, from 1 to 1437 training images expected"));
        assert!(message(0).starts_with("`batch` is 0"));
        assert_eq!(Loader::new(images(), &[], 1437, 1).unwrap().steps(), 1);
    }

    #[test]
    fn shuffling_keeps_each_image_with_its_label() {
        // 64 bytes of an image, as they are normalised, and its label; no augmentation.
        let pairs = |batches: Vec<(Vec<u32>, Vec<u32>)>| {
            let rows = batches.into_iter().flat_map(|(values, labels)| {
                let rows: Vec<_> = values.chunks_exact(64).map(<[u32]>::to_vec).zip(labels).collect();
                rows
            });
            rows.collect::<Vec<_>>()
        };
        let all = images();
        let ordered = pairs(eval_batches(&all, 100).map(bits).collect());
        // A batch of 479 divides 1,437: no image is dropped.
        let epoch = Loader::new(all, &[], 479, 1).unwrap().epoch(0).unwrap();
        let mut shuffled = pairs(epoch.map(bits).collect());
        assert_ne!(shuffled, ordered);
        let mut sorted = ordered;
        sorted.sort_unstable();
        shuffled.sort_unstable();
        assert_eq!(shuffled, sorted);
        let first = shuffled[0].1;
        let other = shuffled.iter().position(|(_, label)| *label != first).unwrap_or_default();
        shuffled[0].1 = shuffled[other].1;
        assert_ne!(shuffled, sorted, "one wrong label would be noticed");
    }

    #[test]
    fn evaluation_sees_every_image_once_and_in_order() {
        let images = images();
        let batches: Vec<_> = eval_batches(&images, 100).map(|batch| bits(batch).1).collect();
        assert_eq!(batches.last().unwrap().len(), 37);
        let labels: Vec<u8> = batches.concat().into_iter().map(|label| label as u8).collect();
        assert_eq!(labels, images.labels);
    }

    #[test]
    fn the_made_up_images_are_normalised() {
        let (train, _) = crate::data::synthetic::make();
        let (values, _) = bits(eval_batches(&train, 256).next().unwrap());
        let values: Vec<f32> = values.into_iter().map(f32::from_bits).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let square = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.1 && (0.5..2.0).contains(&square), "{mean} {square}");
        assert_eq!(Kind::Synthetic.shape(), train.shape);
    }
}
