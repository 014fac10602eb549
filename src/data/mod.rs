//! Data sets: labelled images as bytes or texts as tokens, and batches of them as tensors.
//!
//! One format a file. This layer knows images and labels, nothing of nets or optimizers; what it draws at random depends on
//! seeds given to it and on nothing else.

mod augment;
mod config;
mod kind;
mod loader;
mod split;
mod target;

mod cifar;
mod digits;
mod files;
mod folder;
mod gzip;
mod idx;
mod picture;
mod svhn;
mod synthetic;
mod text;

pub mod own;

pub mod check;
mod digest;
mod download;
mod error;
pub mod fetch;
mod source;
mod unpack;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use augment::{Augment, check as check_augment};
pub use config::DataConfig;
pub use digest::Sum;
pub use error::Error;
pub use files::{Broken, Files};
pub use kind::{CATALOG, Kind, Normalisation, Shape};
pub use loader::{Batch, Batches, Loader, eval_batches};
pub use source::{Archive, Source};
pub use target::{Target, Targets};
pub use text::{Text, Tokens};

/// What a net learns from or is judged by.
#[derive(Debug, Clone)]
pub enum Examples {
    /// A class an image.
    Images(Images),
    /// The next token, at every token.
    Text(Text),
}

impl Examples {
    /// How many images, or windows of a text.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Images(images) => images.len(),
            Self::Text(text) => text.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The images, if these are some.
    #[must_use]
    pub const fn images(&self) -> Option<&Images> {
        match self {
            Self::Images(images) => Some(images),
            Self::Text(_) => None,
        }
    }
}

/// Labelled images, a byte a channel of a pixel.
#[derive(Debug, Clone)]
pub struct Images {
    pub pixels: Pixels,
    /// Their classes; all 0 where there are none.
    pub labels: Vec<u16>,
    pub targets: Targets,
    pub shape: Shape,
    pub normalisation: Normalisation,
}

/// Where the pixels of images are.
#[derive(Debug, Clone)]
pub enum Pixels {
    /// `N×H×W×C`.
    Memory(Vec<u8>),
    /// The same of numbers that are no bytes.
    Floats(Vec<f32>),
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
            Pixels::Memory(pixels) => Pixels::Memory(chosen(pixels, indices, bytes)),
            Pixels::Floats(pixels) => Pixels::Floats(chosen(pixels, indices, bytes)),
            Pixels::Files(files) => Pixels::Files(files.select(indices)),
        };
        let labels = indices.iter().map(|&i| self.labels[i]).collect();
        let targets = self.targets.select(indices, self.shape.classes);
        Self { pixels, labels, targets, shape: self.shape, normalisation: self.normalisation.clone() }
    }

    /// The pixels of a set that is in memory as bytes.
    #[cfg(test)]
    fn bytes(&self) -> &[u8] {
        match &self.pixels {
            Pixels::Memory(pixels) => pixels,
            Pixels::Floats(_) | Pixels::Files(_) => panic!("these are no bytes"),
        }
    }
}

/// Those at `indices`, of `each` values.
fn chosen<T: Copy>(values: &[T], indices: &[usize], each: usize) -> Vec<T> {
    indices.iter().flat_map(|&i| &values[i * each..(i + 1) * each]).copied().collect()
}

/// What a trial learns from and is judged by.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub train: Arc<Examples>,
    pub validation: Option<Arc<Examples>>,
    pub test: Arc<Examples>,
}

impl Dataset {
    /// Reads what `config` names from the data folder.
    pub fn load(config: &DataConfig, folder: &Path) -> Result<Self, Error> {
        if config.kind.is_text() {
            return Self::text(config);
        }
        let (mut train, mut test) = match &config.census {
            Some(census) => own::read(config, census)?,
            None => published(config.kind, folder)?,
        };
        for images in [&mut train, &mut test] {
            if let Pixels::Files(files) = &mut images.pixels {
                files.skip_broken = config.skip_broken;
            }
            config.target.set(images);
        }
        let (train, validation) = split::training(train, config)?;
        let images = |images| Arc::new(Examples::Images(images));
        Ok(Self { train: images(train), validation: validation.map(images), test: images(test) })
    }

