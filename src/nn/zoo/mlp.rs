//! Fully connected nets: `fc1`, ReLU, `fc2`, …

use candle_core::Result;

use super::Shape;
use crate::nn::layer::{Flatten, Linear, Relu, Sequential};
use crate::nn::{Net, Store};

/// Whether there are such layers; says why not.
pub fn check(hidden: &[usize]) -> std::result::Result<(), String> {
    match hidden.iter().all(|size| (1..=65_536).contains(size)) {
        true => Ok(()),
        false => Err(format!("sizes of hidden layers must be from 1 to 65536 (got {hidden:?})")),
    }
}

/// Layers of sizes C·H·W or D, `hidden` …, outputs.
pub fn build(store: &Store, hidden: &[usize], shape: Shape) -> Result<Net> {
    let mut inputs = shape.input.size();
    let mut root = Sequential::new().then(Flatten);
    for (i, &outputs) in hidden.iter().enumerate() {
        root = root.then(Linear::new(&store.at(format!("fc{}", i + 1)), inputs, outputs)?).then(Relu);
        inputs = outputs;
    }
    let last = store.at(format!("fc{}", hidden.len() + 1));
    Ok(Net::new(root.then(Linear::new(&last, inputs, shape.outputs)?), store))
}
