//! Tables for programs that read nothing else.

use polars::prelude::{AnyValue, DataFrame};

/// A table as CSV (RFC 4180) with all digits; what is missing is empty.
#[must_use]
pub fn csv(frame: &DataFrame) -> String {
    let columns = frame.columns();
    let names: Vec<String> = columns.iter().map(|column| column.name().to_string()).collect();
    let row = |i: usize| {
        columns.iter().map(|column| column.get(i).map_or_else(|_| String::new(), |value| field(&value))).collect()
    };
    let rows = std::iter::once(names).chain((0..frame.height()).map(row));
    rows.map(|fields: Vec<String>| fields.join(",") + "\n").collect()
}

fn field(value: &AnyValue<'_>) -> String {
    match (value.get_str(), value) {
        (Some(text), _) if text.contains([',', '"', '\n', '\r']) => format!("\"{}\"", text.replace('"', "\"\"")),
        (Some(text), _) => text.to_owned(),
        (None, AnyValue::Null) => String::new(),
        // Not polars' own way, which shortens numbers for reading.
        (None, AnyValue::Float64(number)) => number.to_string(),
        (None, other) => other.to_string(),
    }
}
