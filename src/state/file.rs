//! A state as a file: safetensors, and behind it the SHA-256 of all that comes before.
//!
//! Numbers and texts are in safetensors' own metadata, as JSON. Without its last 40 bytes the file is one that any reader of safetensors
//! opens. Nothing is decoded before the checksum is known to be right.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use super::State;
use crate::{cause, storage};

/// Behind the checksum, so that a file cut short is not taken for a foreign one.
const MARK: &[u8; 8] = b"nkfacst1";
const TRAILER: usize = 32 + MARK.len();

/// Why a file holds no state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is cut short, or of another version or origin")]
    Foreign,
    #[error("its checksum is wrong: it is damaged")]
    Damaged,
    #[error("{0}")]
    Malformed(String),
}

impl Error {
    fn malformed(error: impl std::fmt::Display) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Writes `state` to `path`, which appears complete or not at all.
///
/// # Errors
/// The disk is full or fails.
pub fn write(path: &Path, state: &State) -> Result<(), Error> {
    let bits: BTreeMap<&str, u64> =
        state.numbers.iter().map(|(name, number)| (name.as_str(), number.to_bits())).collect();
    let json = |value: serde_json::Result<String>| value.map_err(Error::malformed);
    let metadata = HashMap::from([
        ("numbers".to_owned(), json(serde_json::to_string(&bits))?),
        ("texts".to_owned(), json(serde_json::to_string(&state.texts))?),
    ]);
    let aside = storage::aside(path)?;
    let permissions = aside.as_file().metadata()?.permissions();
    // safetensors writes to a file of its own and renames it: what `aside` had open is then another file, so it is opened anew.
    safetensors::serialize_to_file(&state.tensors, Some(metadata), aside.path()).map_err(|error| match error {
        safetensors::SafeTensorError::IoError(error) => Error::Io(error),
        other => Error::malformed(other),
    })?;
    let mut file = OpenOptions::new().read(true).append(true).open(aside.path())?;
    file.set_permissions(permissions)?;
    let digest = digest(&mut file)?;
    file.write_all(&digest)?;
    file.write_all(MARK)?;
    let aside = tempfile::NamedTempFile::from_parts(file, aside.into_temp_path());
    Ok(storage::put_in_place(aside, path)?)
}

/// Reads the state in `path`, its tensors on the CPU.
///
/// # Errors
/// The file cannot be read, is damaged, or holds something else.
pub fn read(path: &Path) -> Result<State, Error> {
    decode(&fs::read(path)?)
}

fn decode(bytes: &[u8]) -> Result<State, Error> {
    let Some((content, trailer)) = bytes.len().checked_sub(TRAILER).map(|at| bytes.split_at(at)) else {
        return Err(Error::Foreign);
    };
    let (checksum, mark) = trailer.split_at(TRAILER - MARK.len());
    if mark != MARK {
        return Err(Error::Foreign);
    }
    if Sha256::digest(content).as_slice() != checksum {
        return Err(Error::Damaged);
    }
    parse(content)
}

/// The state in a safetensors file.
fn parse(content: &[u8]) -> Result<State, Error> {
    let (_, metadata) = SafeTensors::read_metadata(content).map_err(Error::malformed)?;
    let entry = |name: &str| {
        let entries = metadata.metadata().as_ref();
        entries.and_then(|entries| entries.get(name)).ok_or_else(|| Error::Malformed(format!("it has no `{name}`")))
    };
    let numbers: BTreeMap<String, u64> = serde_json::from_str(entry("numbers")?).map_err(Error::malformed)?;
    let texts = serde_json::from_str(entry("texts")?).map_err(Error::malformed)?;
    let tensors: HashMap<String, Tensor> = candle_core::safetensors::load_buffer(content, &Device::Cpu)
        .map_err(|error| Error::Malformed(cause::message(&error)))?;
    Ok(State {
        tensors: tensors.into_iter().collect(),
        numbers: numbers.into_iter().map(|(name, bits)| (name, f64::from_bits(bits))).collect(),
        texts,
    })
}

/// The SHA-256 of a file from its start, read piece by piece: a state can be as large as the memory.
fn digest(file: &mut fs::File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            length => hash.update(&piece[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{State, decode, parse, read, write};
    use allocation_counter::measure;
    use candle_core::{DType, Device, Tensor};
    use proptest::prelude::*;

    fn state() -> State {
        let mut state = State::new();
        state.put("a", &Tensor::new(&[[1f32, f32::NAN], [-0.0, 1e-45]], &Device::Cpu).unwrap());
        state.put("b", &Tensor::new(&[1f64 / 3.0], &Device::Cpu).unwrap());
        state.put("c", &Tensor::zeros((3, 0), DType::F32, &Device::Cpu).unwrap());
        state.put("d/0", &Tensor::new(&[7u32], &Device::Cpu).unwrap());
        state.put_number("n", f64::NEG_INFINITY);
        state.put_number("x", f64::from_bits(0x7ff8_0000_dead_beef));
        state.put_text("t", "grüß \"dich\"\n");
        state
    }

    fn written() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.checkpoint");
        write(&path, &state()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_bit_for_bit() {
        let back = decode(&written()).unwrap();
        let state = state();
        assert_eq!(back.texts, state.texts);
        let bits = |state: &State| state.numbers.values().map(|number| number.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&state));
        assert_eq!(back.tensors.keys().collect::<Vec<_>>(), state.tensors.keys().collect::<Vec<_>>());
        for (name, tensor) in &state.tensors {
            let bytes = |tensor: &Tensor| safetensors::View::data(&tensor).into_owned();
            assert_eq!(
                (back.tensors[name].dims(), bytes(&back.tensors[name])),
                (tensor.dims(), bytes(tensor)),
                "{name}"
            );
        }
        assert!(read(std::path::Path::new("nowhere")).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn damage_is_noticed(at in any::<prop::sample::Index>(), with in 1u8..=255, cut in any::<prop::sample::Index>()) {
            thread_local!(static BYTES: Vec<u8> = written());
            let mut bytes = BYTES.with(Clone::clone);
            let (at, cut) = (at.index(bytes.len()), cut.index(bytes.len()));
            let memory = measure(|| {
                assert!(decode(&bytes[..cut]).is_err());
                bytes[at] ^= with;
                assert!(decode(&bytes).is_err());
            });
            prop_assert!(memory.bytes_max < 1 << 10, "{} bytes", memory.bytes_max);
        }

        /// What a checksum cannot catch, because it was made over it.
        #[test]
        fn malformed_content_is_no_panic_and_no_large_allocation(at in any::<prop::sample::Index>(), with: u8, digits in "[0-9]{1,20}") {
            thread_local!(static BYTES: Vec<u8> = written());
            let mut bytes = BYTES.with(Clone::clone);
            bytes.truncate(bytes.len() - super::TRAILER);
            let at = at.index(bytes.len());
            let memory = measure(|| {
                bytes[at] ^= with;
                drop(parse(&bytes));
                let end = bytes.len().min(at + digits.len());
                bytes[at..end].copy_from_slice(&digits.as_bytes()[..end - at]);
                drop(parse(&bytes));
            });
            prop_assert!(memory.bytes_max < 1 << 16, "{} bytes", memory.bytes_max);
        }
    }
}
