//! Densely connected nets (Huang et al. 2017) with the stem for small images; the growth is half the width.

use candle_core::{Result, Tensor};

use super::Images;
use crate::nn::layer::{AveragePool, BatchNorm, Conv2d, GlobalAveragePool, Layer, Linear, Sequential};
use crate::nn::op::concat::concat;
use crate::nn::op::window::Window;
use crate::nn::{Net, Pass, Store};

/// Layers in each of the four blocks.
pub type Depth = [usize; 4];

pub const DEPTH_121: Depth = [6, 12, 24, 16];
pub const DEPTH_169: Depth = [6, 12, 32, 32];
pub const DEPTH_201: Depth = [6, 12, 48, 32];

const POINT: Window = Window { kernel: 1, stride: 1, padding: 0 };
const SQUARE: Window = Window { kernel: 3, stride: 1, padding: 1 };
const POOL: Window = Window { kernel: 2, stride: 2, padding: 0 };

/// A densely connected net.
pub fn build(store: &Store, depth: Depth, width: usize, shape: Images) -> Result<Net> {
    let growth = width / 2;
    let mut channels = 2 * growth;
    let mut root = Sequential::new().then(Conv2d::new(&store.at("conv1"), shape.channels, channels, SQUARE, false)?);
    for (i, layers) in depth.into_iter().enumerate() {
        let block = store.at(format!("dense{}", i + 1));
        for layer in 0..layers {
            root = root.then(Dense::new(&block.at(layer), channels, growth)?);
            channels += growth;
        }
        if i + 1 < depth.len() {
            let transition = store.at(format!("trans{}", i + 1));
            root = norm_conv(root, &transition.at("bn"), &transition.at("conv"), [channels, channels / 2], POINT)?
                .then(AveragePool(POOL));
            channels /= 2;
        }
    }
    let root = root.then(BatchNorm::new(&store.at("bn"), channels)?.then_relu()).then(GlobalAveragePool);
    Ok(Net::new(root.then(Linear::new(&store.at("linear"), channels, shape.classes)?), store))
}

/// `layers`, then batch norm, ReLU and a convolution without bias.
fn norm_conv(
    layers: Sequential,
    norm: &Store,
    conv: &Store,
    [inputs, outputs]: [usize; 2],
    window: Window,
) -> Result<Sequential> {
    let layers = layers.then(BatchNorm::new(norm, inputs)?.then_relu());
    Ok(layers.then(Conv2d::new(conv, inputs, outputs, window, false)?))
}

/// `[new(x), x]` along the channels.
struct Dense(Sequential);

impl Dense {
    fn new(store: &Store, inputs: usize, growth: usize) -> Result<Self> {
        let layers = Sequential::new();
        let layers = norm_conv(layers, &store.at("bn1"), &store.at("conv1"), [inputs, 4 * growth], POINT)?;
        Ok(Self(norm_conv(layers, &store.at("bn2"), &store.at("conv2"), [4 * growth, growth], SQUARE)?))
    }
}

impl Layer for Dense {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        concat(&[&self.0.forward(x, pass)?, x])
    }
}
