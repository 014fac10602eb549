//! Image files, a folder a class: `train/CLASS/*` with `test/CLASS/*` or `val/CLASS/*`, or `CLASS/*` and a share to test on.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::hold_out::hold_out;
use super::{Parts, folder_at, unmeasured};
use crate::data::files::{Files, Seen};
use crate::data::{Error, Images, Pixels, Shape, Targets};
use crate::text::Shown;

/// The images that lie in a folder.
#[derive(Debug)]
pub struct Listing {
    root: PathBuf,
    classes: Vec<OsString>,
    train: Part,
    test: Part,
    pub passed: Passed,
    /// A folder of images that neither part is made of.
    aside: Option<&'static str>,
}

/// Names within the root, and labels.
#[derive(Debug, Default)]
struct Part {
    names: Vec<Box<Path>>,
    labels: Vec<u16>,
}

/// Files that are no images, by what shows it, and how many.
#[derive(Debug, Default)]
pub struct Passed(BTreeMap<String, usize>);

/// Formats of images that are not read, by the endings of their names.
const OTHER_IMAGES: [&str; 10] = ["webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif", "jp2", "jxl"];
/// Folders within a class folder: deeper than this a link leads in a circle.
const DEEPEST: usize = 16;

/// Lists the images of `root`; of each class the `share` are test images if there are none apart. No image is opened.
pub fn list(root: &Path, share: Option<f64>) -> Result<Listing, Error> {
    folder_at(root)?;
    let has = |part: &str| root.join(part).is_dir();
    let mut passed = Passed::default();
    let mut test = ["test", "val"].into_iter().filter(|part| has(part));
    let (classes, train, test, aside) = match (has("train"), test.next(), share) {
        (true, Some(name), None) => {
            let classes = classes(root, "train", &mut passed)?;
            let train = by_class(root, "train", &classes, &mut passed)?;
            (classes.clone(), train, apart(root, name, &classes, &mut passed)?, test.next())
        }
        (true, Some(name), Some(share)) => {
            let message = format!("has test images of its own in `{name}`, and `data.test` is {share}");
            return Err(Error::own(root, message, format!("leave `test` out, or rename `{name}`")));
        }
        (false, Some(name), _) => {
            let message = format!("has a folder `{name}` and none called `train`");
            return Err(Error::own(root, message, "images to train on lie in train/CLASS/*"));
        }
        (has_train, None, Some(share)) => {
            let part = if has_train { "train" } else { "" };
            let classes = classes(root, part, &mut passed)?;
            let all = by_class(root, part, &classes, &mut passed)?;
            let name = |i: usize| all.names[i].as_os_str().as_encoded_bytes().to_vec();
            let (train, test) = hold_out(&all.labels, share, name);
            (classes, all.select(&train), all.select(&test), None)
        }
        (has_train, None, None) => {
            // What is wrong with the classes is said first.
            classes(root, if has_train { "train" } else { "" }, &mut passed)?;
            let message =
                if has_train { "has no `test` and no `val` beside `train`" } else { "has no images to test on apart" };
            return Err(Error::own(root, message, "test = 0.2 in `data` tests on a fifth of each class"));
        }
    };
    Ok(Listing { root: root.to_owned(), classes, train, test, passed, aside })
}

impl Listing {
    /// Names within the root, and paths, in the order of the names.
    pub fn files(&self) -> Vec<(PathBuf, PathBuf)> {
        let mut names: Vec<&Path> = self.train.names.iter().chain(&self.test.names).map(AsRef::as_ref).collect();
        names.sort_unstable();
        names.into_iter().map(|name| (name.to_owned(), self.root.join(name))).collect()
    }

