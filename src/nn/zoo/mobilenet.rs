//! MobileNetV2 (Sandler et al. 2018) as pytorch-cifar builds it for small images: a 3×3 stem, and strides of 1 where ImageNet's net
//! has its first two of 2. ReLU stands for ReLU6, as there.

use candle_core::{Result, Tensor};

use super::Images;
use crate::nn::layer::{BatchNorm, Conv2d, GlobalAveragePool, GroupedConv2d, Layer, Linear, Relu, Sequential};
use crate::nn::op::relu::add;
use crate::nn::op::window::Window;
use crate::nn::{Net, Pass, Store};

/// Expansion, channels, blocks and first stride of each stage.
const PLAN: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

/// The width at which the narrowest stage still has a channel.
pub const NARROWEST: usize = 4;

const POINT: Window = Window { kernel: 1, stride: 1, padding: 0 };

const fn square(stride: usize) -> Window {
    Window { kernel: 3, stride, padding: 1 }
}

/// The net with every layer's channels times `width`/64.
pub fn build(store: &Store, width: usize, shape: Images) -> Result<Net> {
    let scaled = |channels: usize| channels * width / 64;
    let mut inputs = scaled(32);
    let mut root = conv_norm(Sequential::new(), store, 1, [shape.channels, inputs], square(1))?.then(Relu);
    let mut index = 0;
    for (expansion, channels, blocks, first_stride) in PLAN {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            let store = store.at(format!("layers.{index}"));
            root = root.then(Inverted::new(&store, [inputs, expansion * inputs, scaled(channels)], stride)?);
            inputs = scaled(channels);
            index += 1;
        }
    }
    let root = conv_norm(root, store, 2, [inputs, scaled(1280)], POINT)?.then(Relu).then(GlobalAveragePool);
    Ok(Net::new(root.then(Linear::new(&store.at("linear"), scaled(1280), shape.classes)?), store))
}

/// `layers`, then `conv<n>` without bias and `bn<n>`.
fn conv_norm(
    layers: Sequential,
    store: &Store,
    n: usize,
    [inputs, outputs]: [usize; 2],
    window: Window,
) -> Result<Sequential> {
    Ok(layers
        .then(Conv2d::new(&store.at(format!("conv{n}")), inputs, outputs, window, false)?)
        .then(BatchNorm::new(&store.at(format!("bn{n}")), outputs)?))
}

/// Expanded by 1×1, filtered by depthwise 3×3, narrowed by 1×1; with a shortcut at stride 1.
struct Inverted {
    body: Sequential,
    shortcut: Option<Sequential>,
}

impl Inverted {
    fn new(store: &Store, [inputs, planes, outputs]: [usize; 3], stride: usize) -> Result<Self> {
        let body = conv_norm(Sequential::new(), store, 1, [inputs, planes], POINT)?
            .then(Relu)
            .then(GroupedConv2d::new(&store.at("conv2"), [planes, planes], planes, square(stride))?)
            .then(BatchNorm::new(&store.at("bn2"), planes)?)
            .then(Relu);
        let body = conv_norm(body, store, 3, [planes, outputs], POINT)?;
        let mut shortcut = Sequential::new();
        if inputs != outputs && stride == 1 {
            let store = store.at("shortcut");
            shortcut = shortcut
                .then(Conv2d::new(&store.at(0), inputs, outputs, POINT, false)?)
                .then(BatchNorm::new(&store.at(1), outputs)?);
        }
        Ok(Self { body, shortcut: (stride == 1).then_some(shortcut) })
    }
}

impl Layer for Inverted {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let y = self.body.forward(x, pass)?;
        match &self.shortcut {
            Some(shortcut) => add(&y, &shortcut.forward(x, pass)?),
            None => Ok(y),
        }
    }
}
