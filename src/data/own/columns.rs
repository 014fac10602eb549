//! One Parquet file of images: a column of encoded files, `{bytes, path}`, and one of classes.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars_arrow::array::{Array, BinaryViewArray, PrimitiveArray, StructArray};
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_arrow::types::NativeType;
use polars_parquet::parquet::page::CompressedPage;
use polars_parquet::read::{
    BasicDecompressor, FileMetadata, PageReader, ParquetError, RowGroupMetadata, column_iter_to_arrays, infer_schema,
    read_metadata,
};

/// Bytes of the largest page: a header may claim more.
const MOST_PAGE: usize = 1 << 30;

/// What a file holds.
#[derive(Debug, PartialEq)]
pub struct Rows {
    /// Encoded, as in a file.
    pub images: Vec<Vec<u8>>,
    pub labels: Vec<i64>,
    /// What the classes are called, if that is said.
    pub names: Option<Vec<String>>,
}

/// Reads a file's images and labels.
pub fn read(bytes: &[u8]) -> Result<Rows, String> {
    // polars is known to panic where it should fail.
    let read = catch_unwind(AssertUnwindSafe(|| rows(bytes)));
    read.map_err(|_| "is no intact Parquet file".to_owned())?
}

fn rows(bytes: &[u8]) -> Result<Rows, String> {
    let broken = |error: polars::error::PolarsError| format!("is no intact Parquet file: {error}");
    let metadata = read_metadata(&mut Cursor::new(bytes)).map_err(broken)?;
    let schema = infer_schema(&metadata).map_err(broken)?;
    let fields: Vec<&Field> = schema.iter_values().collect();
    let image = image_column(&fields)?;
    let label = label_column(&fields)?;
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for group in &metadata.row_groups {
        for array in column(bytes, group, image)? {
            encoded(image, array.as_ref(), &mut images)?;
        }
        for array in column(bytes, group, label)? {
            integers(label, array.as_ref(), &mut labels)?;
        }
    }
    if images.len() != labels.len() {
        return Err(format!("has {} images, but {} labels", images.len(), labels.len()));
    }
    Ok(Rows { images, labels, names: names(&metadata, &label.name) })
}

/// The only column of `{bytes, path}`.
fn image_column<'a>(fields: &[&'a Field]) -> Result<&'a Field, String> {
    let mut found = fields.iter().filter(|field| encoded_place(field).is_some());
    match (found.next(), found.next()) {
        (Some(image), None) => Ok(image),
        (Some(one), Some(other)) => {
            Err(format!("has images in both `{}` and `{}` (must be in one column)", one.name, other.name))
        }
        (None, _) => Err(format!("has no column of encoded images, {{bytes, path}}: it has {}", listed(fields))),
    }
}

/// The place of the bytes among the fields of `{bytes, path}`.
fn encoded_place(field: &Field) -> Option<usize> {
    let ArrowDataType::Struct(parts) = &field.dtype else { return None };
    parts.iter().position(|part| part.name == "bytes" && part.dtype == ArrowDataType::BinaryView)
}

/// `label`, else `fine_label` (CIFAR-100), else the only column of integers.
fn label_column<'a>(fields: &[&'a Field]) -> Result<&'a Field, String> {
    let integers: Vec<&Field> = fields.iter().copied().filter(|field| is_integer(&field.dtype)).collect();
    let named = |name: &str| integers.iter().copied().find(|field| field.name == name);
    match (named("label").or_else(|| named("fine_label")), integers.as_slice()) {
        (Some(field), _) => Ok(field),
        (None, [field]) => Ok(field),
        _ if fields.iter().any(|field| field.name == "label") => {
            Err("has a column `label` that is not of integers".to_owned())
        }
        _ => Err(format!("has no column `label`: it has {}", listed(fields))),
    }
}

fn listed(fields: &[&Field]) -> String {
    fields.iter().map(|field| format!("`{}`", field.name)).collect::<Vec<_>>().join(", ")
}

fn is_integer(dtype: &ArrowDataType) -> bool {
    use ArrowDataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32};
    matches!(dtype, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32)
}

/// A column's values in a row group.
fn column(bytes: &[u8], group: &RowGroupMetadata, field: &Field) -> Result<Vec<Box<dyn Array>>, String> {
    let (mut columns, mut types) = (Vec::new(), Vec::new());
    for chunk in group.columns_under_root_iter(&field.name).into_iter().flatten() {
        let range = chunk.byte_range();
        let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = part.and_then(|(start, end)| bytes.get(start..end)).ok_or("is cut short")?;
        let pages = || PageReader::new(Cursor::new(part.to_vec().into()), chunk, Vec::new(), MOST_PAGE);
        sound(pages, group.num_rows())?;
        columns.push(BasicDecompressor::new(pages(), Vec::new()));
        types.push(&chunk.descriptor().descriptor.primitive_type);
    }
    let arrays = column_iter_to_arrays(columns, types, field.clone(), None);
    arrays.map(|(arrays, _)| arrays).map_err(|error| format!("is no intact Parquet file: {error}"))
}

