//! Censuses remembered: decoding all images takes as long as an epoch, and a folder mostly is as it was.
//!
//! A census is kept under a name that is made of the path, of what was asked, and of names, sizes and times of change of all files. A file
//! that was changed a moment ago may be changed again without another time: of such data nothing is kept.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::Census;
use crate::data::{DataConfig, cache, digest};
use crate::storage;

/// Times of change are no finer than this on some file systems.
const MOMENT: Duration = Duration::from_secs(2);

/// What data are remembered under; nothing if they were changed a moment ago, or if their files have no times.
pub fn stamp(config: &DataConfig, files: &[(PathBuf, PathBuf)]) -> Option<String> {
    let now = SystemTime::now();
    let mut stamp = Sha256::new();
    let path = std::fs::canonicalize(config.path.as_deref()?).ok()?;
    stamp.update(path.as_os_str().as_encoded_bytes());
    stamp.update(format!(
        "\0{}\0{:?}\0{:?}\0{:?}\0{}\0",
        config.kind.name(),
        config.target,
        config.size,
        config.test,
        env!("CARGO_PKG_VERSION")
    ));
    for (name, path) in files {
        let metadata = std::fs::metadata(path).ok()?;
        let changed = metadata.modified().ok()?;
        if now.duration_since(changed).is_ok_and(|age| age < MOMENT) {
            return None;
        }
        stamp.update(name.as_os_str().as_encoded_bytes());
        stamp.update(format!("\0{}\0{changed:?}\0", metadata.len()));
    }
    Some(digest::text(&stamp.finalize()))
}

/// The census under `stamp`, if there is one.
pub fn recall(stamp: &str) -> Option<Census> {
    serde_json::from_slice(&std::fs::read(place(stamp)?).ok()?).ok()
}

/// Keeps a census. That it cannot be kept is no harm: it is taken again.
pub fn keep(stamp: &str, census: &Census) {
    let Some(path) = place(stamp) else { return };
    let _ = write(&path, census);
}

fn write(path: &Path, census: &Census) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut aside = storage::aside(path)?;
    aside.write_all(&serde_json::to_vec(census)?)?;
    storage::put_in_place(aside, path)
}

fn place(stamp: &str) -> Option<PathBuf> {
    Some(cache()?.join("census").join(format!("{stamp}.json")))
}
