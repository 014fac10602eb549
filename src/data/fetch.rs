//! Getting a data set: downloaded or copied, compared with its published checksum, unpacked beside its place and only then moved there.
//!
//! All that is not finished lies in `.fetch` within the data folder, where the next attempt goes on with it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::digest::Sum;
use super::download::download;
use super::source::{self, Archive, Source};
use super::unpack::{is_archive, unpack};
use super::{Error, Kind};

/// How far a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Another process is fetching the same set into the same folder.
    Waiting,
    Downloading {
        name: &'a str,
        done: u64,
        total: Option<u64>,
    },
    Comparing {
        name: &'a str,
    },
    /// So many files so far.
    Unpacking {
        name: &'a str,
        files: usize,
    },
}

/// What a fetch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Fetched,
    /// All files were there.
    Found,
}

/// Gets `kind` from its official source, or from the address or folder `from` that has files of the same names, into `folder`.
///
/// # Errors
/// The set needs no files or cannot be had without a login; a server or a disk fails; a file is not the published one.
pub fn fetch(
    kind: Kind,
    from: Option<&str>,
    folder: &Path,
    on_progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome, Error> {
    let source = kind.source().ok_or(Error::NoFiles { set: kind.name() })?;
    if kind == Kind::Imagenet {
        return Err(Error::ByHand { folder: folder.join(source.folder) });
    }
    fetch_source(kind.name(), source, from, folder, on_progress)
}

/// The same for a source that is given.
///
/// # Errors
/// As for [`fetch`].
pub fn fetch_source(
    name: &str,
    source: &Source,
    from: Option<&str>,
    folder: &Path,
    on_progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome, Error> {
    // A folder for each set: two of them may name their files alike.
    let (place, work) = (folder.join(source.folder), folder.join(".fetch").join(name));
    if !work.exists() && missing_in(source, &place).is_none() {
        return Ok(Outcome::Found);
    }
    let all = folder.join(".fetch");
    fs::create_dir_all(&all).map_err(Error::writing(&all))?;
    let _lock = lock(&all.join(format!("{name}.lock")), on_progress)?;
    match missing_in(source, &place) {
        None => {
            remove(&work)?;
            return Ok(Outcome::Found);
        }
        Some(file) if place.exists() => return Err(Error::Incomplete { place, file }),
        Some(_) => fs::create_dir_all(&work).map_err(Error::writing(&work))?,
    }
    for archive in source.archives {
        get(source, archive, from.unwrap_or(source.url), &work, on_progress)?;
    }
    let fresh = work.join("new");
    make(source, &work, &fresh, on_progress)?;
    fs::rename(fresh.join(source.folder), &place).map_err(Error::writing(&place))?;
    remove(&work)?;
    Ok(Outcome::Fetched)
}

/// Makes the set's folder in `fresh` from the archives in `work`, which stay until it has its place.
fn make(source: &Source, work: &Path, fresh: &Path, on_progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), Error> {
    remove(fresh)?;
    let inner = fresh.join(source.folder);
    fs::create_dir_all(fresh).map_err(Error::writing(fresh))?;
    for archive in source.archives {
        let path = work.join(archive.name);
        if is_archive(archive.name) {
            let mut files = 0;
            let mut on_file = || {
                files += 1;
                on_progress(Progress::Unpacking { name: archive.name, files });
            };
            unpack(&path, fresh, &mut on_file).map_err(|error| Error::broken(&path, error.to_string()))?;
        } else {
            fs::create_dir_all(&inner).map_err(Error::writing(&inner))?;
            fs::copy(&path, inner.join(archive.name)).map_err(Error::writing(&inner))?;
        }
    }
    match missing_in(source, &inner) {
        Some(file) => Err(Error::broken(fresh, format!("`{}/{file}` was not in the archive", source.folder))),
        None => Ok(()),
    }
}

/// Removes a file or a folder with all that is in it, if it is there.
fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::writing(path)(error)),
        _ => Ok(()),
    }
}

/// The first file of the set that is not in `folder`, nor in the set's own folder in it.
#[must_use]
pub fn missing(source: &Source, folder: &Path) -> Option<&'static str> {
    missing_in(source, &source.place(folder))
}

fn missing_in(source: &Source, place: &Path) -> Option<&'static str> {
    source.files.iter().map(|(file, _)| *file).find(|file| source::find(place, file).is_none())
}

/// Held until it is dropped, or until its process ends, however that ends. The file itself stays: removing it would let a third
/// process lock another file of its name.
fn lock(path: &Path, on_progress: &mut dyn FnMut(Progress<'_>)) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::writing(path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            on_progress(Progress::Waiting);
            file.lock().map_err(Error::writing(path))?;
        }
        Err(TryLockError::Error(error)) => return Err(Error::writing(path)(error)),
    }
    Ok(file)
}

/// Brings `work/<name>` about, whose checksum is right. Its beginning may be there from an earlier attempt, in `<name>.part`.
fn get(
    source: &Source,
    archive: &Archive,
    from: &str,
    work: &Path,
    on_progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    let (whole, part) = (work.join(archive.name), work.join(format!("{}.part", archive.name)));
    if whole.exists() {
        return Ok(());
    }
    let begun = part.exists();
    for resumed in [begun, false] {
        bring(archive, from, &part, on_progress)?;
        on_progress(Progress::Comparing { name: archive.name });
        if is_published(source, archive, &part).map_err(Error::io(&part))? {
            return fs::rename(&part, &whole).map_err(Error::writing(&whole));
        }
        // What came is not to be gone on with.
        remove(&part)?;
        // The beginning may have been of something else: once more as a whole.
        if !resumed {
            break;
        }
    }
    Err(Error::Checksum { name: archive.name, from: from.to_owned(), sum: archive.sum })
}

/// Downloads or copies the archive to `part`.
fn bring(archive: &Archive, from: &str, part: &Path, on_progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), Error> {
    let name = archive.name;
    if !from.contains("://") {
        let path = Path::new(from).join(name);
        let mut file = File::open(&path).map_err(Error::io(&path))?;
        let mut copy = File::create(part).map_err(Error::writing(part))?;
        return io::copy(&mut file, &mut copy).map(|_| ()).map_err(Error::writing(part));
    }
    let url = format!("{}/{name}", from.trim_end_matches('/'));
    // The published size is given in round numbers here and there, and a mirror may pack otherwise.
    let most = archive.bytes.saturating_mul(2).saturating_add(1 << 20);
    let mut on_bytes = |done, total| on_progress(Progress::Downloading { name, done, total });
    download(&url, part, most, &mut on_bytes).map_err(|failure| Error::Download { url, failure })
}

/// Whether the file is the published one, or gzip around the published content: mirrors pack anew.
fn is_published(source: &Source, archive: &Archive, path: &Path) -> io::Result<bool> {
    let open = || File::open(path).map(io::BufReader::new);
    if archive.sum.matches(open()?)? {
        return Ok(true);
    }
    let content = archive.name.strip_suffix(".gz").and_then(|name| sum_of(source, name));
    // That it cannot be unpacked only says that it is not the published one.
    content.map_or(Ok(false), |sum| Ok(sum.matches(MultiGzDecoder::new(open()?)).unwrap_or(false)))
}

fn sum_of(source: &Source, name: &str) -> Option<Sum> {
    source.files.iter().find(|(file, _)| *file == name).and_then(|(_, sum)| *sum)
}
