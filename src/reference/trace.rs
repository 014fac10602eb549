//! A trace file: tensors by name, and the recorded settings.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::Error;
use crate::text::Shown;

/// An open trace.
pub struct Trace {
    path: String,
    tensors: HashMap<String, Tensor>,
    /// The metadata entry `spec`, JSON.
    pub spec: Option<String>,
    /// Where the tensors are.
    pub device: Device,
}

impl Trace {
    /// Reads the whole file to `device`.
    pub fn open(path: &Path, device: &Device) -> Result<Self, Error> {
        let shown = path.shown();
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(shown, &bytes, device),
            Err(error) => Err(Error::Trace { path: shown, message: error.to_string() }),
        }
    }

    /// The trace in the bytes of the file `path`.
    pub fn parse(path: String, bytes: &[u8], device: &Device) -> Result<Self, Error> {
        let metadata = match safetensors::SafeTensors::read_metadata(bytes) {
            Ok((_, metadata)) => metadata,
            Err(error) => return Err(Error::Trace { path, message: format!("not a safetensors file: {error}") }),
        };
        let spec = metadata.metadata().as_ref().and_then(|entries| entries.get("spec").cloned());
        let tensors = candle_core::safetensors::load_buffer(bytes, device)?;
        Ok(Self { path, tensors, spec, device: device.clone() })
    }

    /// The tensor `name`; an error if the trace has none.
    pub fn get(&self, name: &str) -> Result<&Tensor, Error> {
        self.find(name).ok_or_else(|| self.error(format!("no tensor `{name}`")))
    }

    /// The tensor `name`, if the trace has it.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Names under `prefix`, with what follows it, sorted.
    pub fn under<'a>(&'a self, prefix: &'a str) -> Vec<&'a str> {
        let mut names: Vec<&str> = self.tensors.keys().filter_map(|name| name.strip_prefix(prefix)).collect();
        names.sort_unstable();
        names
    }

    /// Images `name`, recorded `N×C×H×W`, as `N×H×W×C`.
    pub fn images(&self, name: &str, dtype: DType) -> Result<Tensor, Error> {
        Ok(self.get(name)?.to_dtype(dtype)?.permute((0, 2, 3, 1))?.contiguous()?)
    }

    /// Inputs `name`: images, or `N×T` tokens as whole numbers.
    pub fn inputs(&self, name: &str, dtype: DType) -> Result<Tensor, Error> {
        if self.get(name)?.rank() == 2 { self.labels(name) } else { self.images(name, dtype) }
    }

    /// Labels `name` as whole numbers.
    pub fn labels(&self, name: &str) -> Result<Tensor, Error> {
        Ok(self.get(name)?.to_dtype(DType::U32)?)
    }

    /// An error about this file.
    pub fn error(&self, message: String) -> Error {
        Error::Trace { path: self.path.clone(), message }
    }
}
