//! One trial into one file, all of it or none.

use std::io::Write;
use std::path::Path;

use polars::prelude::*;
use polars_parquet::write::schema_to_metadata_key;

use super::{Error, Origin, Row, seal};
use crate::storage;

/// Names and types of the columns, in order.
pub(super) const COLUMNS: [(&str, DataType); 28] = [
    ("experiment", DataType::String),
    ("trial", DataType::String),
    ("arm", DataType::String),
    ("dataset", DataType::String),
    ("model", DataType::String),
    ("optimizer", DataType::String),
    ("inverter", DataType::String),
    ("seed", DataType::UInt64),
    ("status", DataType::String),
    ("epoch", DataType::UInt32),
    ("step", DataType::UInt64),
    ("seconds", DataType::Float64),
    ("scope", DataType::String),
    ("metric", DataType::String),
    ("value", DataType::Float64),
    ("swept", DataType::String),
    ("config", DataType::String),
    ("dtype", DataType::String),
    ("batch", DataType::UInt32),
    ("epochs", DataType::UInt32),
    ("host", DataType::String),
    ("cpu", DataType::String),
    ("device", DataType::String),
    ("threads", DataType::UInt32),
    ("version", DataType::String),
    ("commit", DataType::String),
    ("started", DataType::Float64),
    ("load", DataType::Float64),
];

/// Writes a trial's rows to `path`, which appears complete or not at all, even if the machine loses power. The configuration is
/// in the file's metadata too, as `config`; a checksum of the whole is in front of the footer.
pub fn write(path: &Path, origin: &Origin, rows: &[Row]) -> Result<(), Error> {
    let encode = |source| Error::Encode { path: path.to_owned(), source };
    let mut frame = frame(origin, rows).map_err(encode)?;
    let mut metadata = vec![("config".into(), origin.config.clone())];
    metadata.extend(plain_schema(&frame));
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(metadata)))
        .finish(&mut frame)
        .map_err(encode)?;
    let sealed = seal::seal(&bytes).ok_or_else(|| Error::write(path)(std::io::ErrorKind::InvalidData.into()))?;
    let mut aside = storage::aside(path).map_err(Error::write(path))?;
    aside.write_all(&sealed).map_err(Error::write(path))?;
    storage::put_in_place(aside, path).map_err(Error::write(path))
}

/// The Arrow schema that readers are told, under its key in the metadata. Polars' own says `string_view`, which pyarrow reads but cannot
/// filter, sort, join or write; what is stored is the same text either way.
fn plain_schema(frame: &DataFrame) -> Option<(String, String)> {
    let mut schema = frame.schema().to_arrow(CompatLevel::oldest());
    for field in schema.iter_values_mut().filter(|field| field.dtype == ArrowDataType::LargeUtf8) {
        field.dtype = ArrowDataType::Utf8;
    }
    let entry = schema_to_metadata_key(&schema);
    Some((entry.key, entry.value?))
}

/// `nkfac, schedule.lr = 0.1`: the arm and the swept values but the seed, which whoever averages over seeds groups by.
fn label(origin: &Origin) -> String {
    let swept: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&origin.swept).unwrap_or_default();
    let values = swept.iter().filter(|(key, _)| *key != "seed").map(|(key, value)| match value.as_str() {
        Some(text) => format!(", {key} = {text}"),
        None => format!(", {key} = {value}"),
    });
    values.fold(origin.arm.clone(), |label, value| label + &value)
}

/// The columns of [`COLUMNS`], and the label, which those who read results elsewhere group by and nothing here reads.
fn frame(origin: &Origin, rows: &[Row]) -> PolarsResult<DataFrame> {
    let constant = |name: &str, value: AnyValue<'static>| {
        Column::new_scalar(name.into(), Scalar::new(value.dtype(), value), rows.len())
    };
    let text = |name, value: &str| constant(name, AnyValue::StringOwned(value.into()));
    let load = Scalar::new(DataType::Float64, origin.load.map_or(AnyValue::Null, AnyValue::Float64));
    let columns = vec![
        text("experiment", &origin.experiment),
        text("trial", &origin.trial),
        text("arm", &origin.arm),
        text("dataset", &origin.dataset),
        text("model", &origin.model),
        text("optimizer", &origin.optimizer),
        text("inverter", &origin.inverter),
        constant("seed", AnyValue::UInt64(origin.seed)),
        text("status", origin.status.name()),
        Column::new("epoch".into(), rows.iter().map(|row| row.epoch).collect::<Vec<_>>()),
        Column::new("step".into(), rows.iter().map(|row| row.step).collect::<Vec<_>>()),
        Column::new("seconds".into(), rows.iter().map(|row| row.seconds).collect::<Vec<_>>()),
        Column::new("scope".into(), rows.iter().map(|row| row.scope.name()).collect::<Vec<_>>()),
        Column::new("metric".into(), rows.iter().map(|row| row.metric.name()).collect::<Vec<_>>()),
        Column::new("value".into(), rows.iter().map(|row| row.value).collect::<Vec<_>>()),
        text("swept", &origin.swept),
        text("config", &origin.config),
        text("dtype", &origin.dtype),
        constant("batch", AnyValue::UInt32(origin.batch)),
        constant("epochs", AnyValue::UInt32(origin.epochs)),
        text("host", &origin.host),
        text("cpu", &origin.cpu),
        text("device", &origin.device),
        constant("threads", AnyValue::UInt32(origin.threads)),
        text("version", &origin.version),
        text("commit", &origin.commit),
        constant("started", AnyValue::Float64(origin.started)),
        Column::new_scalar("load".into(), load, rows.len()),
        text("label", &label(origin)),
    ];
    DataFrame::new(rows.len(), columns)
}

#[cfg(test)]
mod tests {
    use super::plain_schema;
    use polars::prelude::*;
    use polars_parquet::read::read_metadata;
    use std::io::Cursor;

    #[test]
    fn readers_are_told_of_plain_text_where_polars_would_say_string_view() {
        let mut frame = df!("metric" => ["loss"], "step" => [1u64]).unwrap();
        let mut written = |metadata: Vec<(String, String)>| {
            let mut bytes = Vec::new();
            let writer =
                ParquetWriter::new(&mut bytes).with_key_value_metadata(Some(KeyValueMetadata::from_static(metadata)));
            writer.finish(&mut frame).unwrap();
            let pairs = read_metadata(&mut Cursor::new(&bytes)).unwrap().key_value_metadata.clone().unwrap_or_default();
            let schemas: Vec<_> = pairs.into_iter().filter(|pair| pair.key == "ARROW:schema").collect();
            assert_eq!(ParquetReader::new(Cursor::new(&bytes)).finish().unwrap(), frame);
            assert_eq!(schemas.len(), 1);
            schemas[0].value.clone()
        };
        let plain = plain_schema(&df!("metric" => ["loss"], "step" => [1u64]).unwrap()).unwrap();
        assert_eq!(written(vec![plain.clone()]), Some(plain.1.clone()));
        assert_ne!(written(Vec::new()), Some(plain.1), "control");
    }
}
