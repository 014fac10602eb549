//! Weights in files, under PyTorch's names and in its layouts.
//!
//! Written as safetensors, which `load_state_dict` takes as they are; read from safetensors and from PyTorch's own checkpoints.

mod error;
mod fit;
mod pickle;
mod read;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;

use candle_core::{Device, Tensor};

pub use error::{Error, Misfit};
pub use fit::Anew;

use crate::param::{Param, Params};
use crate::text::Shown;

/// Writes every parameter and running statistic, whole or not at all.
pub fn save(params: &Params, path: &Path) -> Result<(), Error> {
    let named = |param: &Param| Ok((param.name.clone(), param.layout.to_torch(&param.var.as_detached_tensor())?));
    write(path, params.all().map(named).collect::<candle_core::Result<Vec<_>>>()?)
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

/// What is worth saying of weights that were loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The key of a checkpoint that they lie under.
    pub key: Option<String>,
    /// What all names begin with and are read without; mostly nothing.
    pub prefix: String,
    /// The classifier, if it is for another number of classes and was left as it is.
    pub anew: Option<Anew>,
}

impl Loaded {
    /// A line each.
    #[must_use]
    pub fn remarks(&self, path: &Path) -> Vec<String> {
        let path = path.shown();
        let key = self.key.as_ref().map(|key| format!("`{path}`: reading the tensors under `{key}`"));
        let prefix = Some(&self.prefix).filter(|prefix| !prefix.is_empty());
        let prefix = prefix.map(|prefix| format!("`{path}`: names are read without `{prefix}`"));
        let anew = self.anew.as_ref().map(|Anew { names, theirs, ours }| {
            format!("`{path}` has {theirs} classes, not {ours}: `{}` keep their initial values", names.join("` and `"))
        });
        key.into_iter().chain(prefix).chain(anew).collect()
    }
}

/// Sets every parameter and running statistic from a file, or none of them if anything in it does not fit.
///
/// One thing may differ, for fine-tuning: a classifier (the last block) for another number of classes is left at its start, weight and
/// bias together. Counters of batches, which PyTorch's norms keep, and what profilers leave are passed over.
pub fn load(params: &Params, path: &Path) -> Result<Loaded, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    set(params, path, &bytes)
}

/// [`load`] from the bytes in `path`.
fn set(params: &Params, path: &Path, bytes: &[u8]) -> Result<Loaded, Error> {
    let read::Found { tensors, key, prefix } = read::read(path, bytes)?;
    let (fitting, anew) = fit::fit(params, &tensors, path)?;
    for (param, value) in fitting {
        param.var.set(&value)?;
    }
    Ok(Loaded { key, prefix, anew })
}
