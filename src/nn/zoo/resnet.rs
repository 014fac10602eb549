//! Residual nets (He et al. 2016): as pytorch-cifar builds them for small images, and as torchvision does for ImageNet's.

use candle_core::{Result, Tensor};

use super::Shape;
use crate::nn::layer::{BatchNorm, Conv2d, GlobalAveragePool, Layer, Linear, MaxPool, Sequential};
use crate::nn::op::relu::add_relu;
use crate::nn::op::window::Window;
use crate::nn::{Net, Pass, Store};

/// Which blocks a net has, and how many in each of its four stages.
pub struct Depth {
    block: Block,
    stages: [usize; 4],
}

#[derive(Clone, Copy)]
enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 and 1×1, the last four times as wide.
    Bottleneck,
}

pub const DEPTH_18: Depth = Depth { block: Block::Basic, stages: [2, 2, 2, 2] };
pub const DEPTH_34: Depth = Depth { block: Block::Basic, stages: [3, 4, 6, 3] };
pub const DEPTH_50: Depth = Depth { block: Block::Bottleneck, stages: [3, 4, 6, 3] };
pub const DEPTH_101: Depth = Depth { block: Block::Bottleneck, stages: [3, 4, 23, 3] };
pub const DEPTH_152: Depth = Depth { block: Block::Bottleneck, stages: [3, 8, 36, 3] };

/// How a collection builds the stem, and what it calls the shortcuts and the classifier.
#[derive(Clone, Copy)]
pub struct Style {
    stem: Window,
    pool: Option<Window>,
    shortcut: &'static str,
    classifier: &'static str,
}

/// pytorch-cifar: a 3×3 stem.
pub const SMALL: Style = Style { stem: square(3, 1), pool: None, shortcut: "shortcut", classifier: "linear" };

/// torchvision: a 7×7 stem of stride 2 and a padded 3×3 pooling of stride 2.
pub const IMAGENET: Style =
    Style { stem: square(7, 2), pool: Some(square(3, 2)), shortcut: "downsample", classifier: "fc" };

/// A residual net with `width` channels in its first stage, twice as many in each further one.
pub fn build(store: &Store, depth: &Depth, style: Style, width: usize, shape: Shape) -> Result<Net> {
    let (conv, norm) = conv_norm(store, "1", shape.channels, width, style.stem)?;
    let mut root = Sequential::new().then(conv).then(norm.then_relu());
    if let Some(pool) = style.pool {
        root = root.then(MaxPool(pool));
    }
    let mut inputs = width;
    for (stage, &blocks) in depth.stages.iter().enumerate() {
        for i in 0..blocks {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            let store = store.at(format!("layer{}.{i}", stage + 1));
            let block = Residual::new(&store, depth.block, style.shortcut, [inputs, width << stage], stride)?;
            inputs = block.outputs;
            root = root.then(block);
        }
    }
    let classifier = Linear::new(&store.at(style.classifier), inputs, shape.classes)?;
    Ok(Net::new(root.then(GlobalAveragePool).then(classifier), store))
}

/// A window that keeps the size at stride 1.
const fn square(kernel: usize, stride: usize) -> Window {
    Window { kernel, stride, padding: kernel / 2 }
}

/// `conv<n>` without bias, and `bn<n>`.
fn conv_norm(store: &Store, n: &str, inputs: usize, outputs: usize, window: Window) -> Result<(Conv2d, BatchNorm)> {
    let conv = Conv2d::new(&store.at(format!("conv{n}")), inputs, outputs, window, false)?;
    Ok((conv, BatchNorm::new(&store.at(format!("bn{n}")), outputs)?))
}

/// `relu(body(x) + shortcut(x))`.
struct Residual {
    body: Sequential,
    shortcut: Sequential,
    outputs: usize,
}

impl Residual {
    fn new(store: &Store, block: Block, name: &str, [inputs, planes]: [usize; 2], stride: usize) -> Result<Self> {
        let (windows, outputs) = match block {
            Block::Basic => (vec![square(3, stride), square(3, 1)], planes),
            Block::Bottleneck => (vec![square(1, 1), square(3, stride), square(1, 1)], 4 * planes),
        };
        let last = windows.len() - 1;
        let mut body = Sequential::new();
        for (i, window) in windows.into_iter().enumerate() {
            let inputs = if i == 0 { inputs } else { planes };
            let outputs = if i == last { outputs } else { planes };
            let (conv, norm) = conv_norm(store, &(i + 1).to_string(), inputs, outputs, window)?;
            body = body.then(conv).then(if i == last { norm } else { norm.then_relu() });
        }
        let mut shortcut = Sequential::new();
        if stride != 1 || inputs != outputs {
            let store = store.at(name);
            shortcut = shortcut
                .then(Conv2d::new(&store.at(0), inputs, outputs, square(1, stride), false)?)
                .then(BatchNorm::new(&store.at(1), outputs)?);
        }
        Ok(Self { body, shortcut, outputs })
    }
}

impl Layer for Residual {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        add_relu(&self.body.forward(x, pass)?, &self.shortcut.forward(x, pass)?)
    }
}
