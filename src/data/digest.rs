//! Checksums of files.

use std::fmt::{self, Display, Write};
use std::io::{self, Read};

use md5::Md5;
use sha2::{Digest, Sha256};

/// A checksum in hexadecimal digits, by the algorithm that the owners of the file chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    Md5(&'static str),
    Sha256(&'static str),
}

impl Sum {
    /// Whether `reader` holds what this is the sum of.
    pub fn matches(self, reader: impl Read) -> io::Result<bool> {
        Ok(match self {
            Self::Md5(expected) => hex::<Md5>(reader)? == expected,
            Self::Sha256(expected) => hex::<Sha256>(reader)? == expected,
        })
    }
}

impl Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5(sum) => write!(f, "md5 {sum}"),
            Self::Sha256(sum) => write!(f, "sha256 {sum}"),
        }
    }
}

fn hex<D: Digest>(mut reader: impl Read) -> io::Result<String> {
    let mut digest = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => digest.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(text(&digest.finalize()))
}

/// The SHA-256 of what `reader` holds, in hexadecimal digits.
pub fn sha256(reader: impl Read) -> io::Result<String> {
    hex::<Sha256>(reader)
}

/// Hexadecimal digits.
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn sums_of_nothing_are_the_well_known_ones() {
        let nothing = Sum::Sha256("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert!(nothing.matches(&[][..]).unwrap() && !nothing.matches(&[0][..]).unwrap());
        assert!(Sum::Md5("d41d8cd98f00b204e9800998ecf8427e").matches(&[][..]).unwrap());
    }
}
