//! Data sets: labelled images as bytes, and batches of them as tensors.
//!
//! One format a file. This layer knows images and labels, nothing of nets or optimizers; what it draws at random depends on
//! seeds given to it and on nothing else.

mod augment;
mod kind;
mod loader;
mod split;

mod cifar;
mod digits;
mod folder;
mod idx;
mod picture;
mod svhn;
mod synthetic;

pub mod check;
mod digest;
mod download;
mod error;
pub mod fetch;
mod source;
mod unpack;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use augment::{Augment, check as check_augment};
pub use digest::Sum;
pub use error::Error;
pub use folder::{Broken, Files};
pub use kind::{CATALOG, Kind, Normalisation, Shape};
pub use loader::{Batch, Loader, eval_batches};
pub use source::{Archive, Source};

/// Data as an experiment file names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    pub kind: Kind,
    /// Applied to training images, in this order.
    #[serde(default)]
    pub augment: Vec<Augment>,
    /// Train on this many images only, the same share of every class.
    #[serde(default)]
    pub train_limit: Option<usize>,
    /// Take this many images out of the training set to validate on, the same share of every class.
    #[serde(default)]
    pub validation: usize,
    /// Leave out image files that cannot be read, and count them, instead of stopping at the first. Only what is not the
    /// default is written, so that it changes no name of a trial on other data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_broken: bool,
}

/// Labelled images, a byte a channel of a pixel.
#[derive(Debug, Clone)]
pub struct Images {
    pub pixels: Pixels,
    pub labels: Vec<u16>,
    pub shape: Shape,
    pub normalisation: Normalisation,
}

/// Where the pixels of images are.
#[derive(Debug, Clone)]
pub enum Pixels {
    /// `N×H×W×C`.
    Memory(Vec<u8>),
    /// A file each, decoded and resized when a batch needs it.
    Files(Files),
}

impl Images {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Those at `indices`, in that order.
    fn select(&self, indices: &[usize]) -> Self {
        let bytes = self.shape.bytes();
        let pixels = match &self.pixels {
            Pixels::Memory(pixels) => {
                Pixels::Memory(indices.iter().flat_map(|&i| &pixels[i * bytes..(i + 1) * bytes]).copied().collect())
            }
            Pixels::Files(files) => Pixels::Files(files.select(indices)),
        };
        Self { pixels, labels: indices.iter().map(|&i| self.labels[i]).collect(), ..*self }
    }

    /// The pixels of a set that is in memory.
    #[cfg(test)]
    fn bytes(&self) -> &[u8] {
        match &self.pixels {
            Pixels::Memory(pixels) => pixels,
            Pixels::Files(_) => panic!("these are files"),
        }
    }
}

/// What a trial learns from and is judged by.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub train: Arc<Images>,
    pub validation: Option<Arc<Images>>,
    pub test: Arc<Images>,
}

impl Dataset {
    /// Reads what `config` names from the data folder.
    pub fn load(config: &DataConfig, folder: &Path) -> Result<Self, Error> {
        let (mut train, mut test) = read(config.kind, folder)?;
        check_count(config.kind, "training", train.len(), config.kind.train_len(), folder)?;
        check_count(config.kind, "test", test.len(), config.kind.test_len(), folder)?;
        for images in [&mut train, &mut test] {
            if let Pixels::Files(files) = &mut images.pixels {
                files.skip_broken = config.skip_broken;
            }
        }
        let (train, validation) = split::training(train, config)?;
        Ok(Self { train: Arc::new(train), validation: validation.map(Arc::new), test: Arc::new(test) })
    }

    /// Image files that could not be read so far and were left out, in order of their names.
    #[must_use]
    pub fn broken(&self) -> Vec<Broken> {
        let parts = [Some(&self.train), self.validation.as_ref(), Some(&self.test)];
        let files = parts.into_iter().flatten().filter_map(|images| match &images.pixels {
            Pixels::Files(files) => Some(files),
            Pixels::Memory(_) => None,
        });
        // Training and validation images are parts of one set and share its list.
        let mut broken: Vec<Broken> = files.flat_map(Files::broken).collect();
        broken.sort();
        broken.dedup();
        broken
    }
}

/// Training and test images.
fn read(kind: Kind, folder: &Path) -> Result<(Images, Images), Error> {
    match kind {
        Kind::Digits => digits::read(),
        Kind::Cifar10 | Kind::Cifar100 => cifar::read(kind, folder),
        Kind::Mnist | Kind::FashionMnist => idx::read(kind, folder),
        Kind::Svhn => svhn::read(folder),
        Kind::TinyImagenet | Kind::Imagenette | Kind::Imagenet => folder::read(kind, folder),
        Kind::Synthetic => Ok(synthetic::make()),
    }
}

