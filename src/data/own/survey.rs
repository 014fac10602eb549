//! A census taken: what lies at a path is counted, measured and remembered.

use std::path::Path;

use super::measure::{self, Decoded, Measured};
use super::{Census, Parts, checksum, look, memo};
use crate::data::{Broken, DataConfig, Error, Images, Kind, Shape, Targets, text};
use crate::text::Shown;

/// Told of data, their files and bytes before they are counted.
pub type OnCount = fn(&Path, usize, u64);

/// Bytes that take long enough for a line.
const LONG: u64 = 1 << 26;

/// Counts and measures the data that `config` names, unless that was done before.
///
/// # Errors
/// There are no such data, or not enough of them; a file is none of its kind; an image cannot be decoded, and is not to be left out.
pub fn survey(config: &DataConfig, on_count: Option<OnCount>) -> Result<Census, Error> {
    // Threads of its own: how many a run computes with is chosen after its experiment is read.
    let threads = rayon::ThreadPoolBuilder::new().build();
    let threads = threads.map_err(|error| Error::io(Path::new("threads"))(std::io::Error::other(error)))?;
    threads.install(|| take(config, on_count))
}

fn take(config: &DataConfig, on_count: Option<OnCount>) -> Result<Census, Error> {
    if config.kind.is_text() {
        return of_text(config);
    }
    let found = look(config)?;
    let files = found.files();
    let stamp = memo::stamp(config, &files);
    let census = match stamp.as_deref().and_then(memo::recall) {
        Some(census) => census,
        None => {
            let bytes = files.iter().filter_map(|(_, path)| Some(std::fs::metadata(path).ok()?.len())).sum();
            if let (Some(path), Some(tell)) = (config.path.as_deref(), on_count.filter(|_| bytes >= LONG)) {
                tell(path, files.len(), bytes);
            }
            let (sum, passed, remarks) = (checksum(&files)?, found.passed(), found.remarks());
            let census = Census { stamp, passed, ..measured(found.read(config)?, config, sum, remarks)? };
            if let Some(stamp) = &census.stamp {
                memo::keep(stamp, &census);
            }
            census
        }
    };
    match census.broken.as_slice() {
        [first, others @ ..] if !config.skip_broken => Err(undecodable(first, others)),
        _ => Ok(census),
    }
}

/// Whether the data that `config` names are still those of `census`. Data that cannot be read are named by whoever loads them.
#[must_use]
pub fn unchanged(config: &DataConfig, census: &Census) -> bool {
    let Ok(found) = look(config) else { return true };
    let files = found.files();
    let looks_the_same = census.stamp.is_some() && census.stamp == memo::stamp(config, &files);
    looks_the_same || checksum(&files).map_or(true, |sum| sum == census.sum)
}

/// A text is read as fast as it would be recalled.
fn of_text(config: &DataConfig) -> Result<Census, Error> {
    let text::Parts { train, test, names } = text::own(config.path.as_deref().unwrap_or(Path::new("")), config.cut())?;
    Ok(Census {
        sum: checksum(&look(config)?.files())?,
        shape: Shape { channels: 0, height: 0, width: 0, classes: names.len() },
        train: train.len(),
        test: test.len(),
        classes: names,
        mean: Vec::new(),
        deviation: Vec::new(),
        input_range: [0.0, 1.0],
        target_range: [0.0, 1.0],
        broken: Vec::new(),
        passed: None,
        remarks: Vec::new(),
        stamp: None,
    })
}

fn measured(parts: Parts, config: &DataConfig, sum: String, mut remarks: Vec<String>) -> Result<Census, Error> {
    let Parts { mut train, mut test, classes } = parts;
    for images in [&mut train, &mut test] {
        config.target.set(images);
    }
    let path = config.path.as_deref().unwrap_or(Path::new(""));
    remarks.extend(balanced(path, &train, &test, &classes)?);
    let Decoded { shape, measured, broken } = match config.kind {
        Kind::Folder => measure::files(&train, &test, config.size)?,
        _ => Decoded { shape: train.shape, measured: measure::memory(&train), broken: Vec::new() },
    };
    if !broken.is_empty() && broken.len() == train.len() + test.len() {
        return Err(undecodable(&broken[0], &broken[1..]));
    }
    let Measured { mean, deviation } = measured;
    let (input_range, target_range) = (measure::inputs([&train, &test]), measure::targets([&train, &test]));
    let (train, test) = (train.len(), test.len());
    Ok(Census {
        sum,
        shape,
        train,
        test,
        classes,
        mean,
        deviation,
        input_range,
        target_range,
        broken,
        passed: None,
        remarks,
        stamp: None,
    })
}

const HINT: &str = "at least two classes are needed, and an example of one of them to test on";

/// What is worth saying of classes that have no images in a part.
fn balanced(path: &Path, train: &Images, test: &Images, classes: &[String]) -> Result<Vec<String>, Error> {
    let mut remarks = Vec::new();
    let are_whole = |images: &Images| match &images.targets {
        Targets::Values(values) => values.iter().all(|value| value.fract() == 0.0),
        Targets::Classes | Targets::Input => false,
    };
    if are_whole(train) && are_whole(test) {
        let remark = "targets are floats, so numbers to be given, but all are whole: y.astype(\"int64\") makes classes";
        remarks.push(remark.to_owned());
    }
    for (part, images) in [("train", train), ("test", test)] {
        if images.is_empty() {
            return Err(Error::own(path, format!("has nothing to {part} on"), HINT));
        }
        // Numbers are in no classes, and what is given back may be in any.
        let classes = if matches!(images.targets, Targets::Classes) { classes } else { &[] };
        let mut counts = vec![0usize; classes.len()];
        for &label in &images.labels {
            if let Some(count) = counts.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        let lacking: Vec<&str> =
            classes.iter().zip(counts).filter(|(_, count)| *count == 0).map(|(class, _)| class.as_str()).collect();
        if part == "train" && matches!(images.targets, Targets::Classes) && lacking.len() + 1 >= classes.len() {
            return Err(Error::own(path, "has examples of one class only: there is nothing to tell apart", HINT));
        }
        match lacking.as_slice() {
            [] => {}
            [one] => remarks.push(format!("class `{one}` has nothing to {part} on")),
            [first, others @ ..] => {
                remarks.push(format!("class `{first}` and {} more have nothing to {part} on", others.len()));
            }
        }
    }
    Ok(remarks)
}

/// How many files that cannot be decoded a message names.
const NAMED: usize = 5;

fn undecodable(first: &Broken, others: &[Broken]) -> Error {
    let mut message = format!("cannot be decoded: {}", first.reason);
    for Broken { path, reason } in others.iter().take(NAMED - 1) {
        message += &format!("\n`{}` neither: {reason}", path.shown());
    }
    if let more @ 1.. = others.len().saturating_sub(NAMED - 1) {
        message += &format!("\nand {more} more");
    }
    let hint = "mend, convert or remove what is named; `skip_broken = true` in `data` leaves it out and counts it";
    Error::own(&first.path, message, hint)
}
