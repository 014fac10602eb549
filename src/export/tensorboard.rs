//! Event files: records (`TFRecord`) of protocol buffers (`tensorflow/core/util/event.proto`), of which four fields are needed.

use polars::prelude::*;

use crate::text::cut;

/// The longest name that file systems take.
const MOST_BYTES: usize = 255;

/// What becomes of a trial.
pub struct Run {
    pub folder: String,
    pub file: String,
    pub bytes: Vec<u8>,
}

/// The event file of one trial: a scalar for each number, tagged `scope/metric`, at its step, at the time of day at which it was logged.
pub fn run(frame: &DataFrame) -> PolarsResult<Run> {
    let text =
        |name: &str| -> PolarsResult<String> { Ok(frame.column(name)?.str()?.get(0).unwrap_or_default().to_owned()) };
    let started = frame.column("started")?.f64()?.get(0).unwrap_or_default();
    let seed = frame.column("seed")?.u64()?.get(0).unwrap_or_default();
    let (arm, trial, host) = (text("arm")?, text("trial")?, text("host")?);
    let mut bytes = record(&event(started, 0, &Payload::Version));
    let places = frame.column("step")?.u64()?.iter().zip(frame.column("seconds")?.f64()?.iter());
    let names = frame.column("scope")?.str()?.iter().zip(frame.column("metric")?.str()?.iter());
    for (((step, seconds), (scope, metric)), value) in places.zip(names).zip(frame.column("value")?.f64()?.iter()) {
        let tag = format!("{}/{}", scope.unwrap_or_default(), metric.unwrap_or_default());
        let scalar = Payload::Scalar { tag: &tag, value: value.unwrap_or(f64::NAN) as f32 };
        bytes.extend(record(&event(started + seconds.unwrap_or_default(), step.unwrap_or_default(), &scalar)));
    }
    let plain = |name: &str| -> String {
        name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
    };
    let end = format!("-seed{seed}-{trial}");
    let folder = cut(&plain(&arm), MOST_BYTES.saturating_sub(end.len())).to_owned() + &end;
    let file = format!("events.out.tfevents.{started:.0}.{}", plain(&host));
    Ok(Run { folder, file: cut(&file, MOST_BYTES).to_owned(), bytes })
}

enum Payload<'a> {
    /// What a file starts with.
    Version,
    Scalar {
        tag: &'a str,
        value: f32,
    },
}

/// `Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }`
fn event(wall_time: f64, step: u64, payload: &Payload<'_>) -> Vec<u8> {
    let mut event = vec![key(1, FIXED64)];
    event.extend(wall_time.to_le_bytes());
    event.push(key(2, VARINT));
    event.extend(varint(step));
    match payload {
        Payload::Version => event.extend(bytes(3, b"brain.Event:2")),
        Payload::Scalar { tag, value } => event.extend(bytes(5, &bytes(1, &scalar(tag, *value)))),
    }
    event
}

/// `Summary { repeated Value value = 1; }`, `Value { string tag = 1; float simple_value = 2; }`
fn scalar(tag: &str, value: f32) -> Vec<u8> {
    let mut all = bytes(1, tag.as_bytes());
    all.push(key(2, FIXED32));
    all.extend(value.to_le_bytes());
    all
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

const fn key(field: u8, wire: u8) -> u8 {
    (field << 3) | wire
}

fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let mut all = vec![key(field, BYTES)];
    all.extend(varint(content.len() as u64));
    all.extend(content);
    all
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn varint(mut value: u64) -> Vec<u8> {
    let mut all = Vec::new();
    while value > 0x7f {
        all.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    all.push(value as u8);
    all
}

/// `length: u64, its checksum: u32, content, its checksum: u32`, all little-endian.
fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), content, &masked(content).to_le_bytes()].concat()
}

/// A checksum of data that hold checksums themselves is masked.
fn masked(content: &[u8]) -> u32 {
    crc32c(content).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Castagnoli's polynomial, reflected.
fn crc32c(content: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !content.iter().fold(!0, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{crc32c, varint};

    #[test]
    fn checksums_and_numbers_are_those_of_the_standards() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!([varint(1), varint(300)], [vec![1], vec![0xac, 0x02]]);
    }
}