    pub fn into_parts(self, size: Option<usize>) -> Parts {
        let edge = size.unwrap_or(0);
        let seen = if size.is_some() { Seen::Square(1.0) } else { Seen::All };
        let shape = Shape { channels: 3, height: edge, width: edge, classes: self.classes.len() };
        let images = |part: Part| Images {
            pixels: Pixels::Files(Files::new(self.root.clone(), part.names, seen)),
            labels: part.labels,
            shape,
            targets: Targets::Classes,
            normalisation: unmeasured(),
        };
        let classes =
            self.classes.iter().map(|class| class.to_string_lossy().replace(char::is_control, "\u{fffd}")).collect();
        Parts { train: images(self.train), test: images(self.test), classes }
    }

    pub fn remarks(&self) -> Vec<String> {
        let aside = self.aside.map(|name| format!("`{name}` in it is left aside: `test` is tested on"));
        let others = self.passed.of_other_formats();
        let others = others.map(|others| format!("{others}: only JPEG and PNG are read, so convert these"));
        aside.into_iter().chain(others).collect()
    }
}

impl Part {
    fn select(&self, indices: &[usize]) -> Self {
        let names = indices.iter().map(|&i| self.names[i].clone()).collect();
        Self { names, labels: indices.iter().map(|&i| self.labels[i]).collect() }
    }
}

impl Passed {
    fn count(&mut self, name: &OsStr) {
        let ending = Path::new(name).extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let what = match ending {
            _ if is_hidden(name) => "hidden".to_owned(),
            Some(ending) => format!("*.{ending}"),
            None => "without an ending".to_owned(),
        };
        *self.0.entry(what).or_default() += 1;
    }

    /// `3 files passed over (1 hidden, 2 *.db)`.
    pub fn words(&self) -> Option<String> {
        let count = self.0.values().sum::<usize>();
        let what: Vec<String> = self.0.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let files = if count == 1 { "file" } else { "files" };
        (count > 0).then(|| format!("{count} {files} passed over ({})", what.join(", ")))
    }

    fn of_other_formats(&self) -> Option<String> {
        let is_image = |what: &str| what.strip_prefix("*.").is_some_and(|ending| OTHER_IMAGES.contains(&ending));
        let others: BTreeMap<_, _> = self.0.iter().filter(|(what, _)| is_image(what)).collect();
        let others = others.into_iter().map(|(what, count)| (what.clone(), *count)).collect();
        Self(others).words()
    }
}

/// The names of the folders in `part`, which are classes; at least two.
fn classes(root: &Path, part: &str, passed: &mut Passed) -> Result<Vec<OsString>, Error> {
    let folder = if part.is_empty() { root.to_owned() } else { root.join(part) };
    let (classes, files) = entries(&folder)?;
    let (classes, hidden): (Vec<_>, Vec<_>) = classes.into_iter().partition(|name| !is_hidden(name));
    hidden.iter().for_each(|name| passed.count(name));
    files.iter().for_each(|name| passed.count(name));
    let hint = "a class is a folder: CLASS/*, in it its images";
    match classes.as_slice() {
        [] if files.iter().any(|name| is_image(name)) => {
            Err(Error::own(&folder, "has images that lie in no folder, so that their classes are unknown", hint))
        }
        [] if files.iter().any(|name| name.as_encoded_bytes().ends_with(b".parquet")) => {
            Err(Error::own(&folder, "has Parquet files and no class folders", "kind = \"parquet\" reads them"))
        }
        [] => Err(Error::own(&folder, "has no folders in it", hint)),
        [one] => {
            let message = format!("has only one class, `{}`: there is nothing to tell apart", one.shown());
            Err(Error::own(&folder, message, hint))
        }
        many if many.len() > usize::from(u16::MAX) => {
            Err(Error::own(&folder, format!("has {} folders (must be at most {} classes)", many.len(), u16::MAX), hint))
        }
        _ => Ok(classes),
    }
}

