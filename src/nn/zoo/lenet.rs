//! LeNet-5 (LeCun et al. 1998) in its present-day form: two 5×5 convolutions with max pooling, three linear layers.

use candle_core::Result;

use super::Images;
use crate::nn::layer::{Conv2d, Flatten, Linear, MaxPool, Relu, Sequential};
use crate::nn::op::window::Window;
use crate::nn::{Net, Store};

/// The smallest edge that leaves a pixel behind both poolings.
pub const SMALLEST: usize = 16;

const CONV: Window = Window { kernel: 5, stride: 1, padding: 0 };
const POOL: Window = Window { kernel: 2, stride: 2, padding: 0 };

/// The edge that is left of `size` behind both convolutions and poolings.
const fn left(size: usize) -> usize {
    ((size - 4) / 2 - 4) / 2
}

/// LeNet-5 for images of any shape from 16×16 on.
pub fn build(store: &Store, shape: Images) -> Result<Net> {
    let features = 16 * left(shape.height) * left(shape.width);
    let root = Sequential::new()
        .then(Conv2d::new(&store.at("conv1"), shape.channels, 6, CONV, true)?)
        .then(Relu)
        .then(MaxPool(POOL))
        .then(Conv2d::new(&store.at("conv2"), 6, 16, CONV, true)?)
        .then(Relu)
        .then(MaxPool(POOL))
        .then(Flatten)
        .then(Linear::new(&store.at("fc1"), features, 120)?)
        .then(Relu)
        .then(Linear::new(&store.at("fc2"), 120, 84)?)
        .then(Relu)
        .then(Linear::new(&store.at("fc3"), 84, shape.classes)?);
    Ok(Net::new(root, store))
}
