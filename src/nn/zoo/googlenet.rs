//! GoogLeNet (Szegedy et al. 2015) with batch norm, 3×3 stem for small images, and 3×3 pairs for its 5×5 convolutions.

use candle_core::{Result, Tensor};

use super::Images;
use crate::nn::layer::{BatchNorm, Conv2d, GlobalAveragePool, Layer, Linear, MaxPool, Sequential};
use crate::nn::op::concat::concat;
use crate::nn::op::window::Window;
use crate::nn::{Net, Pass, Store};

/// The narrowest width that leaves every branch a channel.
pub const NARROWEST: usize = 4;

/// Inputs, then outputs of: 1×1; 3×3 reduced, 3×3; 5×5 reduced, 5×5; pooled. At width 64.
type Plan = [usize; 7];

/// The stages, between which the maps are halved.
const STAGES: [&[(&str, Plan)]; 3] = [
    &[("a3", [192, 64, 96, 128, 16, 32, 32]), ("b3", [256, 128, 128, 192, 32, 96, 64])],
    &[
        ("a4", [480, 192, 96, 208, 16, 48, 64]),
        ("b4", [512, 160, 112, 224, 24, 64, 64]),
        ("c4", [512, 128, 128, 256, 24, 64, 64]),
        ("d4", [512, 112, 144, 288, 32, 64, 64]),
        ("e4", [528, 256, 160, 320, 32, 128, 128]),
    ],
    &[("a5", [832, 256, 160, 320, 32, 128, 128]), ("b5", [832, 384, 192, 384, 48, 128, 128])],
];

const POINT: Window = Window { kernel: 1, stride: 1, padding: 0 };
const SQUARE: Window = Window { kernel: 3, stride: 1, padding: 1 };
const HALVE: Window = Window { kernel: 3, stride: 2, padding: 1 };

/// GoogLeNet, every branch scaled by `width`/64.
pub fn build(store: &Store, width: usize, shape: Images) -> Result<Net> {
    let scaled = |channels: usize| channels * width / 64;
    let stem = store.at("pre_layers");
    let mut root = conv_norm(Sequential::new(), &stem, 0, [shape.channels, scaled(192)], SQUARE)?;
    for (i, stage) in STAGES.iter().enumerate() {
        if i > 0 {
            root = root.then(MaxPool(HALVE));
        }
        for &(name, plan) in *stage {
            root = root.then(Inception::new(&store.at(name), plan.map(scaled))?);
        }
    }
    let linear = Linear::new(&store.at("linear"), scaled(1024), shape.classes)?;
    Ok(Net::new(root.then(GlobalAveragePool).then(linear), store))
}

/// `layers`, then convolution number `index` with its bias, batch norm and ReLU.
fn conv_norm(
    layers: Sequential,
    store: &Store,
    index: usize,
    [inputs, outputs]: [usize; 2],
    window: Window,
) -> Result<Sequential> {
    let layers = layers.then(Conv2d::new(&store.at(index), inputs, outputs, window, true)?);
    Ok(layers.then(BatchNorm::new(&store.at(index + 1), outputs)?.then_relu()))
}

/// Four branches side by side.
struct Inception([Sequential; 4]);

impl Inception {
    fn new(store: &Store, [inputs, n1, r3, n3, r5, n5, pool]: Plan) -> Result<Self> {
        let empty = Sequential::new;
        let [b1, b2, b3, b4] = ["b1", "b2", "b3", "b4"].map(|name| store.at(name));
        let one = conv_norm(empty(), &b1, 0, [inputs, n1], POINT)?;
        let three = conv_norm(conv_norm(empty(), &b2, 0, [inputs, r3], POINT)?, &b2, 3, [r3, n3], SQUARE)?;
        let five = conv_norm(conv_norm(empty(), &b3, 0, [inputs, r5], POINT)?, &b3, 3, [r5, n5], SQUARE)?;
        let five = conv_norm(five, &b3, 6, [n5, n5], SQUARE)?;
        let pooled = conv_norm(empty().then(MaxPool(SQUARE)), &b4, 1, [inputs, pool], POINT)?;
        Ok(Self([one, three, five, pooled]))
    }
}

impl Layer for Inception {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let branches = self.0.iter().map(|branch| branch.forward(x, pass)).collect::<Result<Vec<_>>>()?;
        concat(&branches)
    }
}
