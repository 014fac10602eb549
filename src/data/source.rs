//! Where data sets come from: official archives, their checksums as published, licences, and checksums of what is in them.

use std::path::{Path, PathBuf};

use super::digest::Sum;
use super::{Error, Kind};

/// Where a data set comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// What the owners allow.
    pub licence: &'static str,
    /// The address of the archives, up to their names.
    pub url: &'static str,
    pub archives: &'static [Archive],
    /// The folder within the data folder that its files lie in.
    pub folder: &'static str,
    /// The same as torchvision calls it, where that is another name.
    pub other_folder: Option<&'static str>,
    /// Files that must be there, and their checksums where they are known. What gzip holds is meant where the file may be packed.
    pub files: &'static [(&'static str, Option<Sum>)],
}

impl Source {
    /// The set's own folder in the data folder, if there is one, or that itself.
    pub(super) fn place(&self, folder: &Path) -> PathBuf {
        let mut named = [Some(self.folder), self.other_folder].into_iter().flatten().map(|name| folder.join(name));
        named.find(|inner| inner.is_dir()).unwrap_or_else(|| folder.to_owned())
    }
}

/// A file to download.
#[derive(Debug, Clone, Copy)]
pub struct Archive {
    pub name: &'static str,
    /// About; the server's word and the checksum count.
    pub bytes: u64,
    pub sum: Sum,
}

const fn archive(name: &'static str, bytes: u64, md5: &'static str) -> Archive {
    Archive { name, bytes, sum: Sum::Md5(md5) }
}

const fn file(name: &'static str, sha256: &'static str) -> (&'static str, Option<Sum>) {
    (name, Some(Sum::Sha256(sha256)))
}

impl Kind {
    /// Where it comes from; nothing for a set that needs no files.
    #[must_use]
    pub const fn source(self) -> Option<&'static Source> {
        of(self)
    }

    /// Where its files lie: in the data folder, or in a folder there that has the name they are published under, or torchvision's.
    #[must_use]
    pub fn place(self, folder: &Path) -> PathBuf {
        self.source().map_or_else(|| folder.to_owned(), |source| source.place(folder))
    }
}

/// Where a set's file lies: under its name or with a dot where the name has its last dash but one (`train-images.idx3-ubyte`), packed or
/// not, in the set's folder or where torchvision puts it, in `raw` there.
pub(super) fn find(place: &Path, file: &str) -> Option<PathBuf> {
    let dotted = file.replace("-idx", ".idx");
    let folders = [place.to_owned(), place.join("raw")];
    let names = [file, &dotted].map(|name| [name.to_owned(), format!("{name}.gz")]).concat();
    folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name))).find(|path| path.exists())
}

/// Where a set's file is missing that is not there: perhaps there is another version of the set.
pub(super) fn missing(kind: Kind, place: PathBuf, file: &'static str) -> Error {
    let python: &[&str] = match kind {
        Kind::Cifar10 => &["data_batch_1", "cifar-10-batches-py"],
        Kind::Cifar100 => &["meta", "cifar-100-python"],
        _ => &[],
    };
    match python.iter().map(|name| place.join(name)).find(|path| path.exists()) {
        Some(path) => Error::Python { set: kind.name(), path },
        None => Error::Missing { set: kind.name(), folder: place, file },
    }
}

/// Where `kind` comes from; nothing for a set that needs no files.
const fn of(kind: Kind) -> Option<&'static Source> {
    match kind {
        Kind::Digits
        | Kind::Synthetic
        | Kind::Shakespeare
        | Kind::Folder
        | Kind::Arrays
        | Kind::Parquet
        | Kind::Text => None,
        Kind::Cifar10 => Some(&CIFAR10),
        Kind::Cifar100 => Some(&CIFAR100),
        Kind::Mnist => Some(&MNIST),
        Kind::FashionMnist => Some(&FASHION_MNIST),
        Kind::Svhn => Some(&SVHN),
        Kind::TinyImagenet => Some(&TINY_IMAGENET),
        Kind::Imagenette => Some(&IMAGENETTE),
        Kind::Imagenet => Some(&IMAGENET),
    }
}

