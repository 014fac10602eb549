//! A checksum inside of a Parquet file, so that nothing of a damaged one is decoded: one wrong length would ask for more memory than
//! there is.
//!
//! Readers find the footer from the end of the file and everything else from the footer, so bytes between the data and the footer are
//! seen by nobody else. There stand a mark and the SHA-256 of all other bytes.

use sha2::{Digest, Sha256};

const MARK: &[u8; 8] = b"nkfacpq1";
const LENGTH: usize = MARK.len() + 32;
/// The footer's length and the magic number behind it.
const TAIL: usize = 8;

/// The file with its seal; `None` if it is no Parquet file.
pub fn seal(parquet: &[u8]) -> Option<Vec<u8>> {
    let (data, footer) = parquet.split_at(footer_start(parquet)?);
    Some([data, MARK, &digest(data, footer), footer].concat())
}

/// That the file is as it was when it was sealed.
///
/// # Errors
/// It is not, or was never sealed: says so.
pub fn check(parquet: &[u8]) -> Result<(), String> {
    const FOREIGN: &str = "it is cut short, damaged, or not written by this program";
    let footer = footer_start(parquet).ok_or(FOREIGN)?;
    let start = footer.checked_sub(LENGTH).ok_or(FOREIGN)?;
    let (mark, checksum) = parquet[start..footer].split_at(MARK.len());
    if mark != MARK {
        return Err(FOREIGN.into());
    }
    if digest(&parquet[..start], &parquet[footer..]) != checksum {
        return Err("its checksum is wrong: it is damaged".into());
    }
    Ok(())
}

fn digest(data: &[u8], footer: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(data).chain_update(footer).finalize().into()
}

/// Where the footer begins: `… footer, its length in four bytes, "PAR1"`.
fn footer_start(parquet: &[u8]) -> Option<usize> {
    let tail = parquet.len().checked_sub(TAIL)?;
    let (length, magic) = parquet[tail..].split_at(4);
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    if magic != b"PAR1" { None } else { tail.checked_sub(length) }
}
