//! Arrays `train_x`, `train_y`, `test_x` and `test_y` in one file: `.npz` or safetensors. What is in it decides, not its name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::array::{Array, Complaint, Values, finite, product};
use super::foreign::{SAVE, foreign};
use super::hold_out::hold_out;
use super::{Parts, absent, npz, tensors, unmeasured};
use crate::data::{Error, Images, Pixels, Shape, Target, Targets};

/// What the four are called, and what Keras calls them.
const TRAIN: [[&str; 2]; 2] = [["train_x", "train_y"], ["x_train", "y_train"]];
const TEST: [[&str; 2]; 2] = [["test_x", "test_y"], ["x_test", "y_test"]];
const NAMES: &str =
    "arrays are called train_x, train_y, test_x, test_y; without the last two, test = 0.2 in `data` tests on a fifth";
/// Channels of an image at most, if it is not plain that there are more.
const MOST_CHANNELS: usize = 4;

/// Examples to train and to test on; of each class the `share` if there are none to test on apart.
pub fn read(path: &Path, share: Option<f64>, target: Target) -> Result<Parts, Error> {
    let (mut arrays, names) = open(path)?;
    if target == Target::Input {
        label(&mut arrays);
    }
    let held = if names.is_empty() { "nothing".to_owned() } else { format!("`{}`", names.join("`, `")) };
    let Some(train) = pair(&mut arrays, TRAIN) else {
        return Err(Error::own(path, format!("lacks `train_x` or `train_y`: it holds {held}"), NAMES));
    };
    let fail = |message: String, hint: &str| Error::own(path, message, hint);
    let (train, test) = match (pair(&mut arrays, TEST), share) {
        (Some(test), None) => {
            let [train, test] = like([train, test]).map_err(|(message, hint)| fail(message, hint))?;
            (examples(train), examples(test))
        }
        (None, Some(share)) => {
            let [all] = like([train]).map_err(|(message, hint)| fail(message, hint))?;
            let all = examples(all);
            let (train, test) = hold_out(&all.labels, share, |i| i.to_le_bytes().to_vec());
            (all.select(&train), all.select(&test))
        }
        (Some(_), Some(share)) => {
            let message = format!("has `test_x` and `test_y` of its own, and `data.test` is {share}");
            return Err(fail(message, "leave `test` out"));
        }
        (None, None) => {
            return Err(fail(format!("lacks `test_x` or `test_y`: it holds {held}"), NAMES));
        }
    };
    if let Targets::Values(_) = train.targets {
        return Ok(Parts { train, test, classes: Vec::new() });
    }
    let count = train.labels.iter().chain(&test.labels).max().map_or(0, |&label| usize::from(label) + 1);
    let classes = (0..count).map(|class| class.to_string()).collect();
    let sized = |mut images: Images| {
        images.shape.classes = count;
        images
    };
    Ok(Parts { train: sized(train), test: sized(test), classes })
}

/// Labels are not needed where inputs are given back: what has none is of one class.
fn label(arrays: &mut BTreeMap<String, Array>) {
    for [x, y] in TRAIN.into_iter().chain(TEST) {
        if let Some(&[count, ..]) = arrays.get(x).map(|array| &array.dims[..]) {
            let none = Array { dims: vec![count], values: Values::Bytes(vec![0; count]) };
            arrays.entry(y.to_owned()).or_insert(none);
        }
    }
}

/// The file at `path`, if it is one.
pub fn file(path: &Path) -> Result<PathBuf, Error> {
    let metadata = std::fs::metadata(path).map_err(|error| absent(path, &error))?;
    if metadata.is_file() {
        return Ok(path.to_owned());
    }
    let hint = "kind = \"folder\" and kind = \"parquet\" read folders";
    Err(Error::own(path, "is a folder (must be a file)", hint))
}

/// The arrays that are asked for, and the names of all.
fn open(path: &Path) -> Result<(BTreeMap<String, Array>, Vec<String>), Error> {
    let wanted = |name: &str| TRAIN.iter().chain(&TEST).flatten().any(|known| *known == name);
    let file = File::open(path).map_err(Error::io(path))?;
    let mut start = Vec::new();
    (&file).take(9).read_to_end(&mut start).map_err(Error::io(path))?;
    if start.starts_with(b"PK") {
        let file = File::open(path).map_err(Error::io(path))?;
        return npz::read(BufReader::new(file), wanted).map_err(|message| Error::own(path, message, SAVE));
    }
    if let Some((what, hint)) = foreign(&start) {
        return Err(Error::own(path, what, hint));
    }
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    tensors::read(&bytes, wanted).map_err(|message| Error::own(path, message, "`.npz` and safetensors are read"))
}

