//! The data sets: names, published sizes, and what is known of them without reading a file.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::Entry;

/// A data set: a published one, or somebody's own.
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
    Shakespeare,
    /// Image files at `path`, a folder a class.
    Folder,
    /// Arrays in a file: `.npz` or safetensors.
    Arrays,
    /// Images in Parquet, as the Hugging Face hub has them.
    Parquet,
    /// A text in a file.
    Text,
}

/// Every published data set in the order of [`Kind::ALL`], then [`Kind::OWN`].
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
    Entry {
        name: "shakespeare",
        help: "tiny Shakespeare, 1,115,394 characters, 65 of them different, the last tenth for testing; in the binary",
        example: r#"data = { kind = "shakespeare", context = 64 }"#,
    },
    Entry {
        name: "folder",
        help: "your own image files: train/CLASS/* and test/CLASS/* (or val), or CLASS/* and a share to test on (JPEG, PNG)",
        example: r#"data = { kind = "folder", path = "pets", size = 64, test = 0.2 }"#,
    },
    Entry {
        name: "arrays",
        help: "your own arrays: train_x, train_y, test_x, test_y in an .npz or safetensors file",
        example: r#"data = { kind = "arrays", path = "mine.npz" }"#,
    },
    Entry {
        name: "parquet",
        help: "your own images in Parquet, as the Hugging Face hub has them: train-*.parquet and test-*.parquet",
        example: r#"data = { kind = "parquet", path = "cifar10" }"#,
    },
    Entry {
        name: "text",
        help: "your own text, by characters or bytes, its end for testing",
        example: r#"data = { kind = "text", path = "mine.txt", tokens = "bytes", context = 64 }"#,
    },
];

/// What images look like, and how many classes they fall into. A text has no pixels, and its classes are its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub classes: usize,
}

impl Shape {
    /// Values an image: a byte each, in most sets.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether there is one pixel, and no neighbours: an example is a vector of its channels.
    #[must_use]
    pub const fn is_vector(&self) -> bool {
        self.height == 1 && self.width == 1
    }

    const fn square(channels: usize, edge: usize, classes: usize) -> Self {
        Self { channels, height: edge, width: edge, classes }
    }
}

/// Mean and deviation of each channel, of pixels scaled to [0, 1].
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    pub mean: Cow<'static, [f32]>,
    pub deviation: Cow<'static, [f32]>,
}

impl Normalisation {
    /// That of images that are seen as they are, in [0, 1].
    pub(super) fn none(channels: usize) -> Self {
        Self { mean: vec![0.0; channels].into(), deviation: vec![1.0; channels].into() }
    }

    const fn published(mean: &'static [f32], deviation: &'static [f32]) -> Self {
        Self { mean: Cow::Borrowed(mean), deviation: Cow::Borrowed(deviation) }
    }
}

impl Kind {
    /// Somebody's own data: what is at a path.
    pub const OWN: [Self; 4] = [Self::Folder, Self::Arrays, Self::Parquet, Self::Text];

    /// Every published data set, in the order of the [`CATALOG`].
    pub const ALL: [Self; 11] = [
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
        Self::Shakespeare,
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
            Self::Folder => "folder",
            Self::Arrays => "arrays",
            Self::Parquet => "parquet",
            Self::Shakespeare => "shakespeare",
            Self::Text => "text",
        }
    }

    /// Whether it is what lies at a path, and nothing is known of it before that is counted.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Folder | Self::Arrays | Self::Parquet | Self::Text)
    }

    /// Whether it is text.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Shakespeare | Self::Text)
    }

    /// The shape of its images as a net sees them, known without reading them; that of own data is in their census.
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
            Self::Shakespeare => Shape::square(0, 0, 65),
            Self::Folder | Self::Arrays | Self::Parquet | Self::Text => Shape::square(0, 0, 0),
        }
    }

    /// Images for training in the published set, of a text characters; those of own data are in their census.
    #[must_use]
    pub const fn train_len(self) -> usize {
        match self {
            Self::Digits => 1_437,
            Self::Cifar10 | Self::Cifar100 => 50_000,
            Self::Mnist | Self::FashionMnist => 60_000,
            Self::Svhn => 73_257,
            Self::TinyImagenet => 100_000,
            Self::Imagenette => 9_469,
            Self::Imagenet => 1_281_167,
            Self::Synthetic => 2_000,
            Self::Shakespeare => 1_003_854,
            Self::Folder | Self::Arrays | Self::Parquet | Self::Text => 0,
        }
    }

    /// Images for testing in the published set; for sets of image files those of `val`, whose labels are public.
    #[must_use]
    pub const fn test_len(self) -> usize {
        match self {
            Self::Digits => 360,
            Self::Cifar10 | Self::Cifar100 | Self::Mnist | Self::FashionMnist | Self::TinyImagenet => 10_000,
            Self::Svhn => 26_032,
            Self::Imagenette => 3_925,
            Self::Imagenet => 50_000,
            Self::Synthetic => 500,
            Self::Shakespeare => 111_540,
            Self::Folder | Self::Arrays | Self::Parquet | Self::Text => 0,
        }
    }

    /// Whether its images are files of their own, which are decoded when a batch needs them.
    #[must_use]
    pub const fn is_folder(self) -> bool {
        matches!(self, Self::TinyImagenet | Self::Imagenette | Self::Imagenet | Self::Folder)
    }

    /// Of digits measured on all 1,797 images; of synthetic images round numbers (measured: 0.500 and 0.167); of the others as
    /// commonly published. The deviations published for CIFAR-10 and SVHN are the means of the images' own, not those of all
    /// pixels (CIFAR-10: 0.247). Imagenette has those of ImageNet, which it is a part of.
    pub(super) const fn normalisation(self) -> Normalisation {
        match self {
            Self::Digits => Normalisation::published(&[0.2873], &[0.3539]),
            Self::Cifar10 => Normalisation::published(&[0.4914, 0.4822, 0.4465], &[0.2023, 0.1994, 0.2010]),
            Self::Cifar100 => Normalisation::published(&[0.507, 0.487, 0.441], &[0.267, 0.256, 0.276]),
            Self::Mnist => Normalisation::published(&[0.1307], &[0.3081]),
            Self::FashionMnist => Normalisation::published(&[0.2860], &[0.3530]),
            Self::Svhn => Normalisation::published(&[0.4377, 0.4438, 0.4728], &[0.1980, 0.2010, 0.1970]),
            Self::TinyImagenet => Normalisation::published(&[0.4802, 0.4481, 0.3975], &[0.2770, 0.2691, 0.2821]),
            Self::Imagenette | Self::Imagenet => {
                Normalisation::published(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])
            }
            Self::Folder | Self::Arrays | Self::Parquet | Self::Shakespeare | Self::Text => {
                Normalisation::published(&[], &[])
            }
            Self::Synthetic => Normalisation::published(&[0.5, 0.5, 0.5], &[0.2, 0.2, 0.2]),
        }
    }
}
