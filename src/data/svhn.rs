//! Street View house numbers (Netzer et al. 2011), cropped digits: MATLAB files of level 5, each with the variables `X`,
//! `32×32×3×N` bytes in column order, and `y`, `N` classes of which 10 means the digit 0.
//!
//! Of the format no more is read than these files use, or what SciPy makes of them: little-endian, elements compressed or not, classes of
//! any type of numbers, in a column or a row.

use std::fs::File;
use std::io::{BufReader, Read, copy, sink};
use std::path::Path;

use flate2::read::ZlibDecoder;

use super::{Error, Images, Kind, Pixels, Targets};

/// Types of data elements (MAT-File Format, table 1-1).
const SIGNED_BYTES: u32 = 1;
const BYTES: u32 = 2;
const SHORTS: u32 = 3;
const UNSIGNED_SHORTS: u32 = 4;
const INTEGERS: u32 = 5;
const UNSIGNED_INTEGERS: u32 = 6;
const SINGLES: u32 = 7;
const DOUBLES: u32 = 9;
const LONGS: u32 = 12;
const UNSIGNED_LONGS: u32 = 13;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
/// Text, version and byte order before the first element.
const HEADER: usize = 128;
/// Bytes of flags, dimensions or a name; those of the published files are shorter.
const MOST_HEAD: u32 = 256;
const EDGE: usize = 32;

/// Training and test images from `folder` or from a folder in it that is named after the set.
pub fn read(folder: &Path) -> Result<(Images, Images), Error> {
    let folder = Kind::Svhn.place(folder);
    let read = |name: &'static str, most: usize| {
        let path = folder.join(name);
        if !path.is_file() {
            return Err(Error::Missing { set: Kind::Svhn.name(), folder: folder.clone(), file: name });
        }
        let reader = BufReader::new(File::open(&path).map_err(Error::io(&path))?);
        images(reader, most).map_err(|message| Error::broken(&path, message))
    };
    Ok((read("train_32x32.mat", Kind::Svhn.train_len())?, read("test_32x32.mat", Kind::Svhn.test_len())?))
}

/// One file of at most `most` images.
fn images(mut reader: impl Read, most: usize) -> Result<Images, String> {
    let mut header = [0; HEADER];
    fill(&mut reader, &mut header)?;
    if header.starts_with(b"MATLAB 7.3") || header.starts_with(b"\x89HDF") {
        return Err("it is a file of MATLAB 7.3 (HDF5), and those up to 7 are read: save it by `save -v7`, or by scipy.io.savemat".into());
    }
    if &header[HEADER - 2..] != b"IM" {
        return Err("it is no little-endian MATLAB file of level 5".into());
    }
    let (mut pixels, mut labels) = (None, None);
    while pixels.is_none() || labels.is_none() {
        let (kind, length) = match (number(&mut reader), number(&mut reader)) {
            (Ok(kind), Ok(length)) => (kind, length),
            _ => return Err(format!("`{}` is missing", if pixels.is_none() { "X" } else { "y" })),
        };
        let mut element = reader.by_ref().take(u64::from(length));
        let variable = match kind {
            COMPRESSED => {
                let mut inner = ZlibDecoder::new(&mut element);
                match (number(&mut inner)?, number(&mut inner)?) {
                    (MATRIX, _) => matrix(&mut inner, most)?,
                    (kind, _) => return Err(format!("a compressed element of type {kind} (must be a matrix)")),
                }
            }
            MATRIX => matrix(&mut element, most)?,
            kind => return Err(format!("an element of type {kind} (must be a matrix)")),
        };
        match variable {
            Variable::Pixels(found) => pixels = Some(found),
            Variable::Labels(found) => labels = Some(found),
            Variable::Other => {}
        }
        copy(&mut element, &mut sink()).map_err(|error| error.to_string())?;
    }
    let (pixels, labels) = (pixels.unwrap_or_default(), labels.unwrap_or_default());
    let (shape, normalisation) = (Kind::Svhn.shape(), Kind::Svhn.normalisation());
    if pixels.len() != labels.len() * shape.bytes() {
        return Err(format!("{} images, but {} labels beside them", pixels.len() / shape.bytes(), labels.len()));
    }
    Ok(Images { pixels: Pixels::Memory(pixels), labels, targets: Targets::Classes, shape, normalisation })
}

enum Variable {
    Pixels(Vec<u8>),
    Labels(Vec<u16>),
    Other,
}

