//! Batches: shuffled and augmented for training, made ahead of the step on another thread; in order for evaluation.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use candle_core::{DType, Device, Result, Tensor};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{Augment, Examples, Files, Images, Normalisation, Pixels, Shape, augment};
use crate::random::Random;

/// Batches that wait for the step at most, which also bounds the memory of images that are decoded.
const AHEAD: usize = 2;

/// What a net takes in one step, and what it shall make of it.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Images, normalised, `N×H×W×C`; or vectors, `N×D`; or tokens, `N×T`.
    pub inputs: Tensor,
    /// `N` whole numbers below the number of classes; or the next tokens, `N×T`; or numbers, `N×K`.
    pub targets: Tensor,
}

impl Batch {
    /// The same on `device`, images in `dtype`.
    pub fn to(&self, device: &Device, dtype: DType) -> Result<Self> {
        let inputs = self.inputs.to_device(device)?;
        let inputs = if inputs.dtype().is_float() { inputs.to_dtype(dtype)? } else { inputs };
        Ok(Self { inputs, targets: self.targets.to_device(device)? })
    }
}

/// Training batches, epoch by epoch. Order and augmentation depend on the seed and the epoch alone.
#[derive(Debug, Clone)]
pub struct Loader {
    examples: Arc<Examples>,
    augment: Vec<Augment>,
    batch: usize,
    seed: u64,
}

impl Loader {
    /// Batches of `batch` images, or windows of a text that start anywhere; what is left over in an epoch is dropped.
    ///
    /// # Errors
    /// If an epoch would have no batch at all: `batch` is 0, or more than there are images. If the augmentation is not one for such
    /// images.
    pub fn new(examples: Arc<Examples>, augment: &[Augment], batch: usize, seed: u64) -> Result<Self> {
        if batch == 0 || batch > examples.len() {
            candle_core::bail!(
                "`batch` is {batch} (must be from 1 to {}, the number of training images)",
                examples.len()
            )
        }
        let are_files = examples.images().is_some_and(|images| matches!(images.pixels, Pixels::Files(_)));
        augment::check(augment, are_files).map_err(candle_core::Error::msg)?;
        Ok(Self { examples, augment: augment.to_vec(), batch, seed })
    }

    /// Batches an epoch.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.examples.len() / self.batch
    }

    /// The batches of one epoch. Dropping them early ends the threads that make them.
    pub fn epoch(&self, epoch: usize) -> Result<Batches> {
        let mut random = Random::new(self.seed, &format!("epoch/{epoch}"));
        let count = self.steps() * self.batch;
        let order = match &*self.examples {
            Examples::Images(images) => {
                let mut order: Vec<usize> = (0..images.len()).collect();
                random.shuffle(&mut order);
                order.truncate(count);
                order
            }
            Examples::Text(text) => (0..count).map(|_| text.anywhere(&mut random)).collect(),
        };
        ahead(self.examples.clone(), order, self.batch, self.augment.clone(), random)
    }
}

