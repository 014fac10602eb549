//! Image files: only their names are kept in memory; each is decoded and resized when a batch needs it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::picture::{self, Window};
use super::{Augment, Error, Shape};
use crate::random::Random;

/// Bytes of the largest file that is read; ImageNet's largest has 15 million.
pub const MOST_BYTES: u64 = 1 << 26;

/// Image files, read when they are asked for.
#[derive(Debug, Clone)]
pub struct Files {
    root: PathBuf,
    /// Within the root.
    names: Vec<Box<Path>>,
    /// What is seen where no window is drawn at random.
    seen: Seen,
    /// Leave out what cannot be decoded instead of stopping.
    pub(super) skip_broken: bool,
    broken: Arc<Mutex<BTreeSet<Broken>>>,
}

/// What of an image is seen in evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    All,
    /// The square in the middle whose edge is this share of the shorter edge.
    Square(f64),
}

/// A file that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Broken {
    pub path: PathBuf,
    pub reason: String,
}

impl Files {
    /// Those of `names` within `root`.
    pub(super) fn new(root: PathBuf, names: Vec<Box<Path>>, seen: Seen) -> Self {
        Self { root, names, seen, skip_broken: false, broken: Arc::default() }
    }

    /// Those at `indices`, in that order.
    pub(super) fn select(&self, indices: &[usize]) -> Self {
        let names = indices.iter().map(|&i| self.names[i].clone()).collect();
        Self { root: self.root.clone(), names, broken: self.broken.clone(), ..*self }
    }

    /// What was left out so far, in order of the names.
    #[must_use]
    pub fn broken(&self) -> Vec<Broken> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Image `i`, `H×W×C`, augmented; nothing if it cannot be decoded and is to be left out.
    ///
    /// # Errors
    /// The file cannot be read, or not be decoded.
    pub fn read(
        &self,
        i: usize,
        shape: Shape,
        augment: &[Augment],
        random: &mut Random,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(picture) = self.decode(i)? else { return Ok(None) };
        let window = match augment.first() {
            Some(Augment::ResizedCrop) => Window::random(picture.dimensions(), random),
            _ => self.seen.window(picture.dimensions()),
        };
        let mut image = picture::resize(&picture, window, shape);
        let mut scratch = image.clone();
        for augment in augment {
            augment.apply(&mut image, &mut scratch, shape, random);
        }
        Ok(Some(image))
    }

    /// Where image `i` is.
    pub(super) fn path(&self, i: usize) -> PathBuf {
        self.root.join(&self.names[i])
    }

    /// `picture` as a net of `shape` sees it in evaluation, `H×W×C`.
    pub(super) fn evaluated(&self, picture: &RgbImage, shape: Shape) -> Vec<u8> {
        picture::resize(picture, self.seen.window(picture.dimensions()), shape)
    }

    /// Image `i` as it is in its file.
    pub(super) fn decode(&self, i: usize) -> Result<Option<RgbImage>, Error> {
        let path = self.path(i);
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(Error::io(&path))?;
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(Error::io(&path))?;
        match picture::decode(&bytes) {
            Ok(picture) => Ok(Some(picture)),
            Err(reason) if self.skip_broken => {
                let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
                broken.insert(Broken { path, reason });
                Ok(None)
            }
            Err(reason) => Err(Error::Image { path, reason }),
        }
    }
}

impl Seen {
    pub(super) fn window(self, dimensions: (u32, u32)) -> Window {
        match self {
            Self::All => Window::all(dimensions),
            Self::Square(share) => Window::centre(dimensions, share),
        }
    }
}