const FOLDERS: &[(&str, Option<Sum>)] = &[("train", None), ("val", None)];

const CIFAR10: Source = Source {
    licence: "none stated; cite Krizhevsky 2009",
    url: "https://www.cs.toronto.edu/~kriz/",
    archives: &[archive("cifar-10-binary.tar.gz", 170_052_171, "c32a1d4ab5d03f1284b67883e8d87530")],
    folder: "cifar-10-batches-bin",
    other_folder: None,
    files: &[
        file("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        file("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        file("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        file("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        file("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        file("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    ],
};

const CIFAR100: Source = Source {
    licence: "none stated; cite Krizhevsky 2009",
    url: "https://www.cs.toronto.edu/~kriz/",
    archives: &[archive("cifar-100-binary.tar.gz", 168_513_733, "03b5dce01913d631647c71ecec9e9cb8")],
    folder: "cifar-100-binary",
    other_folder: None,
    files: &[
        file("train.bin", "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
        file("test.bin", "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
    ],
};

const MNIST: Source = Source {
    licence: "CC BY-SA 3.0",
    url: "https://ossci-datasets.s3.amazonaws.com/mnist/",
    archives: &[
        archive("train-images-idx3-ubyte.gz", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        archive("train-labels-idx1-ubyte.gz", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
        archive("t10k-images-idx3-ubyte.gz", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
        archive("t10k-labels-idx1-ubyte.gz", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
    ],
    folder: "mnist",
    other_folder: Some("MNIST"),
    files: &[
        file("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        file("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        file("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        file("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ],
};

const FASHION_MNIST: Source = Source {
    licence: "MIT",
    url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    archives: &[
        archive("train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        archive("train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
        archive("t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
        archive("t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
    ],
    folder: "fashion-mnist",
    other_folder: Some("FashionMNIST"),
    files: &[
        file("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        file("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        file("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        file("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ],
};

const SVHN_TRAIN: &str = "e26dedcc434d2e4c54c9b2d4a06d8373";
const SVHN_TEST: &str = "eb5a983be6a315427106f1b164d9cef3";

const SVHN: Source = Source {
    licence: "non-commercial use only",
    url: "http://ufldl.stanford.edu/housenumbers/",
    archives: &[archive("train_32x32.mat", 182_040_794, SVHN_TRAIN), archive("test_32x32.mat", 64_275_384, SVHN_TEST)],
    folder: "svhn",
    other_folder: None,
    files: &[("train_32x32.mat", Some(Sum::Md5(SVHN_TRAIN))), ("test_32x32.mat", Some(Sum::Md5(SVHN_TEST)))],
};

const TINY_IMAGENET: Source = Source {
    licence: "ImageNet's terms: non-commercial research and teaching",
    url: "http://cs231n.stanford.edu/",
    archives: &[archive("tiny-imagenet-200.zip", 248_100_043, "90528d7ca1a48142e341f4ef8d21d0de")],
    folder: "tiny-imagenet-200",
    other_folder: None,
    files: &[("train", None), ("val", None), ("val/val_annotations.txt", None)],
};

const IMAGENETTE: Source = Source {
    licence: "Apache-2.0; the images under ImageNet's terms",
    url: "https://s3.amazonaws.com/fast-ai-imageclas/",
    archives: &[archive("imagenette2-160.tgz", 99_003_388, "e793b78cc4c9e9a4ccc0c1155377a412")],
    folder: "imagenette2-160",
    other_folder: None,
    files: FOLDERS,
};

const IMAGENET: Source = Source {
    licence: "non-commercial research and teaching, by agreement",
    url: "https://image-net.org/download.php",
    archives: &[
        archive("ILSVRC2012_img_train.tar", 147_897_477_120, "1d675b47d978889d74fa0da5fadfb00e"),
        archive("ILSVRC2012_img_val.tar", 6_744_924_160, "29b22e2961454d5413ddabcf34fc5622"),
    ],
    folder: "imagenet",
    other_folder: None,
    files: FOLDERS,
};
