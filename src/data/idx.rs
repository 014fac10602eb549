//! The IDX format of MNIST (LeCun et al. 1998) and Fashion-MNIST (Xiao et al. 2017), compressed by gzip or not.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::check_labels;
use super::{Error, Images, Kind, Pixels, Targets, gzip, source};

/// Type byte 8 (unsigned bytes) and the number of dimensions.
const LABELS: u32 = 0x0801;
const IMAGES: u32 = 0x0803;
/// Items in the largest file of either set. A header may claim more, and gzip can pack a thousand bytes into one.
const MOST: usize = 60_000;

/// Training and test images from `folder` or from a folder in it that is named after the set.
pub fn read(kind: Kind, folder: &Path) -> Result<(Images, Images), Error> {
    let folder = kind.place(folder);
    let train = pair(kind, &folder, ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])?;
    let test = pair(kind, &folder, ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])?;
    Ok((train, test))
}

fn pair(kind: Kind, folder: &Path, [images, labels]: [&'static str; 2]) -> Result<Images, Error> {
    let shape = kind.shape();
    let (path, pixels) = file(kind, folder, images, IMAGES, &[shape.height, shape.width])?;
    let (labels_path, bytes) = file(kind, folder, labels, LABELS, &[])?;
    check_set(kind, &labels_path, labels, &bytes)?;
    let labels: Vec<u16> = bytes.into_iter().map(u16::from).collect();
    let count = pixels.len() / shape.bytes();
    if count != labels.len() {
        return Err(Error::broken(&path, format!("{count} images, but {} labels beside them", labels.len())));
    }
    check_labels(&labels_path, &labels, shape.classes)?;
    Ok(Images {
        pixels: Pixels::Memory(pixels),
        labels,
        targets: Targets::Classes,
        shape,
        normalisation: kind.normalisation(),
    })
}

/// The two sets give their files the same names and sizes; the published labels tell them apart.
fn check_set(kind: Kind, path: &Path, name: &str, labels: &[u8]) -> Result<(), Error> {
    let other = if kind == Kind::Mnist { Kind::FashionMnist } else { Kind::Mnist };
    let header = [LABELS.to_be_bytes(), (labels.len() as u32).to_be_bytes()].concat();
    let sums = other.source().into_iter().flat_map(|source| source.files);
    for sum in sums.filter(|(file, _)| *file == name).filter_map(|(_, sum)| *sum) {
        if sum.matches(header.chain(labels)).map_err(Error::io(path))? {
            return Err(Error::OtherSet { path: path.to_owned(), found: other.name(), wanted: kind.name() });
        }
    }
    Ok(())
}

/// The items of one file, whose first dimension is their number and whose further ones are `dims`.
fn file(
    kind: Kind,
    folder: &Path,
    name: &'static str,
    magic: u32,
    dims: &[usize],
) -> Result<(PathBuf, Vec<u8>), Error> {
    let Some(path) = source::find(folder, name).filter(|path| path.is_file()) else {
        return Err(Error::Missing { set: kind.name(), folder: folder.to_owned(), file: name });
    };
    let items = items(&path, gzip::open(&path).map_err(Error::io(&path))?, magic, dims)?;
    Ok((path, items))
}

fn items(path: &Path, mut reader: impl Read, magic: u32, dims: &[usize]) -> Result<Vec<u8>, Error> {
    let mut number = || {
        let mut bytes = [0; 4];
        let read = reader.read_exact(&mut bytes);
        read.map(|()| u32::from_be_bytes(bytes)).map_err(|error| Error::broken(path, format!("header: {error}")))
    };
    let found = number()?;
    if found != magic {
        return Err(Error::broken(path, format!("starts with {found:#010x} (must be {magic:#010x})")));
    }
    let count = number()? as usize;
    if count > MOST {
        return Err(Error::broken(path, format!("it claims {count} items (must be at most {MOST})")));
    }
    for &expected in dims {
        let found = number()? as usize;
        if found != expected {
            return Err(Error::broken(path, format!("an edge of {found} pixels (must be {expected})")));
        }
    }
    let expected = count.saturating_mul(dims.iter().product());
    let mut items = Vec::new();
    // Read as far as the header says and one byte further: memory grows with the file, not with what its header claims.
    let limit = (expected as u64).saturating_add(1);
    reader.take(limit).read_to_end(&mut items).map_err(|error| Error::broken(path, error.to_string()))?;
    if count == 0 {
        return Err(Error::broken(path, "it holds no items"));
    }
    if items.len() != expected {
        let more = if items.len() > expected { "more than " } else { "" };
        let found = items.len().min(expected);
        return Err(Error::broken(path, format!("{more}{found} bytes of data (must be {expected} for {count} items)")));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::{IMAGES, Kind, LABELS, items, read};
    use allocation_counter::measure;
    use proptest::prelude::*;
    use std::io::Write;
    use std::path::Path;

    fn idx(magic: u32, dims: &[u32], items: &[u8]) -> Vec<u8> {
        let numbers = std::iter::once(magic).chain(dims.iter().copied()).flat_map(u32::to_be_bytes);
        numbers.chain(items.iter().copied()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn write(folder: &Path, images: &[u8], labels: &[u8]) {
        for stem in ["train", "t10k"] {
            std::fs::write(folder.join(format!("{stem}-images-idx3-ubyte")), images).unwrap();
            std::fs::write(folder.join(format!("{stem}-labels-idx1-ubyte.gz")), gzip(labels)).unwrap();
        }
    }

    #[test]
    fn plain_and_compressed_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let pixels: Vec<u8> = (0..2 * 784u32).map(|i| i as u8).collect();
        write(folder.path(), &idx(IMAGES, &[2, 28, 28], &pixels), &idx(LABELS, &[2], &[9, 0]));
        let (train, test) = read(Kind::Mnist, folder.path()).unwrap();
        assert_eq!((train.bytes(), train.labels.as_slice()), (pixels.as_slice(), [9, 0].as_slice()));
        assert_eq!(test.len(), 2);
    }

    #[test]
    fn all_members_of_an_archive_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let labels = idx(LABELS, &[2], &[9, 0]);
        write(folder.path(), &idx(IMAGES, &[2, 28, 28], &[7; 2 * 784]), &labels);
        let mut members = labels.chunks(3).flat_map(gzip).collect::<Vec<u8>>();
        members.extend([0; 512]);
        std::fs::write(folder.path().join("train-labels-idx1-ubyte.gz"), members).unwrap();
        assert_eq!(read(Kind::Mnist, folder.path()).unwrap().0.labels, [9, 0]);
    }

    #[test]
    fn files_may_lie_as_torchvision_puts_them_and_have_a_dot_in_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("MNIST/raw");
        std::fs::create_dir_all(&raw).unwrap();
        write(&raw, &idx(IMAGES, &[1, 28, 28], &[7; 784]), &idx(LABELS, &[1], &[3]));
        for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"] {
            std::fs::rename(raw.join(name), raw.join(name.replace("-idx", ".idx"))).unwrap();
        }
        for place in ["", "MNIST", "MNIST/raw"] {
            let (train, test) = read(Kind::Mnist, &folder.path().join(place)).unwrap();
            assert_eq!((train.labels, test.labels), (vec![3], vec![3]), "{place}");
        }
        std::fs::remove_file(raw.join("t10k-images-idx3-ubyte")).unwrap();
        assert!(read(Kind::Mnist, folder.path()).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let message = |images: &[u8], labels: &[u8]| {
            write(folder.path(), images, labels);
            read(Kind::Mnist, folder.path()).unwrap_err().to_string()
        };
        let image = idx(IMAGES, &[1, 28, 28], &[0; 784]);
        let ends = |message: String, end: &str| {
            assert!(message.lines().next().is_some_and(|line| line.ends_with(end)), "{message}");
        };
        ends(message(&image[..500], &idx(LABELS, &[1], &[0])), "484 bytes of data (must be 784 for 1 items)");
        ends(message(&image, &idx(LABELS, &[2], &[0, 1])), "1 images, but 2 labels beside them");
        ends(message(&image, &idx(LABELS, &[1], &[10])), "label 10 of image 0 is out of range: there are 10 classes");
        ends(message(&idx(LABELS, &[1, 28, 28], &[0; 784]), &[]), "starts with 0x00000801 (must be 0x00000803)");
        ends(message(&idx(IMAGES, &[1, 27, 28], &[0; 784]), &[]), "an edge of 27 pixels (must be 28)");
        ends(message(&[], &[]), "header: failed to fill whole buffer");
        let longer = [image.as_slice(), &[0]].concat();
        ends(message(&longer, &[]), "more than 784 bytes of data (must be 784 for 1 items)");
        ends(message(&idx(IMAGES, &[0, 28, 28], &[]), &[]), "it holds no items");
    }

    #[test]
    fn mnist_and_fashion_mnist_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &idx(IMAGES, &[1, 28, 28], &[0; 784]), &idx(LABELS, &[1], &[0]));
        let images = gzip(&idx(IMAGES, &[10_000, 28, 28], &vec![0; 7_840_000]));
        std::fs::remove_file(folder.path().join("t10k-images-idx3-ubyte")).unwrap();
        std::fs::write(folder.path().join("t10k-images-idx3-ubyte.gz"), images).unwrap();
        let labels = include_bytes!("../../tests/golden/fashion-mnist-t10k-labels.gz");
        std::fs::write(folder.path().join("t10k-labels-idx1-ubyte.gz"), labels).unwrap();
        assert_eq!(read(Kind::FashionMnist, folder.path()).unwrap().1.len(), 10_000);
        let error = read(Kind::Mnist, folder.path()).unwrap_err().to_string();
        assert!(error.contains("t10k-labels-idx1-ubyte.gz` belongs to `fashion-mnist`, not to `mnist`"), "{error}");
    }

    #[test]
    fn an_archive_is_not_unpacked_as_far_as_its_header_claims() {
        let mut file = idx(LABELS, &[u32::MAX], &[0; 1000]);
        let mut reader = file.as_slice();
        let error = items(Path::new("x"), &mut reader, LABELS, &[]).unwrap_err().to_string();
        assert!(error.contains("it claims 4294967295 items (must be at most 60000)\n"), "{error}");
        assert_eq!(reader.len(), 1000);
        file[4..8].copy_from_slice(&1000u32.to_be_bytes());
        assert_eq!(items(Path::new("x"), file.as_slice(), LABELS, &[]).unwrap(), [0; 1000]);
    }

    /// Of reading a small file: the decoder's memory, and less than that of all items that a header may claim.
    const MEMORY: u64 = 60_000;

    /// The items of labels, if they can be read, and whether that took little memory.
    fn frugally(reader: impl std::io::Read) -> (Option<Vec<u8>>, bool) {
        let mut read = None;
        let memory = measure(|| read = items(Path::new("x"), reader, LABELS, &[]).ok());
        (read, memory.bytes_max < MEMORY)
    }

    #[test]
    fn a_header_in_an_archive_that_claims_all_that_is_allowed_gets_what_is_there() {
        let lying = gzip(&idx(LABELS, &[60_000], &[0; 100]));
        assert_eq!(frugally(crate::data::gzip::unpacked(lying.as_slice())), (None, true));
        // Control: of all that is allowed the memory is noticed.
        let whole = gzip(&idx(LABELS, &[60_000], &[0; 60_000]));
        assert_eq!(frugally(crate::data::gzip::unpacked(whole.as_slice())), (Some(vec![0; 60_000]), false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn no_header_raises_a_panic_or_a_large_allocation(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(frugally(bytes.as_slice()).1);
            let lying = idx(LABELS, &[60_000], &bytes);
            prop_assert_eq!(frugally(lying.as_slice()), (None, true));
        }

        #[test]
        fn a_file_is_read_unless_its_header_is_changed(images: bool, at in 0usize..8 + 50, value: u8) {
            let (magic, edges): (u32, &[u32]) = if images { (IMAGES, &[5, 2]) } else { (LABELS, &[]) };
            let count = 50 / edges.iter().product::<u32>();
            let file = idx(magic, &[&[count], edges].concat(), &[3; 50]);
            let mut changed = file.clone();
            changed[at] = value;
            let header = file.len() - 50;
            let header_holds = changed[..header] == file[..header];
            let edges: Vec<usize> = edges.iter().map(|&edge| edge as usize).collect();
            prop_assert_eq!(items(Path::new("x"), changed.as_slice(), magic, &edges).is_ok(), header_holds);
        }

        #[test]
        fn a_damaged_archive_raises_no_panic(at: prop::sample::Index, value: u8) {
            let mut packed = gzip(&idx(LABELS, &[500], &[3; 500]));
            let at = at.index(packed.len());
            packed[at] = value;
            prop_assert!(frugally(crate::data::gzip::unpacked(packed.as_slice())).1);
        }
    }
}
