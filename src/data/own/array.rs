//! Arrays of numbers, whatever file they come from.

/// Numbers in the order of the last index, and their dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub dims: Vec<usize>,
    pub values: Values,
}

/// Numbers of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Bytes(Vec<u8>),
    Integers(Vec<i64>),
    Floats(Vec<f32>),
}

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Number {
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The numbers in `bytes`, little-endian.
    pub fn values(self, bytes: Vec<u8>) -> Values {
        match self {
            Self::U8 => Values::Bytes(bytes),
            Self::I8 => integers(&bytes, |[byte]| i8::from_le_bytes([byte]).into()),
            Self::U16 => integers(&bytes, |bytes| u16::from_le_bytes(bytes).into()),
            Self::I16 => integers(&bytes, |bytes| i16::from_le_bytes(bytes).into()),
            Self::U32 => integers(&bytes, |bytes| u32::from_le_bytes(bytes).into()),
            Self::I32 => integers(&bytes, |bytes| i32::from_le_bytes(bytes).into()),
            // What is beyond is no label, and for pixels the same as the largest.
            Self::U64 => integers(&bytes, |bytes| i64::try_from(u64::from_le_bytes(bytes)).unwrap_or(i64::MAX)),
            Self::I64 => integers(&bytes, i64::from_le_bytes),
            Self::F16 => floats(&bytes, |bytes| half::f16::from_le_bytes(bytes).to_f32()),
            Self::Bf16 => floats(&bytes, |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
            Self::F32 => floats(&bytes, f32::from_le_bytes),
            Self::F64 => floats(&bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        }
    }
}

fn integers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> i64) -> Values {
    Values::Integers(bytes.as_chunks().0.iter().map(|&bytes| number(bytes)).collect())
}

fn floats<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Values {
    Values::Floats(bytes.as_chunks().0.iter().map(|&bytes| number(bytes)).collect())
}

impl Array {
    /// `100×3×32×32`.
    pub fn shape(&self) -> String {
        if self.dims.is_empty() {
            return "a single number".to_owned();
        }
        self.dims.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
    }
}

impl Values {
    /// All as floats.
    pub fn into_floats(self) -> Vec<f32> {
        match self {
            Self::Bytes(values) => values.into_iter().map(f32::from).collect(),
            Self::Integers(values) => values.into_iter().map(|value| value as f32).collect(),
            Self::Floats(values) => values,
        }
    }
}

/// What is wrong with arrays, and what to do.
pub type Complaint = (String, &'static str);

/// The values of `count` examples in the array `name`, if all are finite.
pub fn finite(name: &str, values: Vec<f32>, count: usize) -> Result<Vec<f32>, Complaint> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(at) => {
            let (bad, example) =
                (values.iter().filter(|value| !value.is_finite()).count(), at / (values.len() / count));
            let message = format!(
                "has {bad} values in `{name}` that are NaN or infinite in float32, the first in example {example}"
            );
            Err((message, "np.nan_to_num, or leave these examples out"))
        }
    }
}

/// The product of `dims` and `each`, if there is such a number.
pub fn product(dims: &[usize], each: usize) -> Option<usize> {
    dims.iter().try_fold(each, |product, &dim| product.checked_mul(dim))
}

/// Items of `each` bytes that stand with the first index running fastest (Fortran's order), with the last running fastest (C's order).
pub fn from_fortran(bytes: &[u8], dims: &[usize], each: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(dims.len());
    let mut stride = each;
    for dim in dims {
        strides.push(stride);
        stride *= dim;
    }
    let mut ordered = Vec::with_capacity(bytes.len());
    let (mut index, mut at) = (vec![0; dims.len()], 0);
    for _ in 0..bytes.len() / each.max(1) {
        ordered.extend_from_slice(&bytes[at..at + each]);
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < dims[axis] {
                break;
            }
            at -= strides[axis] * dims[axis];
            index[axis] = 0;
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::{Number, Values, from_fortran};

    #[test]
    fn the_first_index_runs_fastest_in_fortran() {
        // a[i][j][k] = 100 i + 10 j + k, of 2×3×2.
        let fortran = [0u8, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121];
        let c = [0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121];
        assert_eq!(from_fortran(&fortran, &[2, 3, 2], 1), c);
        assert_ne!(fortran, c);
        assert_eq!(from_fortran(&[1, 2, 3, 4], &[2], 2), [1, 2, 3, 4]);
        assert!(from_fortran(&[], &[0, 5], 4).is_empty());
    }

    #[test]
    fn numbers_of_every_type_are_read() {
        let floats = |number: Number, bytes: &[u8]| number.values(bytes.to_vec()).into_floats();
        assert_eq!(Number::I8.values(vec![255]), Values::Integers(vec![-1]));
        assert_eq!(Number::U64.values(vec![255; 8]), Values::Integers(vec![i64::MAX]));
        assert_eq!(floats(Number::F16, &0x3e00u16.to_le_bytes()), [1.5]);
        assert_eq!(floats(Number::Bf16, &0x3fc0u16.to_le_bytes()), [1.5]);
        assert_eq!(floats(Number::F64, &[1.5f64, -2.0].map(f64::to_le_bytes).concat()), [1.5, -2.0]);
    }
}
