//! Lengths in epochs as files write them.

use serde::{Deserialize, Deserializer, Serializer};

/// Whole numbers without a point: a trial is named after what is written.
pub fn serialize<S: Serializer>(epochs: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match *epochs {
        None => serializer.serialize_none(),
        Some(epochs) if epochs.fract() == 0.0 && (0.0..1e15).contains(&epochs) => {
            serializer.serialize_u64(epochs as u64)
        }
        Some(epochs) => serializer.serialize_f64(epochs),
    }
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(deserializer).map(Some)
}
