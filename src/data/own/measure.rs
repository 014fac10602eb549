//! Mean and deviation of every channel, and what cannot be decoded on the way.

use std::sync::Mutex;

use rayon::prelude::*;

use crate::data::files::Files;
use crate::data::{Broken, Error, Images, Pixels, Shape, Targets};
use crate::text::Shown;

/// Mean and standard deviation of each channel. Bytes are scaled to [0, 1]; a channel that never varies has a deviation of 1, so that it
/// becomes 0.
#[derive(Debug)]
pub struct Measured {
    pub mean: Vec<f32>,
    pub deviation: Vec<f32>,
}

/// What decoding all image files tells.
#[derive(Debug)]
pub struct Decoded {
    pub shape: Shape,
    pub measured: Measured,
    pub broken: Vec<Broken>,
}

/// How often every byte occurs, for each channel: sums that do not depend on the order of images, nor on threads.
type Counts = Vec<[u64; 256]>;

/// Measures training images that are in memory.
pub fn memory(images: &Images) -> Measured {
    let channels = images.shape.channels;
    match &images.pixels {
        Pixels::Memory(pixels) => {
            let mut counts = vec![[0; 256]; channels];
            count(&mut counts, pixels);
            of_bytes(&counts)
        }
        Pixels::Floats(values) => of_floats(values, channels),
        Pixels::Files(_) => of_bytes(&vec![[0; 256]; channels]),
    }
}

