//! Residual nets whose norms and rectifiers stand before the convolutions (He et al. 2016, "Identity mappings"), with the 3×3 stem
//! and, as in pytorch-cifar, no norm at the end.

use candle_core::{Result, Tensor};

use super::Images;
use crate::nn::layer::{BatchNorm, Conv2d, GlobalAveragePool, Layer, Linear, Sequential};
use crate::nn::op::relu::add;
use crate::nn::op::window::Window;
use crate::nn::{Net, Pass, Store};

/// PreAct-ResNet-18: four stages of two blocks, `width` channels in the first stage, twice as many in each further one.
pub fn build(store: &Store, width: usize, shape: Images) -> Result<Net> {
    let mut root = Sequential::new().then(Conv2d::new(&store.at("conv1"), shape.channels, width, square(1), false)?);
    let mut inputs = width;
    for stage in 0..4 {
        for i in 0..2 {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            let store = store.at(format!("layer{}.{i}", stage + 1));
            root = root.then(PreAct::new(&store, inputs, width << stage, stride)?);
            inputs = width << stage;
        }
    }
    Ok(Net::new(root.then(GlobalAveragePool).then(Linear::new(&store.at("linear"), inputs, shape.classes)?), store))
}

const fn square(stride: usize) -> Window {
    Window { kernel: 3, stride, padding: 1 }
}

/// `body(h) + shortcut`, `h = relu(norm(x))`; the shortcut is a 1×1 convolution of `h` where the shape changes, else `x`.
struct PreAct {
    enter: Sequential,
    body: Sequential,
    shortcut: Option<Conv2d>,
}

impl PreAct {
    fn new(store: &Store, inputs: usize, outputs: usize, stride: usize) -> Result<Self> {
        let enter = Sequential::new().then(BatchNorm::new(&store.at("bn1"), inputs)?.then_relu());
        let body = Sequential::new()
            .then(Conv2d::new(&store.at("conv1"), inputs, outputs, square(stride), false)?)
            .then(BatchNorm::new(&store.at("bn2"), outputs)?.then_relu())
            .then(Conv2d::new(&store.at("conv2"), outputs, outputs, square(1), false)?);
        let point = Window { kernel: 1, stride, padding: 0 };
        let shortcut = (stride != 1 || inputs != outputs)
            .then(|| Conv2d::new(&store.at("shortcut.0"), inputs, outputs, point, false))
            .transpose()?;
        Ok(Self { enter, body, shortcut })
    }
}

impl Layer for PreAct {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let entered = self.enter.forward(x, pass)?;
        let shortcut = match &self.shortcut {
            Some(conv) => conv.forward(&entered, pass)?,
            None => x.clone(),
        };
        add(&self.body.forward(&entered, pass)?, &shortcut)
    }
}
