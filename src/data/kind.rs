//! The data sets: names, published sizes, and what is known of them without reading a file.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{self, Source};
use super::{Error, Images, cifar, digits, folder, idx, svhn, synthetic};
use crate::catalog::Entry;

/// A data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Digits,
    Cifar10,
    Cifar100,
    Mnist,
    FashionMnist,
    Svhn,
    TinyImagenet,
    Imagenette,
    Imagenet,
    Synthetic,
}

/// Every data set there is, in the order of [`Kind::ALL`].
pub const CATALOG: &[Entry] = &[
    Entry {
        name: "digits",
        help: "UCI optical digits, 8×8, 1,437 for training and 360 for testing; in the binary",
        example: r#"data = { kind = "digits" }"#,
    },
    Entry {
        name: "cifar10",
        help: "CIFAR-10, 32×32 colour, 50,000 and 10,000 (binary version)",
        example: r#"data = { kind = "cifar10", augment = ["crop", "flip"] }"#,
    },
    Entry {
        name: "cifar100",
        help: "CIFAR-100, 32×32 colour, 50,000 and 10,000 (binary version)",
        example: r#"data = { kind = "cifar100", augment = ["crop", "flip"] }"#,
    },
    Entry { name: "mnist", help: "MNIST, 28×28, 60,000 and 10,000 (IDX)", example: r#"data = { kind = "mnist" }"# },
    Entry {
        name: "fashion-mnist",
        help: "Fashion-MNIST, 28×28, 60,000 and 10,000 (IDX)",
        example: r#"data = { kind = "fashion-mnist", augment = ["flip"] }"#,
    },
    Entry {
        name: "svhn",
        help: "Street View house numbers, 32×32 colour, 73,257 and 26,032 (MATLAB)",
        example: r#"data = { kind = "svhn", augment = ["crop"] }"#,
    },
    Entry {
        name: "tiny-imagenet",
        help: "Tiny ImageNet, 64×64 colour, 200 classes, 100,000 and 10,000 (JPEG)",
        example: r#"data = { kind = "tiny-imagenet", augment = ["crop", "flip"] }"#,
    },
    Entry {
        name: "imagenette",
        help: "Imagenette 2 at 160 px, seen at 128×128, 10 classes, 9,469 and 3,925 (JPEG)",
        example: r#"data = { kind = "imagenette", augment = ["resized-crop", "flip"] }"#,
    },
    Entry {
        name: "imagenet",
        help: "ImageNet-1k, seen at 224×224, 1,281,167 and 50,000 (JPEG)",
        example: r#"data = { kind = "imagenet", augment = ["resized-crop", "flip"], skip_broken = true }"#,
    },
    Entry {
        name: "synthetic",
        help: "made up: 32×32 colour gratings, 10 classes, 2,000 and 500; needs no files",
        example: r#"data = { kind = "synthetic", train_limit = 256 }"#,
    },
];

/// What images look like, and how many classes they fall into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub classes: usize,
}

impl Shape {
    /// Bytes an image.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.channels * self.height * self.width
    }

    const fn square(channels: usize, edge: usize, classes: usize) -> Self {
        Self { channels, height: edge, width: edge, classes }
    }
}

/// Mean and deviation of each channel, of pixels scaled to [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalisation {
    pub mean: &'static [f32],
    pub deviation: &'static [f32],
}

impl Kind {
    /// Every data set, in the order of the [`CATALOG`].
    pub const ALL: [Self; 10] = [
        Self::Digits,
        Self::Cifar10,
        Self::Cifar100,
        Self::Mnist,
        Self::FashionMnist,
        Self::Svhn,
        Self::TinyImagenet,
        Self::Imagenette,
        Self::Imagenet,
        Self::Synthetic,
    ];