/// Flags, dimensions, name, numbers.
fn matrix(reader: &mut impl Read, most: usize) -> Result<Variable, String> {
    head(reader)?;
    let dims: Vec<usize> = head(reader)?
        .chunks_exact(4)
        .map(|dim| u32::from_le_bytes([dim[0], dim[1], dim[2], dim[3]]) as usize)
        .collect();
    let name = head(reader)?;
    match name.as_slice() {
        b"X" => pixels(reader, &dims, most).map(Variable::Pixels).map_err(|error| format!("`X`: {error}")),
        b"y" => labels(reader, &dims, most).map(Variable::Labels).map_err(|error| format!("`y`: {error}")),
        _ => Ok(Variable::Other),
    }
}

/// `H×W×C×N` in column order (the first index runs fastest) → `N×H×W×C`.
fn pixels(reader: &mut impl Read, dims: &[usize], most: usize) -> Result<Vec<u8>, String> {
    let &[EDGE, EDGE, 3, count] = dims else {
        return Err(format!("dimensions {dims:?} (must be 32×32×3×N)"));
    };
    let bytes = EDGE * EDGE * 3;
    let kind = numbers(reader, count, bytes, most)?;
    if kind != BYTES {
        return Err(format!("numbers of type {kind} (must be bytes ({BYTES}))"));
    }
    let mut columns = vec![0; bytes];
    let mut pixels = Vec::new();
    for _ in 0..count {
        fill(reader, &mut columns)?;
        let rows = (0..EDGE).flat_map(|y| (0..EDGE).map(move |x| (y, x)));
        pixels.extend(rows.flat_map(|(y, x)| (0..3).map(move |c| y + EDGE * (x + EDGE * c))).map(|at| columns[at]));
    }
    Ok(pixels)
}

fn labels(reader: &mut impl Read, dims: &[usize], most: usize) -> Result<Vec<u16>, String> {
    // SciPy writes a vector as a row.
    let (&[count, 1] | &[1, count]) = dims else {
        return Err(format!("dimensions {dims:?} (must be N×1)"));
    };
    let kind = numbers(reader, count, 1, most)?;
    let mut labels = Vec::new();
    for i in 0..count {
        let class = class(reader, kind)?;
        if !(1.0..=10.0).contains(&class) || class.fract() != 0.0 {
            return Err(format!("label {class} of image {i} is out of range (must be 1 to 10)"));
        }
        labels.push(class as u16 % 10);
    }
    Ok(labels)
}

/// One number of type `kind`. An integer that a float64 cannot hold is no class either way.
fn class(reader: &mut impl Read, kind: u32) -> Result<f64, String> {
    let mut bytes = [0; 8];
    fill(reader, &mut bytes[..width(kind).unwrap_or(1)])?;
    let [a, b, c, d, ..] = bytes;
    Ok(match kind {
        SIGNED_BYTES => f64::from(i8::from_le_bytes([a])),
        SHORTS => f64::from(i16::from_le_bytes([a, b])),
        UNSIGNED_SHORTS => f64::from(u16::from_le_bytes([a, b])),
        INTEGERS => f64::from(i32::from_le_bytes([a, b, c, d])),
        UNSIGNED_INTEGERS => f64::from(u32::from_le_bytes([a, b, c, d])),
        SINGLES => f64::from(f32::from_le_bytes([a, b, c, d])),
        DOUBLES => f64::from_le_bytes(bytes),
        LONGS => i64::from_le_bytes(bytes) as f64,
        UNSIGNED_LONGS => u64::from_le_bytes(bytes) as f64,
        _ => f64::from(a),
    })
}

/// Bytes of a number of type `kind`, if it is one.
const fn width(kind: u32) -> Option<usize> {
    match kind {
        SIGNED_BYTES | BYTES => Some(1),
        SHORTS | UNSIGNED_SHORTS => Some(2),
        INTEGERS | UNSIGNED_INTEGERS | SINGLES => Some(4),
        DOUBLES | LONGS | UNSIGNED_LONGS => Some(8),
        _ => None,
    }
}

/// The tag before `count` items of `each` numbers: their type.
fn numbers(reader: &mut impl Read, count: usize, each: usize, most: usize) -> Result<u32, String> {
    let (kind, length) = (number(reader)?, number(reader)?);
    if count == 0 || count > most {
        return Err(format!("it claims {count} items (must be from 1 to {most})"));
    }
    // Up to four bytes are packed into the tag itself, which only files of a few labels have: they are none of ours.
    let Some(width) = width(kind) else {
        return Err(format!("an element of type {kind} (must be numbers)"));
    };
    let expected = count * each * width;
    if length as usize != expected {
        return Err(format!("{length} bytes of numbers (must be {expected} for {count} items)"));
    }
    Ok(kind)
}

