//! NumPy's `.npz`: a zip of arrays in the format `.npy`, versions 1 to 3 (NEP 1). No Python is run: arrays of objects are refused.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use flate2::CrcReader;

use super::array::{Array, Number, from_fortran, product};
use crate::data::unpack;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes of the longest header; NumPy itself takes no longer one.
const MOST_HEAD: usize = 10_000;

/// Those arrays in a zip that `wanted` has, by name, and the names of all.
pub fn read(
    file: impl Read + Seek,
    wanted: impl Fn(&str) -> bool,
) -> Result<(BTreeMap<String, Array>, Vec<String>), String> {
    let mut archive = zip::ZipArchive::new(file).map_err(|error| format!("is no intact zip: {error}"))?;
    let (mut arrays, mut names) = (BTreeMap::new(), Vec::new());
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(|error| error.to_string())?;
        let path = entry.name().map_err(|error| error.to_string())?.into_owned();
        let name = path.strip_suffix(".npy").unwrap_or(&path).to_owned();
        if wanted(&name) {
            let array = content(entry).map_err(|message| format!("holds `{name}`, which {message}"))?;
            arrays.insert(name.clone(), array);
        }
        names.push(name);
    }
    Ok((arrays, names))
}

fn content(mut entry: zip::read::ZipFile<'_, impl Read>) -> Result<Array, String> {
    let sum = entry.crc32();
    let mut reader = CrcReader::new(unpack::content(&mut entry).map_err(|error| error.to_string())?);
    let array = array(&mut reader)?;
    // The rest is nothing, and the checksum behind it.
    std::io::copy(&mut reader, &mut std::io::sink()).map_err(|error| error.to_string())?;
    if reader.crc().sum() == sum { Ok(array) } else { Err("is damaged: its checksum does not match".to_owned()) }
}

/// One array: magic, version, header, numbers.
pub fn array(reader: &mut impl Read) -> Result<Array, String> {
    let mut start = [0; 8];
    fill(reader, &mut start)?;
    if !start.starts_with(MAGIC) {
        return Err("is no array of NumPy".into());
    }
    let length = if start[6] == 1 {
        let mut length = [0; 2];
        fill(reader, &mut length)?;
        usize::from(u16::from_le_bytes(length))
    } else {
        let mut length = [0; 4];
        fill(reader, &mut length)?;
        u32::from_le_bytes(length) as usize
    };
    if length > MOST_HEAD {
        return Err(format!("has a header of {length} bytes (must be at most {MOST_HEAD})"));
    }
    let mut header = vec![0; length];
    fill(reader, &mut header)?;
    let header = Header::parse(&String::from_utf8_lossy(&header))?;
    let expected = product(&header.dims, header.number.bytes()).ok_or("claims more numbers than there can be")?;
    let mut bytes = Vec::new();
    // Memory grows with what is there, not with what the header claims.
    reader.take(expected as u64).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() != expected {
        return Err(format!("is cut short: {} bytes of {expected}", bytes.len()));
    }
    let each = header.number.bytes();
    if header.big_endian {
        bytes.chunks_exact_mut(each).for_each(<[u8]>::reverse);
    }
    if header.fortran {
        bytes = from_fortran(&bytes, &header.dims, each);
    }
    Ok(Array { values: header.number.values(bytes), dims: header.dims })
}

fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), String> {
    reader.read_exact(bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "is cut short".into(),
        _ => format!("cannot be read: {error}"),
    })
}

/// What a header says.
#[derive(Debug, PartialEq)]
struct Header {
    number: Number,
    big_endian: bool,
    fortran: bool,
    dims: Vec<usize>,
}

impl Header {
    /// Of `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, as Python writes it.
    fn parse(text: &str) -> Result<Self, String> {
        let value = |key: &str| {
            let (_, rest) = text.split_once(&format!("'{key}':"))?;
            Some(rest.trim_start())
        };
        let (Some(descr), Some(order), Some(shape)) = (value("descr"), value("fortran_order"), value("shape")) else {
            return Err("has a header that NumPy did not write".into());
        };
        let descr = descr.strip_prefix('\'').and_then(|descr| descr.split_once('\'')).map(|(descr, _)| descr);
        let (number, big_endian) = number(descr)?;
        let dims = shape.strip_prefix('(').and_then(|shape| shape.split_once(')')).map(|(dims, _)| dims);
        let dims = dims.unwrap_or("?").split(',').map(str::trim).filter(|dim| !dim.is_empty());
        let dims = dims.map(|dim| dim.trim_end_matches('L').parse().map_err(|_| format!("has a dimension `{dim}`")));
        Ok(Self { number, big_endian, fortran: order.starts_with("True"), dims: dims.collect::<Result<_, _>>()? })
    }
}

/// The type that NumPy calls `<f4`, and whether its high bytes come first.
fn number(descr: Option<&str>) -> Result<(Number, bool), String> {
    let Some(descr) = descr else { return Err("is a table of records; arrays of numbers are read".into()) };
    let kind = descr.trim_start_matches(['<', '>', '|', '=']);
    let number = match kind {
        "u1" | "b1" => Number::U8,
        "i1" => Number::I8,
        "u2" => Number::U16,
        "i2" => Number::I16,
        "u4" => Number::U32,
        "i4" => Number::I32,
        "u8" => Number::U64,
        "i8" => Number::I64,
        "f2" => Number::F16,
        "f4" => Number::F32,
        "f8" => Number::F64,
        "O" => {
            return Err(
                "is an array of Python objects, and no pickles are read: np.stack makes one of numbers, if all items \
                        have the same size"
                    .into(),
            );
        }
        _ if kind.starts_with(['U', 'S']) => {
            return Err("is an array of texts: np.unique(y, return_inverse=True)[1] makes numbers of them".into());
        }
        _ => return Err(format!("has numbers of type `{descr}`; integers and floats are read")),
    };
    Ok((number, descr.starts_with('>')))
}