/// Inputs and labels, and what they are called.
struct Pair {
    names: [&'static str; 2],
    x: Array,
    y: Array,
}

fn pair(arrays: &mut BTreeMap<String, Array>, names: [[&'static str; 2]; 2]) -> Option<Pair> {
    let names = names.into_iter().find(|names| names.iter().all(|name| arrays.contains_key(*name)))?;
    Some(Pair { names, x: arrays.remove(names[0])?, y: arrays.remove(names[1])? })
}

/// Inputs and labels that fit each other, and the dimensions of an input as an image's.
struct Checked {
    edges: [usize; 3],
    x: Values,
    y: Answers,
}

/// What is to be told of an input.
enum Answers {
    Classes(Vec<u16>),
    /// Numbers, so many for each.
    Numbers(Vec<f32>, usize),
}

impl Answers {
    /// Numbers for each; none of classes.
    const fn numbers(&self) -> usize {
        match self {
            Self::Classes(_) => 0,
            Self::Numbers(_, each) => *each,
        }
    }
}

/// The same of one or both parts, whose inputs have the same dimensions and type.
fn like<const N: usize>(pairs: [Pair; N]) -> Result<[Checked; N], Complaint> {
    let first = (pairs[0].names[0], pairs[0].x.dims.get(1..).unwrap_or_default().to_vec(), pairs[0].x.shape());
    let other = pairs.iter().find(|pair| pair.x.dims.get(1..).unwrap_or_default() != first.1);
    if let Some(other) = other {
        let (name, shape) = (other.names[0], other.x.shape());
        return Err((
            format!("has `{}` of {} and `{name}` of {shape}", first.0, first.2),
            "all but the first dimension must be the same",
        ));
    }
    let are_floats = |pair: &&Pair| matches!(pair.x.values, Values::Floats(_));
    if let Some(floats) = pairs.iter().find(are_floats)
        && let Some(others) = pairs.iter().find(|pair| !are_floats(pair))
    {
        let message = format!("has floats in `{}` and integers in `{}`", floats.names[0], others.names[0]);
        return Err((message, "one scale is needed for both: divide neither by 255, or both"));
    }
    let images = first.1.len() > 1 && pairs.iter().all(|pair| matches!(pair.x.values, Values::Bytes(_)));
    let mut checked = Vec::new();
    for pair in pairs {
        checked.push(check(pair, images)?);
    }
    if checked.windows(2).any(|pair| pair[0].y.numbers() != pair[1].y.numbers()) {
        let message = "has targets to train on of another kind than those to test on".to_owned();
        return Err((message, "both are integers, or floats of the same dimensions but the first"));
    }
    checked.try_into().map_err(|_| ("has parts that do not fit".to_owned(), NAMES))
}

fn check(pair: Pair, images: bool) -> Result<Checked, Complaint> {
    let Pair { names: [name, labels], x, y } = pair;
    let edges = match x.dims[..] {
        [_, channels, _, last] if channels <= MOST_CHANNELS && last > MOST_CHANNELS => {
            let message = format!("has `{name}` of {}, whose channels seem to come first", x.shape());
            return Err((message, "channels come last, N×H×W×C: x.transpose(0, 2, 3, 1)"));
        }
        [_, height, width, channels] => [height, width, channels],
        [_, height, width] => [height, width, 1],
        [_, features] => [1, 1, features],
        _ => return Err((format!("has `{name}` of {}", x.shape()), "it must be N×H×W×C, N×H×W or N×D")),
    };
    let count = x.dims[0];
    if product(&edges, count).is_none_or(|values| values == 0) {
        return Err((format!("has nothing in `{name}`: {}", x.shape()), NAMES));
    }
    let y = answers(labels, y, count, name)?;
    let x = if images { x.values } else { Values::Floats(finite(name, x.values.into_floats(), count)?) };
    Ok(Checked { edges, x, y })
}

/// Numbers to be given, if they are floats; else classes.
fn answers(name: &str, y: Array, count: usize, inputs: &str) -> Result<Answers, Complaint> {
    let each = match (&y.values, &y.dims[..]) {
        (_, &[found] | &[found, 1]) if found == count => 1,
        (Values::Floats(_), &[found, each]) if found == count && each > 0 => each,
        (Values::Floats(_), _) => {
            let message = format!("has {count} examples in `{inputs}`, but `{name}` of {}", y.shape());
            return Err((message, "numbers to be given are N or N×K"));
        }
        (_, [found] | [found, 1]) => {
            return Err((format!("has {count} examples in `{inputs}`, but {found} labels in `{name}`"), NAMES));
        }
        _ => {
            let message = format!("has `{name}` of {} (must be a class for each example)", y.shape());
            return Err((message, "of one-hot labels y.argmax(1) makes classes"));
        }
    };
    let labels: Vec<i64> = match y.values {
        Values::Floats(values) => return Ok(Answers::Numbers(finite(name, values, count)?, each)),
        Values::Bytes(labels) => labels.into_iter().map(i64::from).collect(),
        Values::Integers(labels) => labels,
    };
    let narrow = |(i, label): (usize, i64)| match u16::try_from(label) {
        Ok(label) if label < u16::MAX => Ok(label),
        _ => Err((
            format!("has the label {label} in `{name}`, of example {i}"),
            "classes are numbered 0, 1, 2, …, below 65,535",
        )),
    };
    labels.into_iter().enumerate().map(narrow).collect::<Result<_, _>>().map(Answers::Classes)
}

/// Their number of classes is not known yet.
fn examples(Checked { edges: [height, width, channels], x, y }: Checked) -> Images {
    let pixels = match x {
        Values::Bytes(bytes) => Pixels::Memory(bytes),
        other => Pixels::Floats(other.into_floats()),
    };
    let (labels, targets, classes) = match y {
        Answers::Classes(labels) => (labels, Targets::Classes, 0),
        Answers::Numbers(values, each) => (vec![0; values.len() / each], Targets::Values(values), each),
    };
    Images { pixels, labels, targets, shape: Shape { channels, height, width, classes }, normalisation: unmeasured() }
}

#[cfg(test)]
mod tests {
    use super::super::npz::tests::{npy, npz};
    use super::{file, read};
    use crate::data::{Pixels, Target, Targets};
    use std::path::Path;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/own/arrays.npz");

    #[test]
    fn what_numpy_writes_is_read() {
        let parts = read(Path::new(GOLDEN), None, Target::Label).unwrap();
        let expected: Vec<u8> = (0..6).flat_map(|n| (0..12).map(move |i| 20 * n + i % 3 + 2 * (i / 3))).collect();
        assert_eq!(
            (parts.train.bytes(), parts.train.labels.as_slice()),
            (expected.as_slice(), [0, 1, 2, 0, 1, 2].as_slice())
        );
        assert_eq!((parts.test.bytes(), parts.test.labels.as_slice()), (&expected[..24], [0, 1].as_slice()));
        let shape = parts.train.shape;
        assert_eq!([shape.height, shape.width, shape.channels, shape.classes], [2, 2, 3, 3]);
        let message = read(Path::new(GOLDEN), Some(0.5), Target::Label).err().unwrap().to_string();
        assert!(
            message.contains("has `test_x` and `test_y` of its own, and `data.test` is 0.5\nhint: leave `test` out"),
            "{message}"
        );
    }

    /// What is said of a file of these arrays, or the dimensions of an example and the number of both parts.
    fn says(arrays: &[(&str, Vec<u8>)], share: Option<f64>) -> Result<[usize; 5], String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        std::fs::write(&path, npz(arrays)).unwrap();
        let parts = read(&path, share, Target::Label).map_err(|error| error.to_string())?;
        let shape = parts.train.shape;
        Ok([shape.height, shape.width, shape.channels, parts.train.len(), parts.test.len()])
    }

    fn floats(shape: &str, count: usize) -> Vec<u8> {
        npy("<f4", false, shape, &vec![0; 4 * count])
    }

    fn classes(classes: &[u8]) -> Vec<u8> {
        npy("|u1", false, &format!("({},)", classes.len()), classes)
    }

    #[test]
    fn vectors_and_images_without_channels_are_taken_and_a_share_is_held_out() {
        let y = || classes(&[0, 0, 1, 1]);
        assert_eq!(says(&[("train_x", floats("(4, 5)", 20)), ("train_y", y())], Some(0.5)), Ok([1, 1, 5, 2, 2]));
        assert_eq!(says(&[("x_train", floats("(4, 5, 6)", 120)), ("y_train", y())], Some(0.5)), Ok([5, 6, 1, 2, 2]));
        let column = npy("<i8", false, "(4, 1)", &[0; 32]);
        assert_eq!(says(&[("train_x", floats("(4, 5)", 20)), ("train_y", column)], Some(0.25)), Ok([1, 1, 5, 3, 1]));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let says = |x: Vec<u8>, y: Vec<u8>, share, what: &str| {
            let message = says(&[("train_x", x), ("train_y", y)], share).unwrap_err();
            assert!(message.contains(what), "{message}");
        };
        let (x, y) = (|| floats("(2, 3)", 6), || classes(&[0, 1]));
        says(x(), y(), None, "lacks `test_x` or `test_y`: it holds `train_x`, `train_y`\n");
        says(x(), classes(&[0, 1, 1]), Some(0.5), "has 2 examples in `train_x`, but 3 labels in `train_y`");
        says(x(), npy("<f4", false, "(3,)", &[0; 12]), Some(0.5), "has 2 examples in `train_x`, but `train_y` of 3");
        let nan = npy("<f4", false, "(2,)", &[f32::NAN, 1.0].map(f32::to_le_bytes).concat());
        says(x(), nan, Some(0.5), "has 1 values in `train_y` that are NaN");
        says(
            x(),
            npy("|u1", false, "(2, 3)", &[0; 6]),
            Some(0.5),
            "of 2×3 (must be a class for each example)\nhint: of one-hot",
        );
        says(x(), npy("|i1", false, "(2,)", &[0, 255]), Some(0.5), "has the label -1 in `train_y`, of example 1");
        let message = self::says(
            &[("train_x", x()), ("train_y", y()), ("test_x", npy("|u1", false, "(2, 3)", &[0; 6])), ("test_y", y())],
            None,
        );
        assert!(message.unwrap_err().contains("has floats in `train_x` and integers in `test_x`\nhint: one scale"));
        says(floats("(2, 3, 8, 8)", 384), y(), Some(0.5), "of 2×3×8×8, whose channels seem to come first");
        says(floats("(2,)", 2), y(), Some(0.5), "it must be N×H×W×C, N×H×W or N×D");
        says(floats("(0, 3)", 0), classes(&[]), Some(0.5), "has nothing in `train_x`: 0×3");
        let nan = npy("<f4", false, "(2, 1)", &[f32::NAN, 1.0].map(f32::to_le_bytes).concat());
        says(
            nan,
            y(),
            Some(0.5),
            "has 1 values in `train_x` that are NaN or infinite in float32, the first in example 0",
        );
        says(npy("|O", false, "(2,)", b""), y(), Some(0.5), "holds `train_x`, which is an array of Python objects");
    }

    #[test]
    fn other_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        let cases: [(&[u8], &str); 6] = [
            (b"\x93NUMPY\x01\0", "holds one array only\nhint: np.savez"),
            (b"\x80\x04\x95", "is a pickle"),
            (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
            (b"MATLAB 5.0", "is a file of MATLAB"),
            (b"PAR1", "is a Parquet file\nhint: kind = \"parquet\""),
            (b"", "is empty"),
        ];
        for (content, what) in cases {
            std::fs::write(&path, content).unwrap();
            let message = read(&path, None, Target::Label).err().unwrap().to_string();
            assert!(message.contains(what), "{message}");
        }
        let message = file(folder.path()).unwrap_err().to_string();
        assert!(message.contains("is a folder (must be a file)"), "{message}");
        let message = file(&folder.path().join("gone.npz")).unwrap_err().to_string();
        assert!(message.contains("cannot be read") && message.contains("experiment file's folder"), "{message}");
    }

    #[test]
    fn floats_to_be_given_are_kept_with_their_inputs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        let x: Vec<u8> = (0..10).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let y: Vec<u8> = (0..10).flat_map(|i| [i as f64 + 0.5, -(i as f64)]).flat_map(f64::to_le_bytes).collect();
        std::fs::write(
            &path,
            npz(&[("train_x", npy("<f4", false, "(10, 1)", &x)), ("train_y", npy("<f8", false, "(10, 2)", &y))]),
        )
        .unwrap();
        let parts = read(&path, Some(0.3), Target::Label).unwrap();
        assert!(
            parts.classes.is_empty() && (parts.train.len(), parts.test.len(), parts.train.shape.classes) == (7, 3, 2)
        );
        for images in [parts.train, parts.test] {
            let Pixels::Floats(x) = &images.pixels else { panic!("bytes") };
            let expected: Vec<f32> = x.iter().flat_map(|&x| [x + 0.5, -x]).collect();
            assert!(matches!(images.targets, Targets::Values(values) if values == expected));
        }
    }

    #[test]
    fn numbers_that_are_no_bytes_are_kept_as_floats() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        let x = npy("<i2", false, "(4, 1, 2)", &[1i16, -2, 300, 4, 5, 6, 7, 8].map(i16::to_le_bytes).concat());
        std::fs::write(&path, npz(&[("train_x", x), ("train_y", classes(&[0, 0, 0, 1]))])).unwrap();
        let parts = read(&path, Some(0.1), Target::Label).unwrap();
        // One of the three, and none of a class with one example.
        assert_eq!((parts.train.len(), parts.test.len()), (3, 1));
        let (Pixels::Floats(train), Pixels::Floats(test)) = (parts.train.pixels, parts.test.pixels) else {
            panic!("bytes")
        };
        let mut all = [train, test].concat();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, [-2.0, 1.0, 4.0, 5.0, 6.0, 7.0, 8.0, 300.0]);
    }
}
