//! Archives: tar in gzip, and zip. Only folders and plain files are unpacked, and only below the folder they are meant for.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Component, Path, PathBuf};

use flate2::read::DeflateDecoder;
use flate2::{Crc, CrcReader};
use zip::CompressionMethod;

use super::gzip;
use crate::text::Shown;

/// Unpacks `archive` below `into`, by the ending of its name; `on_file` hears of every file.
pub fn unpack(archive: &Path, into: &Path, on_file: &mut dyn FnMut()) -> io::Result<()> {
    let reader = BufReader::new(File::open(archive)?);
    if archive.to_string_lossy().ends_with(".zip") { zip(reader, into, on_file) } else { tar_gz(reader, into, on_file) }
}

/// Whether `name` is that of an archive to unpack rather than of a file to keep.
pub fn is_archive(name: &str) -> bool {
    [".zip", ".tgz", ".tar.gz"].iter().any(|ending| name.ends_with(ending))
}

fn tar_gz(reader: impl BufRead, into: &Path, on_file: &mut dyn FnMut()) -> io::Result<()> {
    for entry in tar::Archive::new(gzip::unpacked(reader)).entries()? {
        let mut entry = entry?;
        let path = inside(into, &entry.path()?)?;
        match entry.header().entry_type() {
            tar::EntryType::Directory => std::fs::create_dir_all(path)?,
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                write(&path, &mut entry)?;
                on_file();
            }
            tar::EntryType::XGlobalHeader => {}
            other => return Err(refused(format!("`{}` is neither file nor folder ({other:?})", path.shown()))),
        }
    }
    Ok(())
}

/// The crate's own decompressor is switched off: that would change the crate for candle too. Raw bytes and ours do as well.
fn zip(reader: impl Read + Seek, into: &Path, on_file: &mut dyn FnMut()) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(reader)?;
    for i in 0..archive.len() {
        let mut entry = archive.by_index_raw(i)?;
        let name = entry.name()?.into_owned();
        let path = inside(into, Path::new(&name))?;
        if entry.is_dir() {
            std::fs::create_dir_all(path)?;
            continue;
        }
        if !entry.is_file() {
            return Err(refused(format!("`{name}` is neither file nor folder")));
        }
        let expected = (entry.crc32(), entry.size());
        if write(&path, content(&mut entry)?)? != expected {
            return Err(refused(format!("`{name}` is damaged")));
        }
        on_file();
    }
    Ok(())
}

/// What a file in a zip holds, no more than a byte longer than its header says.
pub fn content<'a, R: Read>(entry: &'a mut zip::read::ZipFile<'_, R>) -> io::Result<Box<dyn Read + 'a>> {
    if entry.encrypted() {
        return Err(refused(format!("`{}` is encrypted", entry.name()?)));
    }
    let limit = entry.size().saturating_add(1);
    match entry.compression() {
        CompressionMethod::Stored => Ok(Box::new(entry)),
        CompressionMethod::DEFLATE => Ok(Box::new(DeflateDecoder::new(entry).take(limit))),
        other => Err(refused(format!("`{}` is compressed by {other}", entry.name()?))),
    }
}

/// Writes a new file; its checksum (CRC-32) and length.
fn write(path: &Path, reader: impl Read) -> io::Result<(u32, u64)> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut reader = CrcReader::new(reader);
    // A name that comes twice would overwrite what was unpacked before.
    let mut file = File::create_new(path)?;
    let length = io::copy(&mut reader, &mut file)?;
    Ok((Crc::sum(reader.crc()), length))
}

/// `name` below `folder`, unless it leads out of it.
fn inside(folder: &Path, name: &Path) -> io::Result<PathBuf> {
    let mut path = folder.to_owned();
    for part in name.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(refused(format!("`{}` leads out of the folder", name.shown()))),
        }
    }
    Ok(path)
}