#[cfg(test)]
pub mod tests {
    use super::super::array::{Array, Values};
    use super::{Header, Number, array, read};
    use crate::random::Random;
    use allocation_counter::measure;
    use std::io::{Cursor, Write};

    /// As `np.save` writes it.
    pub fn npy(descr: &str, fortran: bool, shape: &str, numbers: &[u8]) -> Vec<u8> {
        let fortran = if fortran { "True" } else { "False" };
        let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), numbers].concat()
    }

    /// As `np.savez` writes it.
    pub fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, array) in arrays {
            let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            writer.start_file(format!("{name}.npy"), stored).unwrap();
            writer.write_all(array).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn of(bytes: &[u8]) -> Result<Array, String> {
        array(&mut &bytes[..])
    }

    #[test]
    fn arrays_come_in_either_order_of_indices_and_bytes() {
        let c = of(&npy("<i2", false, "(2, 2)", &[1, 0, 2, 0, 3, 0, 4, 0])).unwrap();
        assert_eq!(c, Array { dims: vec![2, 2], values: Values::Integers(vec![1, 2, 3, 4]) });
        assert_eq!(of(&npy("<i2", true, "(2, 2)", &[1, 0, 3, 0, 2, 0, 4, 0])).unwrap(), c);
        assert_eq!(of(&npy(">i2", false, "(2, 2)", &[0, 1, 0, 2, 0, 3, 0, 4])).unwrap(), c);
        assert_eq!(of(&npy("|u1", false, "()", &[7])).unwrap(), Array { dims: vec![], values: Values::Bytes(vec![7]) });
        let header = Header::parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3L,), }").unwrap();
        assert_eq!((header.number, header.dims), (Number::F32, vec![3]));
    }

    #[test]
    fn what_is_no_array_of_numbers_is_named() {
        let says = |bytes: &[u8], what: &str| {
            let message = of(bytes).unwrap_err();
            assert!(message.contains(what), "{message}");
        };
        says(&npy("|O", false, "(2,)", b"\x80\x04pickled"), "array of Python objects, and no pickles are read");
        says(&npy("<U5", false, "(1,)", &[0; 20]), "array of texts");
        says(&npy("<c8", false, "(1,)", &[0; 8]), "numbers of type `<c8`");
        says(&npy("<f4", false, "(2,)", &[0; 7]), "cut short: 7 bytes of 8");
        says(&npy("<f4", false, "(-1,)", &[]), "dimension `-1`");
        says(&npy("<f8", false, "(9223372036854775807, 9)", &[]), "more numbers than there can be");
        says(b"\x93NUMPY\x02\0\xff\xff\xff\xff", "a header of 4294967295 bytes");
        says(b"no array", "no array of NumPy");
        let records = npy("<f4", false, "(2,)", &[])
            .iter()
            .map(|&byte| if byte == b'\'' { b'"' } else { byte })
            .collect::<Vec<_>>();
        says(&records, "did not write");
    }

    #[test]
    fn an_array_is_not_allocated_as_far_as_its_header_claims() {
        let lying = npy("<f8", false, "(1000000000,)", &[0; 80]);
        let memory = measure(|| assert!(of(&lying).is_err()));
        assert!(memory.bytes_max < 1 << 16, "{} bytes", memory.bytes_max);
    }

    #[test]
    fn an_entry_that_is_damaged_is_refused() {
        let good = npz(&[("x", npy("|u1", false, "(100,)", &[7; 100])), ("y", npy("|O", false, "(1,)", b"x"))]);
        let read = |bytes: &[u8]| read(Cursor::new(bytes.to_vec()), |name| name == "x");
        let (arrays, names) = read(&good).unwrap();
        assert_eq!((arrays["x"].dims.as_slice(), names), ([100].as_slice(), vec!["x".to_owned(), "y".to_owned()]));
        let at = good.windows(100).position(|window| window == [7; 100]).unwrap();
        let mut damaged = good;
        damaged[at + 50] = 8;
        assert!(read(&damaged).unwrap_err().contains("`x`, which is damaged"));
    }

    #[test]
    fn no_mutation_raises_a_panic_or_a_large_allocation() {
        let good = npz(&[("x", npy("<f4", true, "(3, 2)", &[1; 24])), ("y", npy("<i8", false, "(3,)", &[0; 24]))]);
        let mut random = Random::new(1, "mutations");
        let mut most = 0;
        for _ in 0..10_000 {
            let mut bytes = good.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
            bytes.truncate(bytes.len() - if random.below(5) == 0 { random.below(bytes.len()) } else { 0 });
            most = most.max(measure(|| drop(read(Cursor::new(bytes), |_| true))).bytes_max);
        }
        assert!(most < 1 << 18, "{most} bytes");
    }
}
