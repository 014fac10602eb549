//! safetensors, as Hugging Face's library writes them.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};

use super::array::{Array, Number};

/// Those tensors that `wanted` has, by name, and the names of all.
pub fn read(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Result<(BTreeMap<String, Array>, Vec<String>), String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is no intact safetensors file: {error}"))?;
    let mut arrays = BTreeMap::new();
    let mut names: Vec<String> = tensors.names().into_iter().map(str::to_owned).collect();
    names.sort_unstable();
    for name in names.iter().filter(|name| wanted(name)) {
        let tensor = tensors.tensor(name).map_err(|error| error.to_string())?;
        let number = match tensor.dtype() {
            Dtype::U8 | Dtype::BOOL => Number::U8,
            Dtype::I8 => Number::I8,
            Dtype::U16 => Number::U16,
            Dtype::I16 => Number::I16,
            Dtype::U32 => Number::U32,
            Dtype::I32 => Number::I32,
            Dtype::U64 => Number::U64,
            Dtype::I64 => Number::I64,
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::Bf16,
            Dtype::F32 => Number::F32,
            Dtype::F64 => Number::F64,
            other => {
                return Err(format!(
                    "holds `{name}`, whose numbers are of type {other:?}; integers and floats are read"
                ));
            }
        };
        arrays.insert(
            name.clone(),
            Array { dims: tensor.shape().to_vec(), values: number.values(tensor.data().to_vec()) },
        );
    }
    Ok((arrays, names))
}

#[cfg(test)]
mod tests {
    use super::super::array::{Array, Values};
    use super::read;
    use crate::random::Random;
    use allocation_counter::measure;
    use safetensors::{Dtype, tensor::TensorView};

    fn file() -> Vec<u8> {
        let numbers = [1.5f32, -2.0].map(f32::to_le_bytes).concat();
        let x = TensorView::new(Dtype::F32, vec![2, 1], &numbers).unwrap();
        let y = TensorView::new(Dtype::U8, vec![2], &[0, 1]).unwrap();
        safetensors::serialize([("x", x), ("y", y)], None).unwrap()
    }

    #[test]
    fn tensors_are_read_by_name() {
        let (arrays, names) = read(&file(), |name| name == "x").unwrap();
        assert_eq!(names, ["x", "y"]);
        assert_eq!(arrays.len(), 1);
        assert_eq!(arrays["x"], Array { dims: vec![2, 1], values: Values::Floats(vec![1.5, -2.0]) });
    }

    #[test]
    fn no_mutation_raises_a_panic_or_a_large_allocation() {
        let good = file();
        let mut random = Random::new(1, "mutations");
        let mut most = 0;
        for _ in 0..10_000 {
            let mut bytes = good.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
            most = most.max(measure(|| drop(read(&bytes, |_| true))).bytes_max);
        }
        assert!(most < 1 << 16, "{most} bytes");
    }
}
