//! Fully connected nets: `fc1`, ReLU, `fc2`, …

use candle_core::Result;

use super::Shape;
use crate::nn::layer::{Flatten, Linear, Relu, Sequential};
use crate::nn::{Net, Store};

/// Layers of sizes C·H·W, `hidden` …, classes.
pub fn build(store: &Store, hidden: &[usize], shape: Shape) -> Result<Net> {
    let mut inputs = shape.channels * shape.height * shape.width;
    let mut root = Sequential::new().then(Flatten);
    for (i, &outputs) in hidden.iter().enumerate() {
        root = root.then(Linear::new(&store.at(format!("fc{}", i + 1)), inputs, outputs)?).then(Relu);
        inputs = outputs;
    }
    let last = store.at(format!("fc{}", hidden.len() + 1));
    Ok(Net::new(root.then(Linear::new(&last, inputs, shape.classes)?), store))
}