/// Decodes all files, measures those to train on as a net sees them in evaluation, and lists what cannot be decoded.
///
/// # Errors
/// A file cannot be read. Images differ in size, where none is chosen.
pub fn files(train: &Images, test: &Images, size: Option<usize>) -> Result<Decoded, Error> {
    let (mut edges, mut broken) = (Edges::default(), Vec::new());
    let counts = Mutex::new(vec![[0; 256]; 3]);
    for (images, is_train) in [(train, true), (test, false)] {
        let Pixels::Files(files) = &images.pixels else { continue };
        let look = |i| look(files, i, images.shape, size, is_train.then_some(&counts));
        for (i, looked) in
            (0..images.len()).into_par_iter().map(look).collect::<Result<Vec<_>, _>>()?.into_iter().enumerate()
        {
            match looked {
                Ok(found) if size.is_none() => edges.compare(files, i, found)?,
                Ok(_) => {}
                Err(file) => broken.push(file),
            }
        }
    }
    let measured = of_bytes(&counts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    let (width, height) = edges.found.map_or((0, 0), |(_, edges)| edges);
    let shape = match size {
        Some(_) => train.shape,
        None => Shape { width: width as usize, height: height as usize, ..train.shape },
    };
    Ok(Decoded { shape, measured, broken })
}

/// Width and height of file `i`, or why it has none; its bytes are counted if they are to be.
fn look(
    files: &Files,
    i: usize,
    shape: Shape,
    size: Option<usize>,
    counts: Option<&Mutex<Counts>>,
) -> Result<Result<(u32, u32), Broken>, Error> {
    let picture = match files.decode(i) {
        Ok(Some(picture)) => picture,
        Ok(None) => return Ok(Ok((0, 0))),
        Err(Error::Image { path, reason }) => return Ok(Err(Broken { path, reason })),
        Err(error) => return Err(error),
    };
    let dimensions = picture.dimensions();
    if let Some(counts) = counts {
        let mut own = vec![[0; 256]; 3];
        match size {
            Some(_) => count(&mut own, &files.evaluated(&picture, shape)),
            None => count(&mut own, &picture),
        }
        let mut counts = counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (all, own) in counts.iter_mut().flatten().zip(own.iter().flatten()) {
            *all += own;
        }
    }
    Ok(Ok(dimensions))
}

/// The size of all images.
#[derive(Default)]
struct Edges {
    /// The first image and its size.
    found: Option<(std::path::PathBuf, (u32, u32))>,
}

impl Edges {
    fn compare(&mut self, files: &Files, i: usize, (width, height): (u32, u32)) -> Result<(), Error> {
        match &self.found {
            None => self.found = Some((files.path(i), (width, height))),
            Some((first, (w, h))) if (*w, *h) != (width, height) => {
                let message = format!("has {width}×{height} pixels, but `{}` {w}×{h}", first.shown());
                return Err(Error::own(&files.path(i), message, SIZES));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

pub const SIZES: &str = "`size` in `data` brings all images to one, such as size = 64";

fn count(counts: &mut Counts, pixels: &[u8]) {
    for pixel in pixels.chunks_exact(counts.len().max(1)) {
        for (counts, &level) in counts.iter_mut().zip(pixel) {
            counts[usize::from(level)] += 1;
        }
    }
}

fn of_bytes(counts: &Counts) -> Measured {
    let each = counts.iter().map(|counts| {
        let levels = || counts.iter().enumerate().map(|(level, &count)| (level as f64 / 255.0, count as f64));
        let all: f64 = levels().map(|(_, count)| count).sum::<f64>().max(1.0);
        let mean = levels().map(|(level, count)| level * count).sum::<f64>() / all;
        (mean, (levels().map(|(level, count)| (level - mean).powi(2) * count).sum::<f64>() / all).sqrt())
    });
    Measured::of(each)
}

/// The least and the largest value of inputs.
pub fn inputs(parts: [&Images; 2]) -> [f32; 2] {
    range(parts.into_iter().filter_map(|images| match &images.pixels {
        Pixels::Floats(values) => Some(values),
        Pixels::Memory(_) | Pixels::Files(_) => None,
    }))
}

/// The same of the numbers that are to be given.
pub fn targets(parts: [&Images; 2]) -> [f32; 2] {
    range(parts.into_iter().filter_map(|images| match &images.targets {
        Targets::Values(values) => Some(values),
        Targets::Classes | Targets::Input => None,
    }))
}

fn range<'a>(values: impl Iterator<Item = &'a Vec<f32>>) -> [f32; 2] {
    values
        .flatten()
        .fold(None, |range: Option<[f32; 2]>, &value| {
            let [least, largest] = range.unwrap_or([value; 2]);
            Some([least.min(value), largest.max(value)])
        })
        .unwrap_or([0.0, 1.0])
}

fn of_floats(values: &[f32], channels: usize) -> Measured {
    let count = (values.len() / channels.max(1)).max(1) as f64;
    let sum = |of: &dyn Fn(usize, f64) -> f64| {
        let mut sums = vec![0.0; channels];
        for (at, &value) in values.iter().enumerate() {
            sums[at % channels] += of(at % channels, f64::from(value));
        }
        sums.into_iter().map(|sum| sum / count).collect::<Vec<f64>>()
    };
    let means = sum(&|_, value| value);
    let variances = sum(&|channel, value| (value - means[channel]).powi(2));
    Measured::of(means.iter().copied().zip(variances.into_iter().map(f64::sqrt)))
}

impl Measured {
    fn of(each: impl Iterator<Item = (f64, f64)>) -> Self {
        let varies = |deviation: f64| if deviation as f32 > 0.0 { deviation as f32 } else { 1.0 };
        let (mean, deviation) = each.map(|(mean, deviation)| (mean as f32, varies(deviation))).unzip();
        Self { mean, deviation }
    }
}

#[cfg(test)]
mod tests {
    use super::memory;
    use crate::data::own::unmeasured;
    use crate::data::{Images, Pixels, Shape, Targets};

    fn images(pixels: Pixels, channels: usize) -> Images {
        let shape = Shape { channels, height: 1, width: 2, classes: 2 };
        Images { pixels, labels: vec![0, 1], targets: Targets::Classes, shape, normalisation: unmeasured() }
    }

    #[test]
    fn bytes_and_numbers_are_measured_alike() {
        let bytes = [0u8, 255, 51, 255, 102, 255, 255, 255];
        let floats = bytes.map(|byte| f32::from(byte) / 255.0);
        let of_bytes = memory(&images(Pixels::Memory(bytes.to_vec()), 2));
        let of_floats = memory(&images(Pixels::Floats(floats.to_vec()), 2));
        // 0, 0.2, 0.4, 1: mean 0.4, variance (0.16 + 0.04 + 0 + 0.36) / 4.
        for measured in [of_bytes, of_floats] {
            assert!((measured.mean[0] - 0.4).abs() < 1e-6 && (measured.deviation[0] - 0.14f32.sqrt()).abs() < 1e-6);
            assert_eq!((measured.mean[1], measured.deviation[1]), (1.0, 1.0), "what never varies becomes 0");
        }
    }

    #[test]
    fn large_offsets_leave_the_deviation_exact() {
        let floats: Vec<f32> = [1.0, -1.0, 1.0, -1.0].iter().map(|value| 16_384.0 + value).collect();
        let measured = memory(&images(Pixels::Floats(floats), 1));
        assert_eq!((measured.mean[0], measured.deviation[0]), (16_384.0, 1.0));
    }
}
