//! The binary version of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): a record an image, labels first, then its red, green and
//! blue plane.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::error::check_labels;
use super::{Error, Images, Kind, Pixels, Targets, source};

/// What differs between the two.
struct Format {
    train: &'static [&'static str],
    test: &'static str,
    /// Bytes before the pixels; the last of them is the label (CIFAR-100: the fine one).
    labels: usize,
}

const CIFAR10: Format = Format {
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: "test_batch.bin",
    labels: 1,
};

const CIFAR100: Format = Format { train: &["train.bin"], test: "test.bin", labels: 2 };

/// Training and test images from `folder` or from the archive's own folder in it.
pub fn read(kind: Kind, folder: &Path) -> Result<(Images, Images), Error> {
    let format = if kind == Kind::Cifar100 { CIFAR100 } else { CIFAR10 };
    let folder = kind.place(folder);
    let read = |names: &[&'static str]| {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for &name in names {
            let path = folder.join(name);
            if !path.is_file() {
                return Err(source::missing(kind, folder.clone(), name));
            }
            let file = File::open(&path).map_err(Error::io(&path))?;
            append(&mut pixels, &mut labels, kind, &path, file, format.labels)?;
        }
        let (shape, normalisation) = (kind.shape(), kind.normalisation());
        Ok(Images { pixels: Pixels::Memory(pixels), labels, targets: Targets::Classes, shape, normalisation })
    };
    Ok((read(format.train)?, read(&[format.test])?))
}

/// Appends the records of one file; `heads` bytes of a record are labels.
fn append(
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u16>,
    kind: Kind,
    path: &Path,
    file: impl Read,
    heads: usize,
) -> Result<(), Error> {
    let shape = kind.shape();
    let plane = shape.height * shape.width;
    let record = heads + shape.bytes();
    // No file holds more than all training images: whatever lies there under its name, no more is read.
    let most = record * kind.train_len();
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() > most {
        return Err(Error::broken(path, format!("more than the {most} bytes of all training images")));
    }
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        return Err(Error::broken(path, format!("{} bytes (must be whole records of {record})", bytes.len())));
    }
    let first = labels.len();
    for record in bytes.chunks_exact(record) {
        let (head, planes) = record.split_at(heads);
        labels.extend(head.last().map(|&label| u16::from(label)));
        pixels.extend((0..plane).flat_map(|i| (0..3).map(move |channel| planes[channel * plane + i])));
    }
    check_labels(path, &labels[first..], shape.classes)
}

#[cfg(test)]
mod tests {
    use super::{Error, Kind, append, read};
    use crate::data::locate;
    use allocation_counter::measure;
    use proptest::prelude::*;
    use std::path::Path;

    /// A record whose pixel `i` of channel `c` is `seed + 80·c + i`, wrapped.
    fn record(labels: &[u8], seed: u8) -> Vec<u8> {
        let planes = (0..3u32).flat_map(|c| (0..1024u32).map(move |i| (u32::from(seed) + 80 * c + i) as u8));
        labels.iter().copied().chain(planes).collect()
    }

    fn write(folder: &Path, kind: Kind, bytes: &[u8]) {
        let format = if kind == Kind::Cifar100 { super::CIFAR100 } else { super::CIFAR10 };
        for name in format.train.iter().chain(&[format.test]) {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }

    #[test]
    fn planes_become_pixels_and_the_fine_label_is_read() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), Kind::Cifar100, &[record(&[3, 42], 7), record(&[0, 99], 9)].concat());
        let (train, test) = read(Kind::Cifar100, folder.path()).unwrap();
        assert_eq!((train.labels.as_slice(), test.len()), ([42, 99].as_slice(), 2));
        assert_eq!(train.bytes()[..6], [7, 87, 167, 8, 88, 168]);
        assert_eq!(train.bytes()[3072], 9);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let message = |bytes: &[u8]| {
            write(folder.path(), Kind::Cifar10, bytes);
            read(Kind::Cifar10, folder.path()).unwrap_err().to_string()
        };
        assert!(message(&record(&[1], 0)[..3000]).contains("is broken: 3000 bytes (must be whole records of 3073)"));
        assert!(message(&[]).contains("0 bytes"));
        let label = message(&[record(&[1], 0), record(&[10], 0)].concat());
        assert!(label.ends_with("label 10 of image 1 is out of range: there are 10 classes"), "{label}");
        std::fs::remove_file(folder.path().join("test_batch.bin")).unwrap();
        write(folder.path(), Kind::Cifar10, &record(&[1], 0));
        std::fs::remove_file(folder.path().join("data_batch_3.bin")).unwrap();
        let missing = read(Kind::Cifar10, folder.path()).unwrap_err();
        assert!(matches!(missing, Error::Missing { file: "data_batch_3.bin", .. }), "{missing}");
    }

    #[test]
    fn the_python_version_is_named() {
        for (kind, inner) in
            [(Kind::Cifar10, "cifar-10-batches-py/data_batch_1"), (Kind::Cifar100, "cifar-100-python/meta")]
        {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join(inner);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, b"\x80\x02").unwrap();
            for place in [folder.path(), file.parent().unwrap()] {
                for error in [read(kind, place).unwrap_err(), locate(kind, place).unwrap_err()] {
                    assert!(error.to_string().contains("is the Python version of cifar"), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let read = append(&mut Vec::new(), &mut Vec::new(), Kind::Cifar10, Path::new("x"), std::io::repeat(1), 1);
        assert!(read.unwrap_err().to_string().contains("more than the 153650000 bytes of all training images"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn whole_records_with_known_labels_are_read_and_nothing_else(
            fine: bool, labels in prop::array::uniform2(0u8..120), few: bool,
            cut in prop_oneof![Just(0), Just(3073), Just(3074), 0usize..6147],
        ) {
            let (kind, heads, classes) = if fine { (Kind::Cifar100, 2, 100) } else { (Kind::Cifar10, 1, 10) };
            let labels = labels.map(|label| if few { label % 12 } else { label });
            let record = |label: u8, seed| record(&[0, label][2 - heads..], seed);
            let bytes = [record(labels[0], 0), record(labels[1], 1)].concat();
            let left = bytes.len() - cut;
            let whole = left / (heads + 3072);
            let valid = whole > 0 && left % (heads + 3072) == 0 && labels[..whole].iter().all(|&label| label < classes);
            let (mut pixels, mut found, mut read) = (Vec::new(), Vec::new(), Ok(()));
            let memory = measure(|| read = append(&mut pixels, &mut found, kind, Path::new("x"), &bytes[..left], heads));
            prop_assert!(memory.bytes_max < 1 << 16, "{} bytes", memory.bytes_max);
            prop_assert_eq!(read.is_ok(), valid);
            prop_assert!(!valid || found.len() == whole && pixels.len() == whole * 3072);
        }
    }
}
