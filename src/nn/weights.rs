//! Weights in files: safetensors with PyTorch's names and layouts, so that `load_state_dict` takes them as they are.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use crate::param::{Param, Params};

/// Why weights cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write `{}`: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read `{}`: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is no safetensors file: {message}", path.display())]
    Format { path: PathBuf, message: String },
    #[error("`{}` has no `{name}`\nhint: these weights belong to another model", path.display())]
    Missing { path: PathBuf, name: String },
    #[error("`{}` has `{name}`, which this model does not have\nhint: these weights belong to another model", path.display())]
    Unknown { path: PathBuf, name: String },
    #[error("`{}`: `{name}` is {theirs:?}, {ours:?} expected\nhint: these weights belong to another model", path.display())]
    Shape { path: PathBuf, name: String, theirs: Vec<usize>, ours: Vec<usize> },
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Writes every parameter and running statistic, whole or not at all.
pub fn save(params: &Params, path: &Path) -> Result<(), Error> {
    let named = |param: &Param| Ok((param.name.clone(), param.layout.to_torch(&param.var.as_detached_tensor())?));
    write(path, all(params).map(named).collect::<candle_core::Result<Vec<_>>>()?)
}

/// Writes named tensors, whole or not at all.
pub fn write(path: &Path, tensors: Vec<(String, Tensor)>) -> Result<(), Error> {
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let on_cpu = |(name, tensor): (String, Tensor)| Ok((name, tensor.to_device(&Device::Cpu)?.contiguous()?));
    let tensors = tensors.into_iter().map(on_cpu).collect::<candle_core::Result<Vec<_>>>()?;
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(candle_core::Error::wrap)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let publish = || {
        let mut file = tempfile::Builder::new();
        #[cfg(unix)]
        file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = file.prefix(".weights-").suffix(".part").tempfile_in(folder)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    publish().map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Sets every parameter and running statistic from a file, or none of them if anything in it does not fit.
///
/// One thing may differ, for fine-tuning: a classifier (the last block) for another number of classes is left at its start. The
/// names that were left are returned. Counters of batches, which PyTorch's norms keep, are passed over.
pub fn load(params: &Params, path: &Path) -> Result<Vec<String>, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    set(params, path, &bytes)
}

/// [`load`] from the bytes in `path`.
fn set(params: &Params, path: &Path, bytes: &[u8]) -> Result<Vec<String>, Error> {
    let tensors: HashMap<String, Tensor> = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
        .map_err(|error| Error::Format { path: path.to_owned(), message: error.to_string() })?;
    for name in tensors.keys().filter(|name| !name.ends_with("num_batches_tracked")) {
        if !all(params).any(|param| param.name == *name) {
            return Err(Error::Unknown { path: path.to_owned(), name: name.clone() });
        }
    }
    let (mut fitting, mut left) = (Vec::new(), Vec::new());
    for param in all(params) {
        let Some(theirs) = tensors.get(&param.name) else {
            return Err(Error::Missing { path: path.to_owned(), name: param.name.clone() });
        };
        let ours = param.layout.to_torch(&param.var.as_detached_tensor())?;
        if theirs.dims() == ours.dims() {
            fitting.push((param, param.layout.from_torch(theirs)?));
        } else if is_classifier(params, &param.name) && theirs.dims().get(1..) == ours.dims().get(1..) {
            left.push(param.name.clone());
        } else {
            let (theirs, ours) = (theirs.dims().to_vec(), ours.dims().to_vec());
            return Err(Error::Shape { path: path.to_owned(), name: param.name.clone(), theirs, ours });
        }
    }
    for (param, value) in fitting {
        param.var.set(&value.to_dtype(param.var.dtype())?.to_device(param.var.device())?)?;
    }
    Ok(left)
}

fn all(params: &Params) -> impl Iterator<Item = &Param> {
    params.params.iter().chain(&params.buffers)
}

fn is_classifier(params: &Params, name: &str) -> bool {
    let of_block = |name: &str, block: &str| name.strip_prefix(block).is_some_and(|rest| rest.starts_with('.'));
    params.blocks.last().is_some_and(|block| of_block(name, &block.name))
}

#[cfg(test)]
mod tests {
    use super::{Error, load, save, set};
    use crate::nn::Net;
    use crate::nn::zoo::{ModelConfig, Shape};
    use allocation_counter::measure;
    use candle_core::{DType, Device};
    use proptest::prelude::*;
    use std::path::Path;

    fn net(hidden: &[usize], classes: usize, seed: u64) -> Net {
        let model: ModelConfig = serde_json::from_value(serde_json::json!({ "mlp": { "hidden": hidden } })).unwrap();
        let shape = Shape { channels: 1, height: 2, width: 3, classes };
        model.build(shape, seed, DType::F32, &Device::Cpu).unwrap()
    }

    fn values(net: &Net) -> Vec<Vec<f32>> {
        net.params.params.iter().map(|param| param.var.flatten_all().unwrap().to_vec1().unwrap()).collect()
    }

    #[test]
    fn weights_come_back_bit_for_bit_and_a_classifier_of_other_size_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        let saved = net(&[4], 5, 1);
        save(&saved.params, &path).unwrap();

        let other = net(&[4], 5, 2);
        assert_ne!(values(&saved), values(&other));
        assert!(load(&other.params, &path).unwrap().is_empty());
        assert_eq!(values(&saved), values(&other));

        let tuned = net(&[4], 7, 2);
        let start = values(&tuned);
        assert_eq!(load(&tuned.params, &path).unwrap(), ["fc2.weight", "fc2.bias"]);
        assert_eq!((&values(&tuned)[..2], &values(&tuned)[2..]), (&values(&saved)[..2], &start[2..]));
    }

    #[test]
    fn weights_of_another_net_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        save(&net(&[4], 5, 1).params, &path).unwrap();
        for (other, problem) in
            [(net(&[5], 5, 2), "shape"), (net(&[], 5, 2), "unknown"), (net(&[4, 5], 5, 2), "missing")]
        {
            let before = values(&other);
            let error = load(&other.params, &path).unwrap_err();
            let found = match error {
                Error::Shape { .. } => "shape",
                Error::Unknown { .. } => "unknown",
                Error::Missing { .. } => "missing",
                _ => "something else",
            };
            assert_eq!((found, before), (problem, values(&other)));
        }
        std::fs::write(&path, "not weights").unwrap();
        assert!(matches!(load(&net(&[4], 5, 1).params, &path), Err(Error::Format { .. })));
    }

    /// A file of weights, and a net that they fit.
    fn file() -> (Vec<u8>, Net) {
        let (folder, net) = (tempfile::tempdir().unwrap(), net(&[3], 2, 1));
        let path = folder.path().join("net.safetensors");
        save(&net.params, &path).unwrap();
        (std::fs::read(path).unwrap(), net)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// Of a file that is no longer read nothing is set; of one that is, its numbers alone may differ.
        #[test]
        fn a_mutated_file_is_read_or_refused(
            at: prop::sample::Index, with: u8, in_header: bool, digits in "[0-9]{0,20}", cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        ) {
            thread_local!(static FILE: (Vec<u8>, Net) = file());
            FILE.with(|(bytes, net)| {
                let mut bytes = bytes.clone();
                let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
                let at = at.index(if in_header { header } else { bytes.len() });
                bytes[at] = with;
                let end = bytes.len().min(at + digits.len());
                bytes[at..end].copy_from_slice(&digits.as_bytes()[..end - at]);
                if let Some(cut) = cut {
                    bytes.truncate(cut.index(bytes.len()));
                }
                let (before, mut set_all) = (values(net), false);
                let memory = measure(|| set_all = set(&net.params, Path::new("x"), &bytes).is_ok_and(|left| left.is_empty()));
                prop_assert!(memory.bytes_max < 1 << 16, "{} bytes", memory.bytes_max);
                let same = |a: &[Vec<f32>], b: &[Vec<f32>]| {
                    a.concat().iter().map(|x| x.to_bits()).eq(b.concat().iter().map(|x| x.to_bits()))
                };
                prop_assert!(set_all || same(&before, &values(net)));
                Ok(())
            })?;
        }
    }
}