    fn text(config: &DataConfig) -> Result<Self, Error> {
        let parts = match &config.path {
            Some(path) => text::own(path, config.cut())?,
            None => text::shakespeare(config.cut())?,
        };
        let (train, validation) = parts.train.split(config.validation, config.train_limit)?;
        let text = |text| Arc::new(Examples::Text(text));
        Ok(Self { train: text(train), validation: validation.map(text), test: text(parts.test) })
    }

    /// Image files that could not be read so far and were left out, in order of their names.
    #[must_use]
    pub fn broken(&self) -> Vec<Broken> {
        let parts = [Some(&self.train), self.validation.as_ref(), Some(&self.test)];
        let images = parts.into_iter().flatten().filter_map(|examples| examples.images());
        let files = images.filter_map(|images| match &images.pixels {
            Pixels::Files(files) => Some(files),
            Pixels::Memory(_) | Pixels::Floats(_) => None,
        });
        // Training and validation images are parts of one set and share its list.
        let mut broken: Vec<Broken> = files.flat_map(Files::broken).collect();
        broken.sort();
        broken.dedup();
        broken
    }
}

/// Training and test images of a published set, as many as were published.
fn published(kind: Kind, folder: &Path) -> Result<(Images, Images), Error> {
    let (train, test) = match kind {
        Kind::Digits => digits::read()?,
        Kind::Cifar10 | Kind::Cifar100 => cifar::read(kind, folder)?,
        Kind::Mnist | Kind::FashionMnist => idx::read(kind, folder)?,
        Kind::Svhn => svhn::read(folder)?,
        Kind::TinyImagenet | Kind::Imagenette | Kind::Imagenet => folder::read(kind, folder)?,
        Kind::Synthetic => synthetic::make(),
        Kind::Folder | Kind::Arrays | Kind::Parquet | Kind::Shakespeare | Kind::Text => {
            return Err(Error::NotCounted { kind: kind.name() });
        }
    };
    check_count(kind, "training", train.len(), kind.train_len(), folder)?;
    check_count(kind, "test", test.len(), kind.test_len(), folder)?;
    Ok((train, test))
}

/// Plans count on the published numbers, and a file cut between two records shows nowhere else.
fn check_count(kind: Kind, part: &'static str, found: usize, expected: usize, folder: &Path) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Count { set: kind.name(), part, folder: kind.place(folder), found, expected })
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
        Some(file) => Err(source::missing(kind, place, file)),
        None => Ok(()),
    }
}

/// Where data lie: the experiment's own folder, else `NKFAC_DATA`, else a cache folder.
#[must_use]
pub fn folder(of_experiment: Option<&Path>) -> PathBuf {
    if let Some(folder) = of_experiment {
        return folder.to_owned();
    }
    if let Some(folder) = variable("NKFAC_DATA") {
        return folder;
    }
    cache().unwrap_or_else(|| PathBuf::from("nkfac-bench"))
}

/// The folder for what may be lost; none where nobody is at home.
fn cache() -> Option<PathBuf> {
    // Without HOME the system's list of users knows the home; an empty one would lead into the current folder.
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| home.map(|home| home.join(".cache")))?;
    Some(cache.join("nkfac-bench"))
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
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
        let kinds = [Kind::ALL.as_slice(), &Kind::OWN].concat();
        assert_eq!(CATALOG.len(), kinds.len());
        for (kind, entry) in kinds.into_iter().zip(CATALOG) {
            let file: File = toml::from_str(entry.example).unwrap();
            assert_eq!((file.data.kind, kind.name()), (kind, entry.name));
        }
        assert!(toml::from_str::<File>(r#"data = { kind = "digit" }"#).is_err());
    }

    #[test]
    fn sets_without_files_are_as_large_as_they_say() {
        for kind in [Kind::Digits, Kind::Synthetic] {
            let set = Dataset::load(&DataConfig::all(kind), Path::new("nowhere")).unwrap();
            for (examples, count) in [(&set.train, kind.train_len()), (&set.test, kind.test_len())] {
                let images = examples.images().unwrap();
                assert_eq!((images.len(), images.bytes().len()), (count, count * kind.shape().bytes()));
                assert_eq!(images.shape, kind.shape());
            }
        }
    }

    #[test]
    fn the_normalisation_of_sets_without_files_is_what_is_said() {
        let measured = |kind| {
            let set = Dataset::load(&DataConfig::all(kind), Path::new("nowhere")).unwrap();
            measure(set.train.images().unwrap())
        };
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
