//! gzip (RFC 1952) as it comes: of one member or several, with zeros behind them, or not packed at all whatever a name says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

/// What a file holds, unpacked if it is packed.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut reader = BufReader::new(File::open(path)?);
    let packed = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if packed { Box::new(unpacked(reader)) } else { Box::new(reader) })
}

/// What all members hold, one behind the other.
pub fn unpacked(reader: impl BufRead) -> impl Read {
    Members(Some(GzDecoder::new(reader)))
}

/// The member that is being read; none behind the last.
struct Members<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(ended) = self.0.take() else { break };
            let mut reader = ended.into_inner();
            if skip_zeros(&mut reader)? {
                self.0 = Some(GzDecoder::new(reader));
            }
        }
        Ok(0)
    }
}

/// Passes over zeros, with which tapes and blocks are filled; whether anything is behind them.
fn skip_zeros(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = reader.fill_buf()?;
        let (zeros, all) = (buffer.iter().take_while(|&&byte| byte == 0).count(), buffer.len());
        reader.consume(zeros);
        if zeros < all || all == 0 {
            return Ok(all > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{open, unpacked};
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;
    use std::io::{BufReader, Read, Write};

    fn member(bytes: &[u8]) -> Vec<u8> {
        let builder = GzBuilder::new().filename("name").comment("comment").extra([1, 2, 3]).mtime(7);
        let mut encoder = builder.write(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(packed: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // A small buffer, so that members and zeros lie across its ends.
        unpacked(BufReader::with_capacity(5, packed)).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn what_is_behind_the_members_is_zeros_or_an_error() {
        let two = [member(b"one "), member(b"two")].concat();
        assert_eq!(read(&two).unwrap(), b"one two");
        assert_eq!(read(&[two.as_slice(), &[0; 600]].concat()).unwrap(), b"one two");
        assert_eq!(read(&[member(b"one "), vec![0; 7], member(b"two")].concat()).unwrap(), b"one two");
        assert!(read(&[two.as_slice(), b"rubbish"].concat()).is_err());
        assert!(read(&two[..two.len() - 1]).is_err() && read(b"").is_err());
    }

    #[test]
    fn what_is_in_a_file_decides_and_not_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("x.gz", b"plain".to_vec()), ("x", member(b"plain")), ("empty", Vec::new())] {
            let path = folder.path().join(name);
            std::fs::write(&path, &content).unwrap();
            let mut bytes = Vec::new();
            open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, if content.is_empty() { b"".as_slice() } else { b"plain" });
        }
    }

    proptest! {
        #[test]
        fn members_of_any_length_are_read_one_after_the_other(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5)) {
            prop_assert_eq!(read(&parts.iter().flat_map(|part| member(part)).collect::<Vec<_>>()).unwrap(), parts.concat());
        }
    }
}
