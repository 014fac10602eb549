//! From the bytes of a file to tensors under the names that nets have.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};

use super::error::Error;
use super::pickle;
use crate::cause;

/// What a file holds.
pub struct Found {
    pub tensors: BTreeMap<String, Tensor>,
    /// The key of a checkpoint that they lie under.
    pub key: Option<String>,
    /// What all names began with.
    pub prefix: String,
}

/// How names begin where a net was wrapped, by `DistributedDataParallel` and by `torch.compile`.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// How names end that no parameter or running statistic has: counters of batches, and what profilers leave.
const IGNORED: [&str; 3] = ["num_batches_tracked", "total_ops", "total_params"];

/// Reads safetensors, or a PyTorch checkpoint, whatever the file is called.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Found, Error> {
    let (mut tensors, key) = if pickle::is_checkpoint(bytes) {
        let (tensors, key) = pickle::read(bytes, is_ignored).map_err(|fault| fault.of(path))?;
        (tensors, key)
    } else {
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
            .map_err(|error| Error::Format { path: path.to_owned(), message: cause::message(&error) })?;
        (tensors.into_iter().filter(|(name, _)| !is_ignored(name)).collect(), None)
    };
    let mut prefix = String::new();
    while let Some(wrapper) = shared(&tensors) {
        prefix.push_str(wrapper);
        tensors = tensors.into_iter().map(|(name, tensor)| (name[wrapper.len()..].to_owned(), tensor)).collect();
    }
    Ok(Found { tensors, key, prefix })
}

fn is_ignored(name: &str) -> bool {
    IGNORED.contains(&name.rsplit('.').next().unwrap_or(name))
}

/// The wrapper that all names begin with.
fn shared(tensors: &BTreeMap<String, Tensor>) -> Option<&'static str> {
    let mut wrappers = WRAPPERS.into_iter().filter(|_| !tensors.is_empty());
    wrappers.find(|wrapper| tensors.keys().all(|name| name.starts_with(wrapper)))
}
