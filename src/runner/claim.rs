//! Who runs a trial: a lock of the operating system, which dies with its owner.
//!
//! What belongs to a trial that has not ended lies in `unfinished/<trial>/` in the results' folder: the lock, its checkpoints, and
//! how often it failed. Only the holder of the lock changes anything there, and all of it is removed when the trial has ended.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::machine;
use crate::experiment::Trial;
use crate::train;

/// The folder for what has not ended, in a folder of results.
pub const UNFINISHED: &str = "_unfinished";

const LOCK: &str = "lock";
const FAILURES: &str = "failures.json";

/// The trial's progress, for `watch`; `progress` writes it.
pub(super) const PROGRESS: &str = "progress.json";

/// A trial that this process, and no other, runs.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    lock: File,
}

/// What came of trying to claim a trial.
#[derive(Debug)]
pub enum Attempt {
    Ours(Claim),
    /// Another process has it.
    Taken(Holder),
}

/// Who has, or had, a trial. Written into the lock for people to read: the lock itself is the operating system's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    pub host: String,
    pub pid: u32,
    /// Seconds since 1970, UTC.
    pub since: f64,
    pub arm: String,
    /// The swept keys and their values here.
    pub swept: Vec<(String, serde_json::Value)>,
    /// The process that it runs the trial for, and ends with.
    pub parent: Option<u32>,
}

impl Holder {
    /// Whether it is about to leave the trial, because the process that it runs it for is gone from this machine.
    pub(super) fn is_orphan(&self) -> bool {
        let is_gone = |pid: u32| Path::new("/proc/self").exists() && !Path::new(&format!("/proc/{pid}")).exists();
        self.parent.is_some_and(is_gone) && self.host == machine::host()
    }
}

/// How often a trial took itself or its process down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    pub attempts: usize,
    /// What the last one said.
    pub message: String,
}

impl Claim {
    /// Tries to become the one who runs `trial`, for the process `parent` if for another.
    ///
    /// # Errors
    /// The results' folder cannot be written to.
    pub fn take(results: &Path, trial: &Trial, parent: Option<u32>) -> io::Result<Attempt> {
        let folder = folder(results, &trial.id);
        // A process that only looks holds the lock for a moment, and so does one that is about to remove it.
        let (mut refused, mut vanished) = (0, 0);
        while refused < 5 {
            let mut lock = match open(&folder) {
                // Others tidy up at the same time: between two calls the folder may go.
                Err(error) if has_vanished(&error) && vanished < 1000 => {
                    vanished += 1;
                    continue;
                }
                other => other?,
            };
            match lock.try_lock() {
                Ok(()) if is_at(&lock, &folder.join(LOCK)) => {
                    write_holder(&mut lock, trial, parent)?;
                    sweep_up(&folder)?;
                    return Ok(Attempt::Ours(Self { folder, lock }));
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    refused += 1;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(Attempt::Taken(holder(&folder)))
    }

    /// Where the trial's checkpoints go.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How often it failed so far.
    #[must_use]
    pub fn failures(&self) -> Failures {
        failures(&self.folder)
    }

    /// Counts one more failure; says how many there are now.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn fail(&self, message: &str) -> io::Result<usize> {
        let attempts = self.failures().attempts + 1;
        self.note(&Failures { attempts, message: message.to_owned() })?;
        Ok(attempts)
    }

    /// Leaves word of an error that is none of the trial's own: it does not count, because who mends what it names tries again.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn refuse(&self, message: &str) -> io::Result<()> {
        self.note(&Failures { message: message.to_owned(), ..self.failures() })
    }

    fn note(&self, failures: &Failures) -> io::Result<()> {
        fs::write(self.folder.join(FAILURES), serde_json::to_vec(failures)?)
    }

    /// Forgets that it failed.
    pub fn forgive(&self) {
        let _ = fs::remove_file(self.folder.join(FAILURES));
    }

    /// The trial has ended: nothing of it is left but its result. From the moment on in which the lock's file is gone the folder may be
    /// another's, so it is not looked at again.
    pub fn finish(self) {
        let _ = fs::remove_dir_all(&self.folder);
        remove_if_empty(self.folder.parent());
        drop(self.lock);
    }

    /// Leaves the trial, with its checkpoints, to the next process.
    pub fn release(self) {
        let is_worthless = |entry: io::Result<fs::DirEntry>| {
            entry.is_ok_and(|entry| [LOCK, PROGRESS].iter().any(|name| entry.file_name() == *name))
        };
        if fs::read_dir(&self.folder).is_ok_and(|mut entries| entries.all(is_worthless)) {
            let _ = fs::remove_dir_all(&self.folder);
        }
        remove_if_empty(self.folder.parent());
        drop(self.lock);
    }
}

/// The lock's file in a trial's folder; both are made if they are not there.
fn open(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(LOCK))
}

/// A folder that was there when it was to be made, and gone when it was looked at, is one of both kinds.
fn has_vanished(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
}

fn remove_if_empty(unfinished: Option<&Path>) {
    if let Some(unfinished) = unfinished {
        // Fails while there are others in it.
        let _ = fs::remove_dir(unfinished);
    }
}

/// Removes the folder of a trial that no process runs; returns whether it is gone.
///
/// # Errors
/// It cannot be removed.
pub fn discard(folder: &Path) -> io::Result<bool> {
    let path = folder.join(LOCK);
    let lock = match OpenOptions::new().write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other?),
    };
    // Under the lock, so that no process begins in the middle of it.
    let free = lock.as_ref().is_none_or(|lock| lock.try_lock().is_ok() && is_at(lock, &path));
    if free {
        fs::remove_dir_all(folder)?;
        remove_if_empty(folder.parent());
    }
    Ok(free)
}

/// The folder of a trial that has not ended.
#[must_use]
pub fn folder(results: &Path, trial: &str) -> PathBuf {
    results.join(UNFINISHED).join(trial)
}

/// Whether a process runs the trial of this folder.
#[must_use]
pub fn is_held(folder: &Path) -> bool {
    // A shared lock, so that two who look do not see each other.
    File::open(folder.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Who has, or had, the trial of this folder.
#[must_use]
pub fn holder(folder: &Path) -> Holder {
    fs::read(folder.join(LOCK)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// How often the trial of this folder failed.
#[must_use]
pub fn failures(folder: &Path) -> Failures {
    fs::read(folder.join(FAILURES)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn write_holder(lock: &mut File, trial: &Trial, parent: Option<u32>) -> io::Result<()> {
    let holder = Holder {
        host: machine::host(),
        pid: std::process::id(),
        since: machine::now(),
        arm: trial.arm.clone(),
        swept: trial.swept.clone(),
        parent,
    };
    let mut old = Vec::new();
    lock.read_to_end(&mut old)?;
    lock.rewind()?;
    lock.set_len(0)?;
    lock.write_all(&serde_json::to_vec(&holder)?)
}

/// Removes what a process that was killed had begun to write.
fn sweep_up(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_known =
            path.file_name().is_some_and(|name| [LOCK, FAILURES, PROGRESS].iter().any(|known| name == *known))
                || path.extension().is_some_and(|extension| extension == train::EXTENSION);
        if !is_known {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Whether the open file is still the one of that name: it may have been removed, and made again by another.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let key = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let open = key(file.metadata());
    open.is_some() && open == key(fs::metadata(path))
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}
