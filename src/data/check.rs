//! Looks at all that a data set consists of: checksums of its files, counts, classes, and whether every image can be decoded.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{Broken, DataConfig, Dataset, Error, Images, Kind, Pixels, Sum, gzip, source};

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// Files that have a published checksum, and whether they match it.
    pub sums: Vec<(PathBuf, bool)>,
    pub train: Balance,
    pub test: Balance,
    /// Image files that cannot be read or decoded, in order of their names.
    pub broken: Vec<Broken>,
}

impl Report {
    /// Whether nothing was found to be wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.broken.is_empty() && self.sums.iter().all(|(_, matches)| *matches)
    }
}

/// How many images there are, and in the smallest and the largest class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    pub images: usize,
    pub classes: usize,
    pub fewest: usize,
    pub most: usize,
}

impl Balance {
    fn of(images: &Images) -> Self {
        let mut counts = vec![0; images.shape.classes];
        for &label in &images.labels {
            counts[usize::from(label)] += 1;
        }
        let (fewest, most) =
            counts.iter().fold((usize::MAX, 0), |(few, many), &count| (few.min(count), many.max(count)));
        Self { images: images.len(), classes: counts.len(), fewest, most }
    }
}

/// Checks `kind` in `folder`; `on_image` hears how many image files are decoded.
///
/// # Errors
/// Files are missing, unreadable, of another format or number than published.
pub fn check(kind: Kind, folder: &Path, on_image: &(dyn Fn(usize, usize) + Sync)) -> Result<Report, Error> {
    let config = DataConfig { skip_broken: true, ..DataConfig::all(kind) };
    let set = Dataset::load(&config, folder)?;
    let (Some(train_images), Some(test_images)) = (set.train.images(), set.test.images()) else {
        return Err(Error::NoFiles { set: kind.name() });
    };
    let (train, test) = (Balance::of(train_images), Balance::of(test_images));
    let done = AtomicUsize::new(0);
    let mut broken = Vec::new();
    for images in [train_images, test_images] {
        let on_image = || on_image(done.fetch_add(1, Ordering::Relaxed) + 1, train.images + test.images);
        broken.extend(unreadable(images, &on_image)?);
    }
    broken.extend(set.broken());
    broken.sort();
    Ok(Report { sums: sums(kind, folder)?, train, test, broken })
}

/// Compares with the published checksums; of a file that is packed, what is in it.
fn sums(kind: Kind, folder: &Path) -> Result<Vec<(PathBuf, bool)>, Error> {
    let place = kind.place(folder);
    let files = kind.source().into_iter().flat_map(|source| source.files);
    let known: Vec<(&str, Sum)> = files.filter_map(|(file, sum)| Some((*file, (*sum)?))).collect();
    let compare = |&(file, sum): &(&str, Sum)| {
        let path = source::find(&place, file).unwrap_or_else(|| place.join(file));
        let matches = gzip::open(&path).and_then(|reader| sum.matches(reader)).map_err(Error::io(&path))?;
        Ok((path, matches))
    };
    known.par_iter().map(compare).collect()
}

/// Decodes every image file, and lists those that cannot even be read; the set lists those that cannot be decoded.
fn unreadable(images: &Images, on_image: &(dyn Fn() + Sync)) -> Result<Vec<Broken>, Error> {
    let Pixels::Files(files) = &images.pixels else { return Ok(Vec::new()) };
    let look = |i| {
        let decoded = files.decode(i);
        on_image();
        match decoded {
            Ok(_) => Ok(None),
            Err(Error::Io { path, source }) => Ok(Some(Broken { path, reason: source.to_string() })),
            Err(error) => Err(error),
        }
    };
    (0..images.len()).into_par_iter().map(look).filter_map(Result::transpose).collect()
}

#[cfg(test)]
mod tests {
    use super::{Balance, Pixels, check, unreadable};
    use crate::data::{Kind, folder};
    use std::path::Path;

    #[test]
    fn files_that_cannot_be_read_are_listed_and_end_no_check() {
        let folder = tempfile::tempdir().unwrap();
        crate::data::folder::tests::imagenette(folder.path(), 2);
        let gone = [folder.path().join("train/n00000001/1.JPEG"), folder.path().join("train/n00000003/0.JPEG")];
        let (mut train, _) = folder::read(Kind::Imagenette, folder.path()).unwrap();
        assert_eq!(unreadable(&train, &|| {}).unwrap(), []);
        for path in &gone {
            std::fs::remove_file(path).unwrap();
        }
        std::fs::write(folder.path().join("train/n00000002/1.JPEG"), "no image").unwrap();
        assert!(unreadable(&train, &|| {}).is_err());
        if let Pixels::Files(files) = &mut train.pixels {
            files.skip_broken = true;
        }
        let found: Vec<_> = unreadable(&train, &|| {}).unwrap().into_iter().map(|broken| broken.path).collect();
        assert_eq!(found, gone);
    }

    #[test]
    fn sets_without_files_are_balanced() {
        let report = check(Kind::Synthetic, Path::new("nowhere"), &|_, _| {}).unwrap();
        assert_eq!(report.train, Balance { images: 2000, classes: 10, fewest: 200, most: 200 });
        assert!(report.is_good() && report.sums.is_empty());
        let digits = check(Kind::Digits, Path::new("nowhere"), &|_, _| {}).unwrap();
        assert!(digits.train.fewest < digits.train.most);
    }
}