/// Whether pages hold as many values as there are rows: polars makes room for what a header claims.
fn sound(pages: impl Fn() -> PageReader, rows: usize) -> Result<(), String> {
    let broken = |error: ParquetError| format!("is no intact Parquet file: {error}");
    let claims = || Err("is no intact Parquet file: a page claims more than there is".to_owned());
    let dictionary = BasicDecompressor::new(pages(), Vec::new()).read_dict_page().map_err(broken)?;
    if dictionary.is_some_and(|page| page.num_values > page.buffer.len()) {
        return claims();
    }
    let mut found = 0usize;
    for page in pages() {
        if let CompressedPage::Data(page) = page.map_err(broken)? {
            found = found.saturating_add(page.num_values());
            if found > rows || page.uncompressed_size() > MOST_PAGE {
                return claims();
            }
        }
    }
    if found == rows { Ok(()) } else { claims() }
}

fn encoded(field: &Field, array: &dyn Array, images: &mut Vec<Vec<u8>>) -> Result<(), String> {
    let parts = array.as_any().downcast_ref::<StructArray>().map(StructArray::values);
    let bytes = parts.zip(encoded_place(field)).and_then(|(parts, place)| parts.get(place));
    let Some(bytes) = bytes.and_then(|bytes| bytes.as_any().downcast_ref::<BinaryViewArray>()) else {
        return Err(format!("has a column `{}` of another type than it says", field.name));
    };
    for image in bytes {
        let row = images.len();
        let image = image.ok_or_else(|| {
            format!("has no bytes in row {row} of `{}`, and files beside it are not read", field.name)
        })?;
        images.push(image.to_vec());
    }
    Ok(())
}

fn integers(field: &Field, array: &dyn Array, labels: &mut Vec<i64>) -> Result<(), String> {
    let found = match array.dtype() {
        ArrowDataType::Int8 => wide::<i8>(array),
        ArrowDataType::Int16 => wide::<i16>(array),
        ArrowDataType::Int32 => wide::<i32>(array),
        ArrowDataType::Int64 => wide::<i64>(array),
        ArrowDataType::UInt8 => wide::<u8>(array),
        ArrowDataType::UInt16 => wide::<u16>(array),
        ArrowDataType::UInt32 => wide::<u32>(array),
        _ => None,
    };
    let found = found.ok_or_else(|| format!("has a column `{}` of another type than it says", field.name))?;
    for label in found {
        labels.push(label.ok_or_else(|| format!("has no label in row {} of `{}`", labels.len(), field.name))?);
    }
    Ok(())
}

fn wide<T: NativeType + Into<i64>>(array: &dyn Array) -> Option<Vec<Option<i64>>> {
    let numbers = array.as_any().downcast_ref::<PrimitiveArray<T>>()?;
    Some(numbers.iter().map(|number| number.map(|&number| number.into())).collect())
}

/// The names of a `ClassLabel`, which `datasets` keeps as JSON beside the schema.
fn names(metadata: &FileMetadata, label: &str) -> Option<Vec<String>> {
    let pairs = metadata.key_value_metadata().as_ref()?;
    let text = pairs.iter().find(|pair| pair.key == "huggingface")?.value.as_ref()?;
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let names = json.pointer("/info/features")?.get(label)?.get("names")?.as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Rows, read};
    use crate::random::Random;
    use image::GenericImageView;

    const FILE: &[u8] = include_bytes!("../../../tests/golden/own/train-00000-of-00002.parquet");

    #[test]
    fn what_pyarrow_writes_is_read() {
        let Rows { images, labels, names } = read(FILE).unwrap();
        assert_eq!((images.len(), labels), (3, vec![0, 1, 2]));
        assert_eq!(names.unwrap(), ["ant", "bee", "cow"]);
        let second = image::load_from_memory(&images[1]).unwrap();
        assert_eq!(second.get_pixel(1, 1).0[..3], [26, 27, 28]);
    }

    #[test]
    fn what_is_no_such_file_is_named() {
        let message = |bytes: &[u8]| read(bytes).unwrap_err();
        assert!(message(b"").contains("no intact Parquet file"));
        assert!(message(b"PAR1 and no more PAR1").contains("no intact Parquet file"));
        assert!(message(&FILE[..FILE.len() / 2]).contains("no intact Parquet file"));
        let mut frame = polars::df!("label" => [1i64, 2], "text" => ["a", "b"]).unwrap();
        let mut bytes = Vec::new();
        polars::prelude::ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
        assert!(message(&bytes).contains("no column of encoded images, {bytes, path}: it has `label`, `text`"));
    }

    #[test]
    fn no_mutation_raises_a_panic() {
        let mut random = Random::new(1, "mutations");
        for _ in 0..10_000 {
            let mut file = FILE.to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(file.len());
                file[at] = random.below(256) as u8;
            }
            drop(read(&file));
        }
    }
}