/// `part/CLASS/**`, at least one of each class.
fn by_class(root: &Path, part: &str, classes: &[OsString], passed: &mut Passed) -> Result<Part, Error> {
    let mut found = Part::default();
    for (label, class) in classes.iter().enumerate() {
        let folder = Path::new(part).join(class);
        walk(root, &folder, DEEPEST, &mut found.names, passed)?;
        if found.names.len() == found.labels.len() {
            let hint = "move the folder away if it is no class; names of images end in .jpg, .jpeg or .png";
            return Err(Error::own(&root.join(folder), "has no images in it", hint));
        }
        found.labels.resize(found.names.len(), label as u16);
    }
    Ok(found)
}

/// The test images, whose folders are some of `classes`.
fn apart(root: &Path, part: &str, classes: &[OsString], passed: &mut Passed) -> Result<Part, Error> {
    let (folders, files) = entries(&root.join(part))?;
    files.iter().for_each(|name| passed.count(name));
    let mut found = Part::default();
    for class in folders {
        if is_hidden(&class) {
            passed.count(&class);
            continue;
        }
        let folder = Path::new(part).join(&class);
        let Ok(label) = classes.binary_search(&class) else {
            let hint = "train and test have folders of the same names, letter by letter";
            return Err(Error::own(&root.join(folder), "is a class that `train` does not have", hint));
        };
        walk(root, &folder, DEEPEST, &mut found.names, passed)?;
        found.labels.resize(found.names.len(), label as u16);
    }
    match found.names.is_empty() {
        true => Err(Error::own(&root.join(part), "has no images in it", "test images lie in it as CLASS/*")),
        false => Ok(found),
    }
}

/// Adds the images below `folder`, in the order of their names.
fn walk(
    root: &Path,
    folder: &Path,
    deeper: usize,
    images: &mut Vec<Box<Path>>,
    passed: &mut Passed,
) -> Result<(), Error> {
    let path = root.join(folder);
    if deeper == 0 {
        return Err(Error::own(&path, "lies too deep in folders", "a link may lead in a circle"));
    }
    let (folders, files) = entries(&path)?;
    for name in files {
        if !is_hidden(&name) && is_image(&name) && std::fs::metadata(path.join(&name)).is_ok_and(|file| file.is_file())
        {
            images.push(folder.join(name).into());
        } else {
            passed.count(&name);
        }
    }
    for name in folders {
        if is_hidden(&name) {
            passed.count(&name);
        } else {
            walk(root, &folder.join(name), deeper - 1, images, passed)?;
        }
    }
    Ok(())
}

