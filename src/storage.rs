//! Files that appear complete or not at all, even if the machine loses power.

use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// A file in the folder of `path`, so that renaming is one step of the file system; it is gone again if writing fails. Readable
/// as any new file is: the default of temporary files is the owner alone.
///
/// # Errors
/// The folder is missing, or cannot be written to.
pub fn aside(path: &Path) -> io::Result<NamedTempFile> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(&format!(".{stem}-")).suffix(".part").tempfile_in(folder_of(path))
}

/// Gives a file written aside its name, when all of it is on the disk.
///
/// # Errors
/// The disk is full or fails.
pub fn put_in_place(aside: NamedTempFile, path: &Path) -> io::Result<()> {
    aside.as_file().sync_all()?;
    aside.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path))
}

/// The folder that holds `path`.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the renaming itself durable. Elsewhere than on Unix a folder cannot be opened, and need not be.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