    /// The name in the [`CATALOG`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Svhn => "svhn",
            Self::TinyImagenet => "tiny-imagenet",
            Self::Imagenette => "imagenette",
            Self::Imagenet => "imagenet",
            Self::Synthetic => "synthetic",
        }
    }

    /// The shape of its images as a net sees them, known without reading them.
    #[must_use]
    pub const fn shape(self) -> Shape {
        match self {
            Self::Digits => Shape::square(1, 8, 10),
            Self::Cifar10 | Self::Svhn | Self::Synthetic => Shape::square(3, 32, 10),
            Self::Cifar100 => Shape::square(3, 32, 100),
            Self::Mnist | Self::FashionMnist => Shape::square(1, 28, 10),
            Self::TinyImagenet => Shape::square(3, 64, 200),
            Self::Imagenette => Shape::square(3, 128, 10),
            Self::Imagenet => Shape::square(3, 224, 1000),
        }
    }

    /// Images for training in the published set.
    #[must_use]
    pub const fn train_len(self) -> usize {
        match self {
            Self::Digits => digits::TRAIN,
            Self::Cifar10 | Self::Cifar100 => 50_000,
            Self::Mnist | Self::FashionMnist => 60_000,
            Self::Svhn => 73_257,
            Self::TinyImagenet => 100_000,
            Self::Imagenette => 9_469,
            Self::Imagenet => 1_281_167,
            Self::Synthetic => synthetic::TRAIN,
        }
    }

    /// Images for testing in the published set; for sets of image files those of `val`, whose labels are public.
    #[must_use]
    pub const fn test_len(self) -> usize {
        match self {
            Self::Digits => digits::TEST,
            Self::Cifar10 | Self::Cifar100 | Self::Mnist | Self::FashionMnist | Self::TinyImagenet => 10_000,
            Self::Svhn => 26_032,
            Self::Imagenette => 3_925,
            Self::Imagenet => 50_000,
            Self::Synthetic => synthetic::TEST,
        }
    }

    /// Whether its images are files of their own, which are decoded when a batch needs them.
    #[must_use]
    pub const fn is_folder(self) -> bool {
        matches!(self, Self::TinyImagenet | Self::Imagenette | Self::Imagenet)
    }

    /// Where it comes from; nothing for a set that needs no files.
    #[must_use]
    pub const fn source(self) -> Option<&'static Source> {
        source::of(self)
    }

    /// Where its files lie: in the data folder, or in a folder there that has the name they are published under, or torchvision's.
    #[must_use]
    pub fn place(self, folder: &Path) -> PathBuf {
        self.source().map_or_else(|| folder.to_owned(), |source| source.place(folder))
    }

    /// Of digits measured on all 1,797 images; of synthetic images round numbers (measured: 0.500 and 0.167); of the others as
    /// commonly published. The deviations published for CIFAR-10 and SVHN are the means of the images' own, not those of all
    /// pixels (CIFAR-10: 0.247). Imagenette has those of ImageNet, which it is a part of.
    pub(super) const fn normalisation(self) -> Normalisation {
        match self {
            Self::Digits => Normalisation { mean: &[0.2873], deviation: &[0.3539] },
            Self::Cifar10 => Normalisation { mean: &[0.4914, 0.4822, 0.4465], deviation: &[0.2023, 0.1994, 0.2010] },
            Self::Cifar100 => Normalisation { mean: &[0.507, 0.487, 0.441], deviation: &[0.267, 0.256, 0.276] },
            Self::Mnist => Normalisation { mean: &[0.1307], deviation: &[0.3081] },
            Self::FashionMnist => Normalisation { mean: &[0.2860], deviation: &[0.3530] },
            Self::Svhn => Normalisation { mean: &[0.4377, 0.4438, 0.4728], deviation: &[0.1980, 0.2010, 0.1970] },
            Self::TinyImagenet => {
                Normalisation { mean: &[0.4802, 0.4481, 0.3975], deviation: &[0.2770, 0.2691, 0.2821] }
            }
            Self::Imagenette | Self::Imagenet => {
                Normalisation { mean: &[0.485, 0.456, 0.406], deviation: &[0.229, 0.224, 0.225] }
            }
            Self::Synthetic => Normalisation { mean: &[0.5, 0.5, 0.5], deviation: &[0.2, 0.2, 0.2] },
        }
    }

    /// Training and test images.
    pub(super) fn read(self, folder: &Path) -> Result<(Images, Images), Error> {
        match self {
            Self::Digits => digits::read(),
            Self::Cifar10 | Self::Cifar100 => cifar::read(self, folder),
            Self::Mnist | Self::FashionMnist => idx::read(self, folder),
            Self::Svhn => svhn::read(folder),
            Self::TinyImagenet | Self::Imagenette | Self::Imagenet => folder::read(self, folder),
            Self::Synthetic => Ok(synthetic::make()),
        }
    }
}
