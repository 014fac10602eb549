use std::path::PathBuf;

/// What can be wrong with data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no {set} in `{}`: `{file}` is missing\nhint: set `data_dir` in the experiment or NKFAC_DATA to the folder that holds it",
        folder.display()
    )]
    Missing { set: &'static str, folder: PathBuf, file: &'static str },
    #[error("cannot read `{}`: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("`{}` is broken: {message}", path.display())]
    Broken { path: PathBuf, message: String },
    #[error("`{}`: label {label} of image {image} is out of range, {classes} classes expected", path.display())]
    Label { path: PathBuf, image: usize, label: u8, classes: usize },
    #[error(
        "`{}`: {found} {part} images of {set}, {expected} expected\nhint: a file is cut short, or not the published one: get it again",
        folder.display()
    )]
    Count { set: &'static str, part: &'static str, folder: PathBuf, found: usize, expected: usize },
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

    pub(super) fn broken(path: &std::path::Path, message: impl Into<String>) -> Self {
        Self::Broken { path: path.to_owned(), message: message.into() }
    }
}

/// An error unless every label is below `classes`.
pub(super) fn check_labels(path: &std::path::Path, labels: &[u8], classes: usize) -> Result<(), Error> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        Some(image) => Err(Error::Label { path: path.to_owned(), image, label: labels[image], classes }),
        None => Ok(()),
    }
}
