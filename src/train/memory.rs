//! Peak resident memory of this process, where the system tells.

use std::fs;

/// Starts a new peak, so that one trial's does not hide in an earlier one's. Where this cannot be done the peak is the process's.
pub fn reset_peak() {
    // Linux: writing 5 sets VmHWM back to the present size (proc(5)).
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The peak since the last reset, in bytes; `None` where the system does not tell.
pub fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