/// Plans count on the published numbers, and a file cut between two records shows nowhere else.
fn check_count(kind: Kind, part: &'static str, found: usize, expected: usize, folder: &Path) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Count { set: kind.name(), part, folder: kind.place(folder), found, expected })
}

impl DataConfig {
    /// All of `kind`, as it is.
    #[must_use]
    pub const fn all(kind: Kind) -> Self {
        Self { kind, augment: Vec::new(), train_limit: None, validation: 0, skip_broken: false }
    }

    /// How many images a trial trains on, known without reading them.
    #[must_use]
    pub fn train_len(&self) -> usize {
        let left = self.kind.train_len().saturating_sub(self.validation);
        self.train_limit.map_or(left, |limit| limit.min(left))
    }
}

/// Whether the files of a set lie in the data folder. They are not read.
///
/// # Errors
/// One is missing: says which, and how to get it.
pub fn locate(kind: Kind, folder: &Path) -> Result<(), Error> {
    let place = kind.place(folder);
    // Of folders the upper ones: what is in them is read when a trial starts.
    let names = kind.source().into_iter().flat_map(|source| source.files).map(|(name, _)| *name);
    let mut names = names.filter(|name| !name.contains('/'));
    match names.find(|name| source::find(&place, name).is_none()) {
        Some(file) => Err(Error::Missing { set: kind.name(), folder: place, file }),
        None => Ok(()),
    }
}

/// Where data lie: the experiment's own folder, else `NKFAC_DATA`, else a cache folder.
#[must_use]
pub fn folder(of_experiment: Option<&Path>) -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = of_experiment {
        return folder.to_owned();
    }
    if let Some(folder) = variable("NKFAC_DATA") {
        return folder;
    }
    // Without HOME the system's list of users knows the home; an empty one would lead into the current folder.
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| home.map(|home| home.join(".cache")));
    cache.unwrap_or_default().join("nkfac-bench")
}

#[cfg(test)]
mod tests {
    use super::{CATALOG, DataConfig, Dataset, Error, Images, Kind};
    use std::path::Path;

    /// Mean and deviation of the first channel.
    fn measure(images: &Images) -> (f64, f64) {
        let levels = || images.bytes().iter().step_by(images.shape.channels).map(|&level| f64::from(level) / 255.0);
        let count = (images.len() * images.shape.height * images.shape.width) as f64;
        let mean = levels().sum::<f64>() / count;
        (mean, (levels().map(|level| (level - mean).powi(2)).sum::<f64>() / count).sqrt())
    }

    #[test]
    fn the_catalog_lists_every_kind_as_it_is_written() {
        #[derive(serde::Deserialize)]
        struct File {
            data: DataConfig,
        }
        assert_eq!(CATALOG.len(), Kind::ALL.len());
        for (kind, entry) in Kind::ALL.into_iter().zip(CATALOG) {
            let file: File = toml::from_str(entry.example).unwrap();
            assert_eq!((file.data.kind, kind.name()), (kind, entry.name));
        }
        assert!(toml::from_str::<File>(r#"data = { kind = "digit" }"#).is_err());
    }

    #[test]
    fn sets_without_files_are_as_large_as_they_say() {
        for kind in [Kind::Digits, Kind::Synthetic] {
            let set = Dataset::load(&DataConfig::all(kind), Path::new("nowhere")).unwrap();
            for (images, count) in [(&set.train, kind.train_len()), (&set.test, kind.test_len())] {
                assert_eq!((images.len(), images.bytes().len()), (count, count * kind.shape().bytes()));
                assert_eq!(images.shape, kind.shape());
            }
        }
    }

    #[test]
    fn the_normalisation_of_sets_without_files_is_what_is_said() {
        let measured = |kind| measure(&Dataset::load(&DataConfig::all(kind), Path::new("nowhere")).unwrap().train);
        let near = |(mean, deviation): (f64, f64), expected: (f64, f64)| {
            (mean - expected.0).abs() < 1e-3 && (deviation - expected.1).abs() < 1e-3
        };
        assert!(near(measured(Kind::Digits), (0.2873, 0.3539)));
        assert!(near(measured(Kind::Synthetic), (0.500, 0.168)));
        assert!(!near(measured(Kind::Synthetic), (0.5, 0.2)), "a deviation of 0.2 would be noticed");
    }

    #[test]
    fn files_cut_between_records_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["train.bin", "test.bin"] {
            std::fs::write(folder.path().join(file), [0; 3 * 3074]).unwrap();
        }
        let error = Dataset::load(&DataConfig::all(Kind::Cifar100), folder.path()).unwrap_err();
        assert!(matches!(error, Error::Count { part: "training", found: 3, expected: 50_000, .. }), "{error}");
    }
}
