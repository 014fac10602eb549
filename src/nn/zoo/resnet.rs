//! Residual nets (He et al. 2016; grouped ones Xie et al. 2017): as pytorch-cifar builds them for small images, and as torchvision does for
//! ImageNet's.

use candle_core::{Result, Tensor};

use super::Images;
use crate::nn::layer::{BatchNorm, Conv2d, GlobalAveragePool, GroupedConv2d, Layer, Linear, MaxPool, Sequential};
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
    /// The same with a middle twice as wide, in groups.
    Grouped { groups: usize },
}

pub const DEPTH_18: Depth = Depth { block: Block::Basic, stages: [2, 2, 2, 2] };
pub const DEPTH_34: Depth = Depth { block: Block::Basic, stages: [3, 4, 6, 3] };
pub const DEPTH_50: Depth = Depth { block: Block::Bottleneck, stages: [3, 4, 6, 3] };
pub const DEPTH_101: Depth = Depth { block: Block::Bottleneck, stages: [3, 4, 23, 3] };
pub const DEPTH_152: Depth = Depth { block: Block::Bottleneck, stages: [3, 8, 36, 3] };

/// The net's width divided by this is the number of groups.
pub const OF_GROUP: usize = 2;

/// 32×4d at width 64: 32 groups, of 4 channels in the first stage.
pub const fn grouped_50(width: usize) -> Depth {
    Depth { block: Block::Grouped { groups: width / OF_GROUP }, stages: [3, 4, 6, 3] }
}

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
pub fn build(store: &Store, depth: &Depth, style: Style, width: usize, shape: Images) -> Result<Net> {
    let mut root = Sequential::new()
        .then(Conv2d::new(&store.at("conv1"), shape.channels, width, style.stem, false)?)
        .then(BatchNorm::new(&store.at("bn1"), width)?.then_relu());
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

/// `relu(body(x) + shortcut(x))`.
struct Residual {
    body: Sequential,
    shortcut: Sequential,
    outputs: usize,
}

impl Residual {
    fn new(store: &Store, block: Block, name: &str, [inputs, planes]: [usize; 2], stride: usize) -> Result<Self> {
        let around = |middle| vec![square(1, 1), middle, square(1, 1)];
        let (windows, middle, outputs) = match block {
            Block::Basic => (vec![square(3, stride), square(3, 1)], planes, planes),
            Block::Bottleneck => (around(square(3, stride)), planes, 4 * planes),
            Block::Grouped { .. } => (around(square(3, stride)), 2 * planes, 4 * planes),
        };
        let last = windows.len() - 1;
        let mut body = Sequential::new();
        for (i, window) in windows.into_iter().enumerate() {
            let inputs = if i == 0 { inputs } else { middle };
            let outputs = if i == last { outputs } else { middle };
            let conv = store.at(format!("conv{}", i + 1));
            body = match block {
                Block::Grouped { groups } if i == 1 => {
                    body.then(GroupedConv2d::new(&conv, [inputs, outputs], groups, window)?)
                }
                _ => body.then(Conv2d::new(&conv, inputs, outputs, window, false)?),
            };
            let norm = BatchNorm::new(&store.at(format!("bn{}", i + 1)), outputs)?;
            body = body.then(if i == last { norm } else { norm.then_relu() });
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
