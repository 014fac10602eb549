//! Optical recognition of handwritten digits (Alpaydin & Kaynak 1998, UCI; CC BY 4.0): the 1,797 images of the test set, 8×8 with
//! 17 levels of grey, as scikit-learn ships them.
//!
//! `digits.bin.gz` holds a record of 65 bytes an image: the label, then 64 levels in row order. Levels 0–16 become bytes by
//! multiplication with 15, which loses nothing.

use std::io::Read;
use std::path::Path;

use super::{Error, Images, Kind, Pixels, Targets, gzip, split};

const RECORDS: &[u8] = include_bytes!("digits.bin.gz");
const LEVEL: u8 = 15;

/// Training and test images, split by class with a seed of their own.
pub fn read() -> Result<(Images, Images), Error> {
    let name = Path::new("digits");
    let mut records = Vec::new();
    gzip::unpacked(RECORDS).read_to_end(&mut records).map_err(Error::io(name))?;
    let shape = Kind::Digits.shape();
    let record = 1 + shape.bytes();
    let pixels = records.chunks_exact(record).flat_map(|record| &record[1..]).map(|level| level * LEVEL).collect();
    let images = Images {
        pixels: Pixels::Memory(pixels),
        labels: records.chunks_exact(record).map(|record| u16::from(record[0])).collect(),
        shape,
        targets: Targets::Classes,
        normalisation: Kind::Digits.normalisation(),
    };
    let (train, test) = split::stratified(&images, Kind::Digits.train_len(), "digits");
    Ok((images.select(&train), images.select(&test)))
}

#[cfg(test)]
mod tests {
    use super::LEVEL;

    #[test]
    fn seventeen_levels_of_grey_become_bytes_without_loss() {
        let (train, test) = super::read().unwrap();
        let levels: std::collections::BTreeSet<u8> = train.bytes().iter().chain(test.bytes()).copied().collect();
        assert_eq!(levels.into_iter().collect::<Vec<_>>(), (0..=16).map(|level| level * LEVEL).collect::<Vec<_>>());
    }
}
