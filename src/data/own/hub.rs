//! Images in Parquet as the Hugging Face hub has them: `train-*.parquet` and `test-*.parquet`, or folders of these names, or one file and a
//! share to test on. All are decoded into memory.

use std::path::{Path, PathBuf};

use image::RgbImage;
use rayon::prelude::*;

use super::columns::{self, Rows};
use super::hold_out::hold_out;
use super::measure::SIZES;
use super::{Parts, absent, unmeasured};
use crate::data::files::Seen;
use crate::data::{DataConfig, Error, Images, Pixels, Shape, Targets, picture};
use crate::text::Shown;

/// The files of a data set, in the order of their names.
#[derive(Debug)]
pub struct Shards {
    root: PathBuf,
    train: Vec<PathBuf>,
    /// None: a share of the others is tested on.
    test: Vec<PathBuf>,
    /// Splits that neither part is made of.
    aside: Vec<String>,
}

/// What test images may be called; the first that is there.
const TESTS: [&str; 4] = ["test", "validation", "valid", "val"];
/// Bytes of all images at most, decoded.
const MOST_BYTES: usize = 1 << 36;
const NAMES: &str = "train-*.parquet and test-*.parquet are read, or one file with test = 0.2 in `data`";

/// Finds the files at `path`, by their names.
pub fn shards(path: &Path, share: Option<f64>) -> Result<Shards, Error> {
    let metadata = std::fs::metadata(path).map_err(|error| absent(path, &error))?;
    if metadata.is_file() {
        let (root, train) = (PathBuf::new(), vec![path.to_owned()]);
        return Shards { root, train, test: Vec::new(), aside: Vec::new() }.divided(path, share);
    }
    let root = root(path)?;
    let mut splits: Vec<(String, Vec<PathBuf>)> = Vec::new();
    for (split, file) in split_files(&root)? {
        match splits.iter_mut().find(|(known, _)| *known == split) {
            Some((_, files)) => files.push(file),
            None => splits.push((split, vec![file])),
        }
    }
    let mut take = |name: &str| {
        let place = splits.iter().position(|(split, _)| split == name)?;
        Some(splits.remove(place).1)
    };
    let Some(train) = take("train") else {
        let found: Vec<String> = splits.iter().map(|(split, _)| format!("`{split}`")).collect();
        return Err(Error::own(&root, format!("has no train-*.parquet among its files ({})", found.join(", ")), NAMES));
    };
    let test = TESTS.into_iter().find_map(take).unwrap_or_default();
    let aside = splits.into_iter().map(|(split, _)| split).collect();
    for files in [&train, &test] {
        whole(files)?;
    }
    Shards { root, train, test, aside }.divided(path, share)
}

/// The folder with the files: `path`, or the only one in it that has any.
fn root(path: &Path) -> Result<PathBuf, Error> {
    if !split_files(path)?.is_empty() {
        return Ok(path.to_owned());
    }
    let mut inner = Vec::new();
    for name in names(path)? {
        let folder = path.join(name);
        if folder.is_dir() && !split_files(&folder)?.is_empty() {
            inner.push(folder);
        }
    }
    match inner.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::own(path, "has no Parquet files", NAMES)),
        many => {
            let names: Vec<String> = many.iter().map(|folder| format!("`{}`", folder.shown())).collect();
            Err(Error::own(
                path,
                format!("has more than one set in it: {}", names.join(", ")),
                "name one of them in `path`",
            ))
        }
    }
}

/// Every `SPLIT-*.parquet`, `SPLIT.parquet` and `SPLIT/*.parquet` with its split.
fn split_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut files = Vec::new();
    for name in names(folder)? {
        let path = folder.join(&name);
        let start = name.to_string_lossy();
        let split: String = start.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        if is_parquet(&path) {
            files.push((split, path));
        } else if split == "train" || TESTS.contains(&split.as_str()) {
            let inner = if path.is_dir() { names(&path)? } else { Vec::new() };
            files.extend(
                inner
                    .into_iter()
                    .map(|name| path.join(name))
                    .filter(|path| is_parquet(path))
                    .map(|path| (split.clone(), path)),
            );
        }
    }
    Ok(files)
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "parquet") && path.is_file()
}

