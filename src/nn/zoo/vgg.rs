//! VGG nets (Simonyan & Zisserman 2015) with batch norm and one linear layer, as is usual for small images.

use candle_core::Result;

use super::Images;
use crate::nn::layer::{BatchNorm, Conv2d, Flatten, Linear, MaxPool, Sequential};
use crate::nn::op::window::Window;
use crate::nn::{Net, Store};

/// Channels of each convolution as multiples of the width; 0 is a pooling.
pub type Plan = &'static [usize];

pub const PLAN_11: Plan = &[1, 0, 2, 0, 4, 4, 0, 8, 8, 0, 8, 8, 0];
pub const PLAN_13: Plan = &[1, 1, 0, 2, 2, 0, 4, 4, 0, 8, 8, 0, 8, 8, 0];
pub const PLAN_16: Plan = &[1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0];
pub const PLAN_19: Plan = &[1, 1, 0, 2, 2, 0, 4, 4, 4, 4, 0, 8, 8, 8, 8, 0, 8, 8, 8, 8, 0];

const CONV: Window = Window { kernel: 3, stride: 1, padding: 1 };
const POOL: Window = Window { kernel: 2, stride: 2, padding: 0 };

/// Edges that five poolings leave one pixel of.
pub const EDGES: std::ops::Range<usize> = 32..64;

/// Layers are numbered as in PyTorch's `features`, poolings and rectifiers counted.
pub fn build(store: &Store, plan: Plan, width: usize, shape: Images) -> Result<Net> {
    let (mut root, mut inputs, mut index) = (Sequential::new(), shape.channels, 0);
    let features = store.at("features");
    for &multiple in plan {
        if multiple == 0 {
            root = root.then(MaxPool(POOL));
            index += 1;
            continue;
        }
        let outputs = multiple * width;
        root = root
            .then(Conv2d::new(&features.at(index), inputs, outputs, CONV, false)?)
            .then(BatchNorm::new(&features.at(index + 1), outputs)?.then_relu());
        (inputs, index) = (outputs, index + 3);
    }
    Ok(Net::new(root.then(Flatten).then(Linear::new(&store.at("classifier"), inputs, shape.classes)?), store))
}