/// Names of folders and of all else in `folder`, both sorted.
fn entries(folder: &Path) -> Result<(Vec<OsString>, Vec<OsString>), Error> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        names.push(entry.map_err(Error::io(folder))?.file_name());
    }
    names.sort_unstable();
    Ok(names.into_iter().partition(|name| folder.join(name).is_dir()))
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn is_image(name: &OsStr) -> bool {
    // Of a name that is no text the ending may be one all the same.
    let ending = Path::new(name).extension().map(OsStr::as_encoded_bytes).unwrap_or_default();
    [&b"jpeg"[..], b"jpg", b"jpe", b"jfif", b"png"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::list;
    use std::fs;
    use std::path::Path;

    /// Empty files.
    fn put(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
    }

    fn message(root: &Path, share: Option<f64>) -> String {
        list(root, share).unwrap_err().to_string()
    }

    #[test]
    fn classes_are_the_folders_and_what_is_no_image_is_passed_over_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(
            root,
            &["train/dog/1.jpg", "train/cat/B.JPEG", "train/cat/a.png", "train/cat/inner/c.Jpg", "test/dog/2.jpg"],
        );
        put(
            root,
            &["train/cat/._x.jpg", "train/.DS_Store", "train/cat/Thumbs.db", "train/dog/y.webp", "train/dog/README"],
        );
        fs::create_dir_all(root.join("train/cat/folder.jpg")).unwrap();
        fs::create_dir_all(root.join("train/.cache")).unwrap();
        let listing = list(root, None).unwrap();
        assert_eq!(listing.classes, ["cat", "dog"]);
        let names: Vec<_> = listing.train.names.iter().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(names, ["train/cat/B.JPEG", "train/cat/a.png", "train/cat/inner/c.Jpg", "train/dog/1.jpg"]);
        assert_eq!(
            (listing.train.labels.as_slice(), listing.test.labels.as_slice()),
            ([0, 0, 0, 1].as_slice(), [1].as_slice())
        );
        let passed = "6 files passed over (1 *.db, 1 *.webp, 3 hidden, 1 without an ending)";
        assert_eq!(listing.passed.words().unwrap(), passed);
        assert_eq!(listing.remarks(), ["1 file passed over (1 *.webp): only JPEG and PNG are read, so convert these"]);
    }

    #[test]
    fn a_share_of_every_class_is_tested_on() {
        let folder = tempfile::tempdir().unwrap();
        for class in ["train/cat", "train/dog"] {
            for i in 0..10 {
                put(folder.path(), &[&format!("{class}/{i}.png")]);
            }
        }
        for root in [folder.path().to_owned(), folder.path().join("train")] {
            let listing = list(&root, Some(0.3)).unwrap();
            assert_eq!(listing.train.labels, [vec![0; 7], vec![1; 7]].concat());
            assert_eq!(listing.test.labels, [0, 0, 0, 1, 1, 1]);
            assert!(listing.test.names.iter().all(|name| !listing.train.names.contains(name)));
            assert_eq!(listing.files().len(), 20);
        }
        assert!(message(folder.path(), None).contains("has no `test` and no `val` beside `train`\nhint: test = 0.2"));
        assert!(message(&folder.path().join("train"), None).contains("has no images to test on apart"));
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(message(&root.join("gone"), None).contains("cannot be read"));
        assert!(message(root, Some(0.2)).contains("has no folders in it"));
        put(root, &["1.jpg", "x.parquet"]);
        assert!(message(root, Some(0.2)).contains("images that lie in no folder"));
        assert!(
            message(&root.join("x.parquet"), None).contains("is a file (must be a folder)\nhint: kind = \"parquet\"")
        );
        put(root, &["train/cat/1.jpg", "val/cat/1.jpg"]);
        assert!(message(root, None).contains("has only one class, `cat`"));
        fs::create_dir_all(root.join("train/dog")).unwrap();
        assert!(message(root, None).contains("dog` has no images in it\nhint: move the folder away"));
        put(root, &["train/dog/1.jpg", "val/fish/1.jpg"]);
        assert!(message(root, None).contains("fish` is a class that `train` does not have"));
        fs::remove_dir_all(root.join("val/fish")).unwrap();
        let listing = list(root, None).unwrap();
        assert_eq!((listing.test.labels.as_slice(), listing.remarks()), ([0].as_slice(), Vec::new()));
        assert!(message(root, Some(0.2)).contains("has test images of its own in `val`, and `data.test` is 0.2"));
        put(root, &["test/dog/1.jpg"]);
        assert_eq!(list(root, None).unwrap().remarks(), ["`val` in it is left aside: `test` is tested on"]);
        fs::rename(root.join("train"), root.join("Train")).unwrap();
        assert!(message(root, None).contains("has a folder `test` and none called `train`"));
    }

    #[cfg(unix)]
    #[test]
    fn links_in_a_circle_end_and_what_is_no_plain_file_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &["cat/1.jpg", "dog/1.jpg", "dog/2.jpg"]);
        std::os::unix::fs::symlink("nowhere", folder.path().join("cat/2.jpg")).unwrap();
        assert_eq!(list(folder.path(), Some(0.5)).unwrap().passed.words().unwrap(), "1 file passed over (1 *.jpg)");
        std::os::unix::fs::symlink("..", folder.path().join("cat/loop")).unwrap();
        assert!(message(folder.path(), Some(0.5)).contains("lies too deep in folders\nhint: a link"));
    }
}