fn refused(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::{self as archives, tar_gz, unpack};
    use crate::random::Random;
    use allocation_counter::measure;
    use flate2::write::{DeflateEncoder, GzEncoder};
    use std::fs;
    use std::io::{Cursor, Write};
    use std::path::Path;
    use tar::{EntryType, Header};

    /// A tar in gzip, of entries whatever their names.
    fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(name, kind, content) in entries {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            bytes.extend(header.as_bytes());
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.resize(bytes.len() + 1024, 0);
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A zip of deflated files, whatever their names; `checksum` changes that of each.
    fn zip(entries: &[(&str, &[u8])], checksum: impl Fn(u32) -> u32) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, content) in entries {
            let mut crc = flate2::Crc::new();
            crc.update(content);
            let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content).unwrap();
            let packed = encoder.finish().unwrap();
            // Version 2.0, no flags, deflated, no time; then what both headers share.
            let mut shared = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
            for number in [checksum(crc.sum()), packed.len() as u32, content.len() as u32, name.len() as u32] {
                shared.extend(number.to_le_bytes());
            }
            let offset = bytes.len() as u32;
            bytes.extend([&b"PK\x03\x04"[..], &shared, name.as_bytes(), &packed].concat());
            let place = [&[0; 10][..], &offset.to_le_bytes()].concat();
            directory.extend([&b"PK\x01\x02\x14\x00"[..], &shared, &place, name.as_bytes()].concat());
        }
        let count = (entries.len() as u16).to_le_bytes();
        let (size, start) = ((directory.len() as u32).to_le_bytes(), (bytes.len() as u32).to_le_bytes());
        bytes.extend(directory);
        bytes.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size, &start, &[0, 0]].concat());
        bytes
    }

    /// Unpacks into `inner` of a new folder, and says what lies in the whole of it.
    fn unpacked(name: &str, archive: &[u8]) -> (std::io::Result<()>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let (path, inner) = (folder.path().join(name), folder.path().join("inner"));
        fs::create_dir(&inner).unwrap();
        fs::write(&path, archive).unwrap();
        let result = unpack(&path, &inner, &mut || {});
        fs::remove_file(&path).unwrap();
        let mut files = Vec::new();
        list(folder.path(), folder.path(), &mut files);
        files.sort();
        (result, files)
    }

    fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                list(root, &path, files);
            } else {
                files.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }

    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn files_and_folders_are_unpacked() {
        let entries = [("a/", EntryType::Directory, &b""[..]), ("./a/b/x.bin", FILE, &[7; 5000]), ("a/y", FILE, b"y")];
        let expected = ["inner/a/b/x.bin", "inner/a/y"];
        let (result, files) = unpacked("x.tar.gz", &tar(&entries));
        assert!(result.is_ok() && files == expected, "{result:?} {files:?}");
        let archive = zip(&[("a/", b""), ("a/b/x.bin", &[7; 5000]), ("a/y", b"y")], |sum| sum);
        let (result, files) = unpacked("x.zip", &archive);
        assert!(result.is_ok() && files == expected, "{result:?} {files:?}");
    }

    #[test]
    fn what_leads_out_of_the_folder_is_refused() {
        for name in ["../x", "a/../../x", "/tmp/nkfac-bench-x"] {
            let (result, files) = unpacked("x.tgz", &tar(&[(name, FILE, b"x")]));
            assert!(result.unwrap_err().to_string().contains("leads out of the folder") && files.is_empty());
            let (result, files) = unpacked("x.zip", &zip(&[(name, b"x")], |sum| sum));
            assert!(result.unwrap_err().to_string().contains("leads out of the folder") && files.is_empty());
            assert!(!Path::new("/tmp/nkfac-bench-x").exists());
        }
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Fifo] {
            let (result, files) = unpacked("x.tgz", &tar(&[("x", kind, b"")]));
            assert!(result.unwrap_err().to_string().contains("neither file nor folder") && files.is_empty());
        }
    }

    #[test]
    fn what_is_damaged_or_comes_twice_is_refused() {
        let damaged = zip(&[("x", b"some text")], |sum| sum ^ 1);
        assert!(unpacked("x.zip", &damaged).0.unwrap_err().to_string().ends_with("`x` is damaged"));
        assert!(unpacked("x.tgz", &tar(&[("x", FILE, b"1"), ("x", FILE, b"2")])).0.is_err());
        let whole = tar(&[("x", FILE, &[1; 9000])]);
        assert!(unpacked("x.tgz", &whole[..whole.len() / 2]).0.is_err());
        assert!(unpacked("x.tgz", b"").0.is_err() && unpacked("x.zip", b"").0.is_err());
    }

    #[test]
    fn a_name_is_not_allocated_as_far_as_its_header_claims() {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(1 << 40);
        header.set_cksum();
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(header.as_bytes()).unwrap();
        encoder.write_all(&[b'x'; 1000]).unwrap();
        let lying = encoder.finish().unwrap();
        let memory = measure(|| assert!(tar_gz(lying.as_slice(), Path::new("nowhere"), &mut || {}).is_err()));
        assert!(memory.bytes_max < MEMORY, "{} bytes", memory.bytes_max);
    }

    /// What unpacking small files takes: the memory of decoder and buffers.
    const MEMORY: u64 = 1 << 19;

    #[test]
    fn no_mutation_raises_a_panic_or_a_large_allocation_or_leaves_the_folder() {
        // In memory where there is such a place: on a disk 20,000 times a few files take minutes.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let inner = folder.path().join("inner");
        let plain = {
            let mut plain = Vec::new();
            let packed = tar(&[("a/x", FILE, &[7; 600]), ("b", FILE, b"y")]);
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut plain).unwrap();
            plain
        };
        let zip = zip(&[("a/x", &[7; 600]), ("b", b"y")], |sum| sum);
        let mut random = Random::new(1, "mutations");
        let mut most = 0;
        // 10,000 of each.
        for i in 0..20_000 {
            // Of gzip every change would be found by its checksum: the tar within is changed.
            let mut bytes = if i % 2 == 0 { plain.clone() } else { zip.clone() };
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
            let memory = if i % 2 == 0 {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::none());
                encoder.write_all(&bytes).unwrap();
                let packed = encoder.finish().unwrap();
                measure(|| drop(tar_gz(packed.as_slice(), &inner, &mut || {})))
            } else {
                measure(|| drop(archives::zip(Cursor::new(bytes), &inner, &mut || {})))
            };
            most = most.max(memory.bytes_max);
            let _ = fs::remove_dir_all(&inner);
        }
        assert!(most < MEMORY, "{most} bytes");
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    }
}
