//! PyTorch checkpoints: a zip archive with a pickle that tells of tensors, and their numbers in files beside it.
//!
//! candle reads the pickle, which runs no code. What is in it is looked at here: candle's own reader panics where a tuple is too short.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor, Read};
use std::path::Path;

use candle_core::pickle::{Object, Stack};
use candle_core::{DType, Device, Tensor};
use zip::ZipArchive;

use super::error::Error;
use crate::cause;

/// Keys under which training scripts keep the net, the likeliest first.
const KEYS: [&str; 6] = ["state_dict", "model_state_dict", "model", "net", "module", "weights"];

const SAVE: &str = "`torch.save(net.state_dict(), …)` writes what is read here";

/// What is wrong with a checkpoint, and the way out; without one it is none.
pub struct Fault {
    message: String,
    hint: Option<String>,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(SAVE.to_owned()) }
    }

    fn foreign(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub fn of(self, path: &Path) -> Error {
        let (path, message) = (path.to_owned(), self.message);
        match self.hint {
            Some(hint) => Error::Checkpoint { path, message, hint },
            None => Error::Format { path, message },
        }
    }
}

/// Whether this is one, of today's format or of that before PyTorch 1.6.
pub fn is_checkpoint(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || is_old(bytes)
}

/// The pickled magic number.
fn is_old(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9")
}

/// Tensors by name without those that `is_ignored`, and the key that they lie under, if they do.
pub fn read(
    bytes: &[u8],
    is_ignored: impl Fn(&str) -> bool,
) -> Result<(BTreeMap<String, Tensor>, Option<String>), Fault> {
    if is_old(bytes) {
        let hint = "`torch.save(torch.load(FILE, map_location=\"cpu\"), FILE)` rewrites it".to_owned();
        return Err(Fault { message: "in the format before PyTorch 1.6".to_owned(), hint: Some(hint) });
    }
    let mut archive = Archive::open(bytes)?;
    let (entries, key) = state_dict(archive.pickle()?)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in entries {
        if !is_ignored(&name) {
            let bad = |message: &str| Fault::new(format!("`{name}` {message}"));
            let View { dtype, storage, offset, size, stride } =
                view.ok_or_else(|| bad("is of a kind not read here"))?;
            let bytes = archive.storage(&storage).map_err(|error| bad(&format!("has no numbers: {error}")))?;
            let bytes = gather(bytes, dtype.size_in_bytes(), offset, &size, &stride);
            let bytes = bytes.ok_or_else(|| bad("reaches beyond its numbers"))?;
            let tensor = Tensor::from_raw_buffer(&bytes, dtype, &size, &Device::Cpu);
            tensors.insert(name.clone(), tensor.map_err(|error| bad(&cause::message(&error)))?);
        }
    }
    Ok((tensors, key))
}

struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder that everything lies in.
    folder: String,
    /// Numbers that were read, for tensors that share them.
    storages: HashMap<String, Vec<u8>>,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| Fault::foreign(error.to_string()))?;
        let names = zip.file_names().filter_map(Result::ok);
        let mut folders = names.filter_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        let folder = folders.next().ok_or_else(|| Fault::foreign("a zip archive without `data.pkl`"))?;
        drop(folders);
        Ok(Self { zip, folder, storages: HashMap::new() })
    }

    fn pickle(&mut self) -> Result<Object, Fault> {
        let bytes = self.file("data.pkl").map_err(|error| Fault::new(format!("`data.pkl` cannot be read: {error}")))?;
        let mut stack = Stack::empty();
        let object = stack.read_loop(&mut bytes.as_slice()).and_then(|()| stack.finalize());
        object.map_err(|error| Fault::new(format!("`data.pkl` cannot be read: {}", cause::message(&error))))
    }

    fn storage(&mut self, key: &str) -> io::Result<&[u8]> {
        if !self.storages.contains_key(key) {
            let bytes = self.file(&format!("data/{key}"))?;
            self.storages.insert(key.to_owned(), bytes);
        }
        Ok(self.storages.get(key).map_or(&[], Vec::as_slice))
    }

    /// Read to its end, where its checksum is compared: in a damaged pickle, lengths are of any size.
    fn file(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.zip.by_name(&format!("{}{name}", self.folder))?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// A tensor's name, and what it is a view of: nothing if it is of a kind that is not read here.
type Entry = (String, Option<View>);

/// Numbers of a storage.
struct View {
    dtype: DType,
    storage: String,
    /// In numbers, as the strides.
    offset: usize,
    size: Vec<usize>,
    stride: Vec<usize>,
}

/// The net's tensors: under one of [`KEYS`], or else at the top, or else under the only key that has any.
fn state_dict(object: Object) -> Result<(Vec<Entry>, Option<String>), Fault> {
    let Object::Dict(top) = object else {
        return Err(Fault::new("a whole object was saved, not its tensors"));
    };
    let (mut own, mut under) = (Vec::new(), Vec::new());
    for (key, value) in top {
        let Object::Unicode(key) = key else { continue };
        match value {
            Object::Dict(dict) => {
                let entries = dict.into_iter().filter_map(|(name, value)| entry(name.unicode().ok()?, value));
                under.push((key, entries.collect::<Vec<_>>()));
            }
            value => own.extend(entry(key, value)),
        }
    }
    under.retain(|(_, entries)| !entries.is_empty());
    under.sort_by(|(a, _), (b, _)| a.cmp(b));
    let known = KEYS.iter().find_map(|known| under.iter().position(|(key, _)| key == known));
    match known {
        None if !own.is_empty() => Ok((own, None)),
        None if under.len() > 1 => {
            let keys: Vec<String> = under.into_iter().map(|(key, _)| format!("`{key}`")).collect();
            let hint = "`torch.save(torch.load(FILE)[KEY], …)` writes the tensors under one of them".to_owned();
            Err(Fault { message: format!("has tensors under {}", keys.join(", ")), hint: Some(hint) })
        }
        None if under.is_empty() => Err(Fault::new("has no tensors by name")),
        known => {
            let (key, entries) = under.swap_remove(known.unwrap_or_default());
            Ok((entries, Some(key)))
        }
    }
}

/// A tensor by its name, if `value` is one.
fn entry(name: String, value: Object) -> Option<Entry> {
    let (function, arguments) = call(value)?;
    match function.as_str() {
        "_rebuild_tensor_v2" => Some((name, view(arguments))),
        "_rebuild_parameter" | "_rebuild_parameter_with_state" => entry(name, arguments.into_iter().next()?),
        function if function.starts_with("_rebuild") => Some((name, None)),
        _ => None,
    }
}

/// The function's name and the arguments that an object is made by.
fn call(object: Object) -> Option<(String, Vec<Object>)> {
    let (function, arguments) = object.reduce().ok()?;
    Some((function.class().ok()?.1, arguments.tuple().ok()?))
}

/// `(storage, offset, size, stride, …)`, where a storage is `("storage", class, key, device, count)`.
fn view(arguments: Vec<Object>) -> Option<View> {
    let mut arguments = arguments.into_iter();
    let mut storage = arguments.next()?.persistent_load().ok()?.tuple().ok()?.into_iter().skip(1);
    let dtype = match storage.next()?.class().ok()?.1.as_str() {
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        _ => return None,
    };
    let storage = storage.next()?.unicode().ok()?;
    let number = |object: Object| usize::try_from(object.int_or_long().ok()?).ok();
    let offset = number(arguments.next()?)?;
    let mut numbers = || arguments.next()?.tuple().ok()?.into_iter().map(number).collect::<Option<Vec<_>>>();
    let (size, stride) = (numbers()?, numbers()?);
    Some(View { dtype, storage, offset, size, stride })
}

/// The numbers of a view in the order of its indices, if it has no more than there are.
fn gather(bytes: &[u8], width: usize, offset: usize, size: &[usize], stride: &[usize]) -> Option<Vec<u8>> {
    let count = size.iter().try_fold(1usize, |count, &size| count.checked_mul(size))?;
    if size.len() != stride.len() || count > bytes.len() / width {
        return None;
    }
    let mut gathered = Vec::with_capacity(count * width);
    for mut place in 0..count {
        let mut at = offset;
        for (&size, &stride) in size.iter().zip(stride).rev() {
            at = at.checked_add((place % size).checked_mul(stride)?)?;
            place /= size;
        }
        let start = at.checked_mul(width)?;
        gathered.extend_from_slice(bytes.get(start..start.checked_add(width)?)?);
    }
    Some(gathered)
}