/// A short element with its padding to 8 bytes; up to 4 bytes may be packed into its tag.
fn head(reader: &mut impl Read) -> Result<Vec<u8>, String> {
    let tag = number(reader)?;
    let packed = tag >> 16;
    let (length, padded) = if packed == 0 {
        let length = number(reader)?;
        (length, length.checked_next_multiple_of(8).unwrap_or(u32::MAX))
    } else {
        (packed, 4)
    };
    if length > padded || padded > MOST_HEAD {
        return Err(format!("a name or dimensions of {length} bytes"));
    }
    let mut bytes = vec![0; padded as usize];
    fill(reader, &mut bytes)?;
    bytes.truncate(length as usize);
    Ok(bytes)
}

fn number(reader: &mut impl Read) -> Result<u32, String> {
    let mut bytes = [0; 4];
    fill(reader, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), String> {
    reader.read_exact(bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "it is cut short".into(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::{EDGE, images};
    use crate::data::Kind;
    use allocation_counter::measure;
    use proptest::prelude::*;
    use std::io::Write;

    fn element(kind: u32, bytes: &[u8]) -> Vec<u8> {
        let mut all = [kind.to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
        all.extend(bytes);
        all.resize(all.len().next_multiple_of(8), 0);
        all
    }

    fn matrix(name: &str, dims: &[u32], kind: u32, numbers: &[u8]) -> Vec<u8> {
        let dims: Vec<u8> = dims.iter().flat_map(|dim| dim.to_le_bytes()).collect();
        // The name is packed into its tag, as MATLAB does.
        let mut packed = [&(1u32 | (name.len() as u32) << 16).to_le_bytes(), name.as_bytes()].concat();
        packed.resize(8, 0);
        let flags = element(6, &[9, 0, 0, 0, 0, 0, 0, 0]);
        element(14, &[flags, element(5, &dims), packed, element(kind, numbers)].concat())
    }

    fn compressed(matrix: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(matrix).unwrap();
        let packed = encoder.finish().unwrap();
        // Compressed elements are not padded.
        [&15u32.to_le_bytes()[..], &(packed.len() as u32).to_le_bytes(), &packed].concat()
    }

    fn file(elements: &[Vec<u8>]) -> Vec<u8> {
        let mut header = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".to_vec();
        header.resize(124, b' ');
        header.extend([0, 1, b'I', b'M']);
        [header, elements.concat()].concat()
    }

    /// Byte `i` of image `n` in column order is `(n + i)` wrapped.
    fn x(count: u32) -> Vec<u8> {
        let bytes: Vec<u8> = (0..count).flat_map(|n| (0..3072u32).map(move |i| (n + i) as u8)).collect();
        matrix("X", &[32, 32, 3, count], 2, &bytes)
    }

    fn y(labels: &[u8]) -> Vec<u8> {
        matrix("y", &[labels.len() as u32, 1], 2, labels)
    }

    const LABELS: [u8; 6] = [1, 10, 3, 9, 2, 5];

    #[test]
    fn compressed_and_plain_elements_are_read_in_any_order() {
        let doubles: Vec<u8> = LABELS.iter().flat_map(|&label| f64::from(label).to_le_bytes()).collect();
        let other = matrix("z", &[1, 1], 9, &1.0f64.to_le_bytes());
        let files = [
            file(&[compressed(&x(6)), compressed(&y(&LABELS))]),
            file(&[y(&LABELS), compressed(&other), x(6)]),
            file(&[other, x(6), matrix("y", &[6, 1], 9, &doubles)]),
        ];
        for file in files {
            let read = images(file.as_slice(), 6).unwrap();
            assert_eq!(read.labels, [1, 0, 3, 9, 2, 5]);
            let at = |n: usize, row: usize, column: usize, c: usize| {
                read.bytes()[((n * EDGE + row) * EDGE + column) * 3 + c]
            };
            for (n, row, column, c) in [(0, 0, 0, 0), (1, 5, 0, 0), (2, 0, 7, 0), (3, 1, 2, 1), (5, 31, 31, 2)] {
                assert_eq!(at(n, row, column, c), (n + row + EDGE * (column + EDGE * c)) as u8);
            }
            assert_ne!(at(0, 1, 0, 0), at(0, 0, 1, 0), "rows and columns differ");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let message = |file: &[u8]| images(file, 6).unwrap_err();
        let good = file(&[x(6), y(&LABELS)]);
        assert_eq!(message(&[]), "it is cut short");
        assert_eq!(message(&good[..5000]), "`X`: it is cut short");
        assert_eq!(message(&file(&[x(6)])), "`y` is missing");
        assert_eq!(message(&file(&[y(&LABELS)])), "`X` is missing");
        assert_eq!(message(&file(&[x(5), y(&LABELS)])), "5 images, but 6 labels beside them");
        assert_eq!(message(&file(&[x(7)])), "`X`: it claims 7 items (must be from 1 to 6)");
        assert_eq!(message(&file(&[x(0)])), "`X`: it claims 0 items (must be from 1 to 6)");
        let labels = |labels: &[u8]| message(&file(&[x(6), y(labels)]));
        assert_eq!(labels(&[1, 2, 3, 4, 11, 5]), "`y`: label 11 of image 4 is out of range (must be 1 to 10)");
        assert!(labels(&[1, 2, 0, 4, 5, 5]).contains("label 0 of image 2"));
        assert!(message(&file(&[matrix("X", &[32, 31, 3, 6], 2, &[])])).contains("must be 32×32×3×N"));
        let big_endian = [&good[..126], b"MI", &good[128..]].concat();
        assert_eq!(message(&big_endian), "it is no little-endian MATLAB file of level 5");
    }

    #[test]
    fn classes_may_be_of_any_type_and_in_a_row() {
        type Bytes = fn(u8) -> Vec<u8>;
        let types: [(u32, Bytes); 9] = [
            (1, |label| vec![label]),
            (3, |label| i16::from(label).to_le_bytes().to_vec()),
            (4, |label| u16::from(label).to_le_bytes().to_vec()),
            (5, |label| i32::from(label).to_le_bytes().to_vec()),
            (6, |label| u32::from(label).to_le_bytes().to_vec()),
            (7, |label| f32::from(label).to_le_bytes().to_vec()),
            (9, |label| f64::from(label).to_le_bytes().to_vec()),
            (12, |label| i64::from(label).to_le_bytes().to_vec()),
            (13, |label| u64::from(label).to_le_bytes().to_vec()),
        ];
        for (kind, bytes) in types {
            let y = |labels: &[u8]| {
                matrix(
                    "y",
                    &[1, labels.len() as u32],
                    kind,
                    &labels.iter().flat_map(|&label| bytes(label)).collect::<Vec<_>>(),
                )
            };
            let read = images(file(&[x(6), y(&LABELS)]).as_slice(), 6).unwrap();
            assert_eq!(read.labels, [1, 0, 3, 9, 2, 5], "type {kind}");
            let error = images(file(&[x(6), y(&[1, 2, 3, 4, 11, 5])]).as_slice(), 6).unwrap_err();
            assert_eq!(error, "`y`: label 11 of image 4 is out of range (must be 1 to 10)");
        }
        let negative = matrix("y", &[1, 6], 1, &[1, 2, 255, 4, 5, 6]);
        assert!(images(file(&[x(6), negative]).as_slice(), 6).unwrap_err().contains("label -1 of image 2"));
    }

    #[test]
    fn a_newer_version_of_the_format_is_named() {
        let mut newer = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".to_vec();
        newer.resize(600, 0);
        for file in [newer.as_slice(), &[b"\x89HDF\r\n\x1a\n".as_slice(), &[0; 600]].concat()] {
            assert!(images(file, 6).unwrap_err().starts_with("it is a file of MATLAB 7.3 (HDF5)"));
        }
    }

    #[test]
    fn what_a_header_claims_is_not_allocated() {
        let lying = matrix("X", &[32, 32, 3, u32::MAX], 2, &[0; 64]);
        assert!(images(file(&[lying]).as_slice(), 73_257).unwrap_err().contains("it claims 4294967295 items"));
        let cut = compressed(&x(6)[..4000]);
        assert_eq!(images(file(&[cut]).as_slice(), 6).unwrap_err(), "`X`: it is cut short");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn no_mutation_raises_a_panic_or_a_large_allocation(
            packed: bool, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        ) {
            let pack = |matrix: Vec<u8>| if packed { compressed(&matrix) } else { matrix };
            let mut file = file(&[pack(y(&LABELS)), pack(x(1))]);
            // Most of a file are pixels, which may be anything: changes go to its first 400 bytes.
            let head = file.len().min(400);
            for (at, value) in changes {
                file[at.index(head)] = value;
            }
            if let Some(cut) = cut {
                file.truncate(cut.index(file.len()));
            }
            let memory = measure(|| drop(images(file.as_slice(), Kind::Svhn.train_len())));
            prop_assert!(memory.bytes_max < 1 << 17, "{} bytes", memory.bytes_max);
        }
    }
}