/// All images or windows in order, without augmentation; the last batch may be smaller.
pub fn eval_batches(examples: &Arc<Examples>, batch: usize) -> Result<Batches> {
    let order = match &**examples {
        Examples::Images(images) => (0..images.len()).collect(),
        Examples::Text(text) => (0..text.len()).map(|i| text.start(i)).collect(),
    };
    ahead(examples.clone(), order, batch.max(1), Vec::new(), Random::new(0, "evaluation"))
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

/// Makes the batches of `order` on a thread of its own, at most [`AHEAD`] of them before they are taken. Image files are decoded on
/// as many threads as compute.
fn ahead(
    examples: Arc<Examples>,
    order: Vec<usize>,
    batch: usize,
    augment: Vec<Augment>,
    mut random: Random,
) -> Result<Batches> {
    let (sender, receiver) = sync_channel(AHEAD);
    let threads = match examples.images().map(|images| &images.pixels) {
        Some(Pixels::Files(_)) => Some(decoders()?),
        Some(Pixels::Memory(_) | Pixels::Floats(_)) | None => None,
    };
    let make_all = move || {
        for indices in order.chunks(batch) {
            let batch = match &*examples {
                Examples::Images(images) => make(images, indices, &augment, &mut random, threads.as_ref()),
                Examples::Text(text) => text.batch(indices).map(|[inputs, targets]| Batch { inputs, targets }),
            };
            if sender.send(batch).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new().name("loader".into()).spawn(make_all)?;
    Ok(Batches(receiver))
}

/// Threads apart from those that compute: a step must not wait for an image that one of its own threads has begun.
fn decoders() -> Result<ThreadPool> {
    let builder = ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
    builder.thread_name(|i| format!("decoder-{i}")).build().map_err(candle_core::Error::wrap)
}

fn make(
    images: &Images,
    indices: &[usize],
    augment: &[Augment],
    random: &mut Random,
    threads: Option<&ThreadPool>,
) -> Result<Batch> {
    let shape = images.shape;
    let mut values = Vec::with_capacity(indices.len() * shape.bytes());
    let mut labels: Vec<u32> = indices.iter().map(|&i| u32::from(images.labels[i])).collect();
    match &images.pixels {
        Pixels::Memory(pixels) => {
            let tables = tables(images);
            augmented(pixels, indices, shape, augment, random, |image| append(&mut values, image, &tables));
        }
        Pixels::Floats(pixels) => {
            let Normalisation { mean, deviation } = &images.normalisation;
            let scales = || mean.iter().zip(deviation.iter()).cycle();
            augmented(pixels, indices, shape, augment, random, |image| {
                values.extend(image.iter().zip(scales()).map(|(value, (mean, deviation))| (value - mean) / deviation));
            });
        }
        Pixels::Files(files) => {
            let decoded = decode(files, indices, images, augment, random, threads)?;
            let mut whole = decoded.iter().map(Option::is_some);
            labels.retain(|_| whole.next() == Some(true));
            let tables = tables(images);
            decoded.iter().flatten().for_each(|image| append(&mut values, image, &tables));
        }
    }
    if labels.is_empty() {
        candle_core::bail!("none of the {} images of a batch can be decoded", indices.len())
    }
    let inputs = Tensor::from_vec(values, (labels.len(), shape.height, shape.width, shape.channels), &Device::Cpu)?;
    let targets = images.targets.batch(&inputs, indices, labels, shape.classes)?;
    Ok(Batch { inputs: if shape.is_vector() { inputs.flatten_from(1)? } else { inputs }, targets })
}

/// Tells `append` of every image at `indices`, augmented.
fn augmented<T: Copy + Default>(
    pixels: &[T],
    indices: &[usize],
    shape: Shape,
    augment: &[Augment],
    random: &mut Random,
    mut append: impl FnMut(&[T]),
) {
    let mut image = vec![T::default(); shape.bytes()];
    let mut scratch = image.clone();
    for &i in indices {
        image.copy_from_slice(&pixels[i * shape.bytes()..(i + 1) * shape.bytes()]);
        for augment in augment {
            augment.apply(&mut image, &mut scratch, shape, random);
        }
        append(&image);
    }
}

/// Normalises the bytes of an image.
fn append(values: &mut Vec<f32>, image: &[u8], tables: &[[f32; 256]]) {
    values.extend(image.iter().zip(tables.iter().cycle()).map(|(&pixel, table)| table[usize::from(pixel)]));
}

/// The files at `indices`; nothing for those to be left out. Each image has random numbers of its own, so that it does not matter
/// which thread takes it.
fn decode(
    files: &Files,
    indices: &[usize],
    images: &Images,
    augment: &[Augment],
    random: &mut Random,
    threads: Option<&ThreadPool>,
) -> Result<Vec<Option<Vec<u8>>>> {
    let seeds: Vec<u64> = indices.iter().map(|_| random.seed()).collect();
    let read = |(&i, &seed): (&usize, &u64)| {
        files.read(i, images.shape, augment, &mut Random::new(seed, "image")).map_err(candle_core::Error::msg)
    };
    match threads {
        Some(threads) => threads.install(|| indices.par_iter().zip(&seeds).map(read).collect()),
        None => indices.iter().zip(&seeds).map(read).collect(),
    }
}

/// For each channel the normalised value of every byte.
fn tables(images: &Images) -> Vec<[f32; 256]> {
    let channels = images.normalisation.mean.iter().zip(images.normalisation.deviation.iter());
    channels.map(|(mean, deviation)| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / deviation)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Batch, Loader, decoders, eval_batches, make};
    use crate::data::folder::tests::imagenette;
    use crate::data::picture::tests::jpeg_ramp;
    use crate::data::{Augment, Examples, Images, Kind, Pixels};
    use crate::random::Random;
    use std::sync::Arc;

    fn images() -> Arc<Examples> {
        Arc::new(Examples::Images(crate::data::digits::read().unwrap().0))
    }

    fn bits(batch: candle_core::Result<Batch>) -> (Vec<u32>, Vec<u32>) {
        let batch = batch.unwrap();
        let values = batch.inputs.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (values.into_iter().map(f32::to_bits).collect(), batch.targets.to_vec1().unwrap())
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
        assert!(message(1438).starts_with("`batch` is 1438 (must be from 1 to 1437, the number of training images)"));
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
        let ordered = pairs(eval_batches(&all, 100).unwrap().map(bits).collect());
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
        let batches: Vec<_> = eval_batches(&images, 100).unwrap().map(|batch| bits(batch).1).collect();
        assert_eq!(batches.last().unwrap().len(), 37);
        let labels: Vec<u16> = batches.concat().into_iter().map(|label| label as u16).collect();
        assert_eq!(labels, images.images().unwrap().labels);
    }

    #[test]
    fn the_made_up_images_are_normalised() {
        let train = Arc::new(Examples::Images(crate::data::synthetic::make().0));
        let (values, _) = bits(eval_batches(&train, 256).unwrap().next().unwrap());
        let values: Vec<f32> = values.into_iter().map(f32::from_bits).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let square = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.1 && (0.5..2.0).contains(&square), "{mean} {square}");
        assert_eq!(Kind::Synthetic.shape(), train.images().unwrap().shape);
    }

    #[test]
    fn files_give_the_same_bits_on_any_number_of_threads() {
        let folder = tempfile::tempdir().unwrap();
        let (train, _) = imagenette(folder.path(), 2);
        std::fs::write(folder.path().join("train/n00000003/0.JPEG"), jpeg_ramp(50, 40)).unwrap();
        let augment = [Augment::ResizedCrop, Augment::Flip];
        let indices: Vec<usize> = (0..train.len()).rev().collect();
        let batch = |threads: Option<usize>, seed| {
            let pool = threads.map(|count| rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap());
            bits(make(&train, &indices, &augment, &mut Random::new(seed, "test"), pool.as_ref()))
        };
        let alone = batch(None, 1);
        assert!(batch(Some(1), 1) == alone && batch(Some(5), 1) == alone);
        assert!(batch(Some(5), 2) != alone, "another seed would be noticed");
        assert!(decoders().unwrap().current_num_threads() > 0);
    }

    #[test]
    fn an_epoch_of_files_has_every_image_once_and_what_is_broken_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (mut train, _) = imagenette(folder.path(), 3);
        std::fs::write(folder.path().join("train/n00000004/1.JPEG"), b"\xff\xd8\xff\xe0").unwrap();
        let labels = |train: &Images| -> candle_core::Result<Vec<u32>> {
            let loader = Loader::new(Arc::new(Examples::Images(train.clone())), &[Augment::ResizedCrop], 10, 1)?;
            let mut labels = Vec::new();
            for batch in loader.epoch(0)? {
                labels.extend(batch?.targets.to_vec1::<u32>()?);
            }
            labels.sort_unstable();
            Ok(labels)
        };
        let message = labels(&train).unwrap_err().to_string();
        assert!(
            message.contains("n00000004/1.JPEG` cannot be decoded") && message.contains("skip_broken"),
            "{message}"
        );
        let Pixels::Files(files) = &mut train.pixels else { panic!("these are files") };
        files.skip_broken = true;
        let mut expected: Vec<u32> = (0..30).map(|i| i / 3).collect();
        expected.remove(12);
        assert_eq!(labels(&train).unwrap(), expected);
        let Pixels::Files(files) = &train.pixels else { panic!("these are files") };
        assert_eq!(files.broken().len(), 1);
    }
}
