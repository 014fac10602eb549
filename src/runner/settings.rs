use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use candle_core::Device;

/// Where and on what trials are run.
#[derive(Debug)]
pub struct Settings {
    /// The folder of this experiment's results.
    pub folder: PathBuf,
    pub device: Device,
    /// `cpu`, `cuda:0`.
    pub device_name: String,
    pub threads: usize,
    /// Whether to write each trial's final parameters beside its result.
    pub save_weights: bool,
    /// Once this is true the running trial is saved and left, and no other is begun.
    pub stop: Arc<AtomicBool>,
    /// Run what was given up, too.
    pub retry: bool,
    /// The process that this one runs a trial for, and ends with.
    pub parent: Option<u32>,
}
