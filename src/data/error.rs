use std::path::PathBuf;

use super::digest::Sum;
use super::download::Failure;
use crate::text::Shown;

/// What can be wrong with data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no {set} in `{}`: `{file}` is missing\nhint: set `data_dir` in the experiment or NKFAC_DATA to the folder that holds it, or get it: nkfac-bench data fetch {set}",
        folder.shown()
    )]
    Missing { set: &'static str, folder: PathBuf, file: &'static str },
    #[error(
        "`{}` is the Python version of {set}, pickles that could run code; the binary version is read\nhint: nkfac-bench data fetch {set}",
        path.shown()
    )]
    Python { set: &'static str, path: PathBuf },
    #[error(
        "`{}` belongs to `{found}`, not to `{wanted}`\nhint: data = {{ kind = \"{found}\" }}, or set `data_dir` or NKFAC_DATA to the folder with `{wanted}`",
        path.shown()
    )]
    OtherSet { path: PathBuf, found: &'static str, wanted: &'static str },
    #[error(
        "`{}` cannot be decoded: {reason}\nhint: `nkfac-bench data check` finds all such files; `skip_broken = true` in `data` leaves them out and counts them",
        path.shown()
    )]
    Image { path: PathBuf, reason: String },
    #[error("cannot read `{}`: {source}", path.shown())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("`{}` is broken: {message}\nhint: get it again; `nkfac-bench data check` compares what is there with the published files", path.shown())]
    Broken { path: PathBuf, message: String },
    #[error("`{}`: label {label} of image {image} is out of range: there are {classes} classes", path.shown())]
    Label { path: PathBuf, image: usize, label: u16, classes: usize },
    #[error(
        "`{}`: {found} {part} images, but {set} has {expected}\nhint: a file is cut short, or not the published one: get it again",
        folder.shown()
    )]
    Count { set: &'static str, part: &'static str, folder: PathBuf, found: usize, expected: usize },
    #[error("`{}` {message}\nhint: {hint}", path.shown())]
    Own { path: PathBuf, message: String, hint: String },
    #[error("`{kind}` is your own data, which no census was taken of")]
    NotCounted { kind: &'static str },
    #[error("`{set}` needs no files: there is nothing to fetch")]
    NoFiles { set: &'static str },
    #[error(
        "ImageNet cannot be fetched by a program: its owners ask for a login\n\
         hint: 1. log in at https://image-net.org/download.php and download ILSVRC2012_img_train.tar (148 GB, md5 1d675b47d978889d74fa0da5fadfb00e)\n\
         \x20        and ILSVRC2012_img_val.tar (6.7 GB, md5 29b22e2961454d5413ddabcf34fc5622)\n\
         \x20     2. unpack the first, and each of the 1,000 tars in it into a folder of its own: `{0}/train/<class>/*.JPEG`\n\
         \x20     3. unpack the second, and sort its images by their classes: `{0}/val/<class>/*.JPEG`\n\
         \x20     4. nkfac-bench data check imagenet",
        folder.shown()
    )]
    ByHand { folder: PathBuf },
    #[error("`{}` is there, but `{file}` is not in it\nhint: move it away and fetch again", place.shown())]
    Incomplete { place: PathBuf, file: &'static str },
    #[error(
        "cannot get `{url}`: {failure}\nhint: try again, what came so far is kept; `--from` names a mirror or a folder"
    )]
    Download { url: String, failure: Failure },
    #[error(
        "`{name}` from `{from}` is not the published file ({sum} expected): it was deleted\nhint: `--from` names another mirror or a folder"
    )]
    Checksum { name: &'static str, from: String, sum: Sum },
    #[error("cannot write `{}`: {source}", path.shown())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("`data.{key}` = {wanted}, but only {available} images are left to choose from")]
    TooFew { key: &'static str, wanted: usize, available: usize },
    #[error("`data.validation` = {wanted} leaves none of {available} images to train on")]
    NoneLeft { wanted: usize, available: usize },
}

impl Error {
    /// An error of reading, to be used with `map_err`.
    pub(super) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// An error of writing, to be used with `map_err`.
    pub(super) fn writing(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    /// What is wrong with somebody's own data at `path`, and what to do.
    pub(super) fn own(path: &std::path::Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Own { path: path.to_owned(), message: message.into(), hint: hint.into() }
    }

    pub(super) fn broken(path: &std::path::Path, message: impl Into<String>) -> Self {
        Self::Broken { path: path.to_owned(), message: message.into() }
    }
}

/// An error unless every label is below `classes`.
pub(super) fn check_labels(path: &std::path::Path, labels: &[u16], classes: usize) -> Result<(), Error> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        Some(image) => Err(Error::Label { path: path.to_owned(), image, label: labels[image], classes }),
        None => Ok(()),
    }
}