/// What lies in `folder`, sorted, without what is hidden.
fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>, Error> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let name = entry.map_err(Error::io(folder))?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Names that say `-00000-of-00002` say how many there are.
fn whole(files: &[PathBuf]) -> Result<(), Error> {
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        // A suffix of hexadecimal digits may follow the number.
        let all = stem.split_once("-of-").map(|(_, all)| all.split('-').next().unwrap_or_default());
        match all.and_then(|all| all.parse::<usize>().ok()) {
            Some(all) if all != files.len() => {
                return Err(Error::own(
                    file,
                    format!("is one of {all}, but {} are there", files.len()),
                    "get all of them",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Shards {
    /// The same, if there are test images or a share of the others is asked for, and not both.
    fn divided(self, path: &Path, share: Option<f64>) -> Result<Self, Error> {
        match (self.test.is_empty(), share) {
            (true, None) => Err(Error::own(
                path,
                "has no images to test on apart",
                "test = 0.2 in `data` tests on a fifth of each class",
            )),
            (false, Some(share)) => {
                let message = format!("has test images of its own, and `data.test` is {share}");
                Err(Error::own(path, message, "leave `test` out"))
            }
            _ => Ok(self),
        }
    }

    /// Names within the folder, and paths.
    pub fn files(&self) -> Vec<(PathBuf, PathBuf)> {
        let all = self.train.iter().chain(&self.test);
        if self.root.as_os_str().is_empty() {
            return all.map(|path| (PathBuf::new(), path.clone())).collect();
        }
        all.map(|path| (path.strip_prefix(&self.root).unwrap_or(path).to_owned(), path.clone())).collect()
    }

    pub fn remarks(&self) -> Vec<String> {
        let words = |split: &String| format!("split `{split}` is left aside");
        self.aside.iter().map(words).collect()
    }
}

/// Decodes all images.
pub fn read(shards: &Shards, config: &DataConfig) -> Result<Parts, Error> {
    let mut stack = Stack { size: config.size, edges: None, names: None };
    let (mut train, mut test) = (stack.images(&shards.train)?, stack.images(&shards.test)?);
    if let Some(share) = config.test {
        let (first, others) = hold_out(&train.labels, share, |i| i.to_le_bytes().to_vec());
        (train, test) = (train.select(&first), train.select(&others));
    }
    let most = train.labels.iter().chain(&test.labels).max().map_or(0, |&label| usize::from(label) + 1);
    let classes = stack.names.unwrap_or_else(|| (0..most).map(|class| class.to_string()).collect());
    for images in [&mut train, &mut test] {
        images.shape.classes = classes.len();
    }
    Ok(Parts { train, test, classes })
}

/// What all images have in common.
struct Stack {
    size: Option<usize>,
    edges: Option<(u32, u32)>,
    names: Option<Vec<String>>,
}

impl Stack {
    fn images(&mut self, files: &[PathBuf]) -> Result<Images, Error> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for path in files {
            let bytes = std::fs::read(path).map_err(Error::io(path))?;
            let rows = columns::read(&bytes).map_err(|message| Error::own(path, message, HUB))?;
            self.append(rows, &mut pixels, &mut labels).map_err(|(message, hint)| Error::own(path, message, hint))?;
        }
        let (width, height) = self.edges.unwrap_or_default();
        let shape = Shape { channels: 3, height: height as usize, width: width as usize, classes: 0 };
        Ok(Images {
            pixels: Pixels::Memory(pixels),
            labels,
            targets: Targets::Classes,
            shape,
            normalisation: unmeasured(),
        })
    }

    fn append(
        &mut self,
        rows: Rows,
        pixels: &mut Vec<u8>,
        labels: &mut Vec<u16>,
    ) -> Result<(), (String, &'static str)> {
        let first = rows.images.first().map(|image| picture::decode(image)).and_then(Result::ok);
        if let (None, Some(first)) = (self.edges, first) {
            self.edges = Some(self.size.map_or(first.dimensions(), |size| (size as u32, size as u32)));
        }
        let (width, height) = self.edges.unwrap_or((1, 1));
        let each = 3 * width as usize * height as usize;
        if each.saturating_mul(rows.images.len()).saturating_add(pixels.len()) > MOST_BYTES {
            let message = format!("has more images of {width}×{height} pixels than go into memory");
            return Err((
                message,
                "choose a smaller `size`, or write them as files: kind = \"folder\" decodes them as they are needed",
            ));
        }
        let decode = |(row, image): (usize, &Vec<u8>)| {
            let picture = picture::decode(image)
                .map_err(|reason| (format!("has an image in row {row} that cannot be decoded: {reason}"), HUB))?;
            self.fitted(&picture, (width, height), row)
        };
        let decoded = rows.images.par_iter().enumerate().map(decode).collect::<Result<Vec<_>, _>>()?;
        pixels.extend(decoded.into_iter().flatten());
        if self.names.is_none() {
            self.names = rows.names;
        }
        let classes = self.names.as_ref().map_or(usize::from(u16::MAX), Vec::len);
        for (row, label) in rows.labels.into_iter().enumerate() {
            let known = u16::try_from(label).ok().filter(|&label| usize::from(label) < classes);
            let message = || {
                (
                    format!("has the label {label} in row {row} (must be from 0 to {})", classes.saturating_sub(1)),
                    LABELS,
                )
            };
            labels.push(known.ok_or_else(message)?);
        }
        Ok(())
    }

    /// The picture as bytes of the size that all have.
    fn fitted(&self, picture: &RgbImage, edges: (u32, u32), row: usize) -> Result<Vec<u8>, (String, &'static str)> {
        let found = picture.dimensions();
        if self.size.is_none() && found != edges {
            let ((width, height), (w, h)) = (found, edges);
            return Err((
                format!("has an image of {width}×{height} pixels in row {row}, the first has {w}×{h}"),
                SIZES,
            ));
        }
        let shape = Shape { channels: 3, height: edges.1 as usize, width: edges.0 as usize, classes: 0 };
        let seen = if self.size.is_some() { Seen::Square(1.0) } else { Seen::All };
        Ok(picture::resize(picture, seen.window(found), shape))
    }
}

const HUB: &str = "`datasets` writes {bytes, path} after cast_column(\"image\", Image()), and integers after class_encode_column(\"label\")";
const LABELS: &str = "the hub's test images without labels have -1: use the split that has labels as test-*.parquet";

#[cfg(test)]
mod tests {
    use super::{read, shards};
    use crate::data::{DataConfig, Kind};
    use std::fs;
    use std::path::{Path, PathBuf};

    fn golden() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/own")
    }

    const FILES: [&str; 3] =
        ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"];

    fn config(test: Option<f64>, size: Option<usize>) -> DataConfig {
        DataConfig { test, size, ..DataConfig::all(Kind::Parquet) }
    }

    #[test]
    fn all_shards_are_read_in_order() {
        let shards = shards(&golden(), None).unwrap();
        let parts = read(&shards, &config(None, None)).unwrap();
        assert_eq!(
            (parts.train.labels.as_slice(), parts.test.labels.as_slice()),
            ([0, 1, 2, 0, 1, 2].as_slice(), [0, 1].as_slice())
        );
        assert_eq!(parts.classes, ["ant", "bee", "cow"]);
        let expected: Vec<u8> = (0..6).flat_map(|n| (0..12).map(move |i| 20 * n + i % 3 + 2 * (i / 3))).collect();
        assert_eq!(parts.train.bytes(), expected);
        let larger = read(&shards, &config(None, Some(5))).unwrap();
        assert_eq!((larger.train.shape.width, larger.train.bytes().len()), (5, 6 * 75));
    }

    #[test]
    fn one_file_is_divided_and_files_may_lie_in_folders() {
        let one = golden().join(FILES[1]);
        let parts = read(&shards(&one, Some(0.5)).unwrap(), &config(Some(0.5), None)).unwrap();
        // One image of each class is trained on.
        assert_eq!((parts.train.len(), parts.test.len()), (3, 0));
        let folder = tempfile::tempdir().unwrap();
        for (split, name) in [("train", FILES[0]), ("train", FILES[1]), ("validation", FILES[2])] {
            fs::create_dir_all(folder.path().join("plain_text").join(split)).unwrap();
            fs::copy(golden().join(name), folder.path().join("plain_text").join(split).join(name)).unwrap();
        }
        let found = shards(folder.path(), None).unwrap();
        let names: Vec<PathBuf> = found.files().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[0], Path::new("train").join(FILES[0]));
        assert_eq!(read(&found, &config(None, None)).unwrap().test.len(), 2);
    }

    #[test]
    fn what_is_missing_or_too_much_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let put = |from: &str, to: &str| fs::copy(golden().join(from), folder.path().join(to)).unwrap();
        let says = |share, what: &str| {
            let message = shards(folder.path(), share).err().unwrap().to_string();
            assert!(message.contains(what), "{message}");
        };
        says(None, "has no Parquet files");
        put(FILES[2], FILES[2]);
        says(None, "has no train-*.parquet among its files (`test`)");
        put(FILES[0], FILES[0]);
        says(None, "is one of 2, but 1 are there");
        put(FILES[1], FILES[1]);
        says(Some(0.2), "has test images of its own, and `data.test` is 0.2");
        put(FILES[1], "extra.parquet");
        assert_eq!(shards(folder.path(), None).unwrap().remarks(), ["split `extra` is left aside"]);
        fs::remove_file(folder.path().join(FILES[2])).unwrap();
        says(None, "has no images to test on apart\nhint: test = 0.2");
        fs::write(folder.path().join(FILES[0]), b"PAR1").unwrap();
        let broken =
            read(&shards(folder.path(), Some(0.5)).unwrap(), &config(Some(0.5), None)).err().unwrap().to_string();
        assert!(broken.contains(FILES[0]) && broken.contains("is no intact Parquet file"), "{broken}");
    }
}
