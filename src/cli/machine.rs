//! The device and the threads that everything computes with.

use anyhow::{Context, bail};
use candle_core::Device;

/// `cpu`, `cuda` or `cuda:N`.
pub fn device(name: &str) -> anyhow::Result<Device> {
    let ordinal = match name.split_once(':').unwrap_or((name, "0")) {
        ("cpu", "0") => return Ok(Device::Cpu),
        ("cuda", ordinal) => ordinal.parse().ok(),
        _ => None,
    };
    let Some(ordinal) = ordinal else { bail!("unknown device `{name}`\nhint: cpu, cuda or cuda:N") };
    check_cuda(name)?;
    Device::new_cuda(ordinal).with_context(|| format!("cannot use the device `{name}`"))
}

/// Refuses a CUDA device where the program cannot use any.
pub fn check_cuda(name: &str) -> anyhow::Result<()> {
    if !candle_core::utils::cuda_is_available() {
        bail!("this program was built without CUDA\nhint: cargo run --release --features cuda -- run … --device {name}")
    }
    Ok(())
}

/// As many as there are cores, unless fewer or more were asked for.
pub fn wanted(threads: Option<u16>) -> usize {
    threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// `cuda` and `cuda:0` are one device and get one name.
pub fn device_name(name: &str) -> &str {
    if name == "cuda" { "cuda:0" } else { name }
}

/// Sets up the threads that everything computes with. This one is among them, so that the hundreds of small tasks of a step wake
/// nobody.
pub fn start(threads: usize) -> anyhow::Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread();
    pool.build_global().context("cannot start the threads")
}
