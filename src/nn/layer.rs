//! Layers: parameters bound to operations. Names and defaults are PyTorch's.

use candle_core::{Result, Tensor, Var};

use super::Pass;
use super::op::window::Window;
use super::op::{concat, conv, gelu, grouped, layer_norm, norm, pool, relu, sigmoid};
use super::store::{Affine, Grouped, Store};

/// A part of a net, from tensor to tensor.
pub trait Layer: Send + Sync {
    /// The output for `x`; images are `N×H×W×C`.
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor>;
}

/// Layers one after the other.
#[derive(Default)]
pub struct Sequential(Vec<Box<dyn Layer>>);

impl Sequential {
    /// No layers: the identity.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more layer at the end.
    #[must_use]
    pub fn then(mut self, layer: impl Layer + 'static) -> Self {
        self.0.push(Box::new(layer));
        self
    }
}

impl Layer for Sequential {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, pass))
    }
}

/// A convolution, `N×H×W×C_in` to `N×H'×W'×C_out`.
pub struct Conv2d {
    affine: Affine,
    window: Window,
}

impl Conv2d {
    /// A convolution of one group.
    pub fn new(store: &Store, inputs: usize, outputs: usize, window: Window, bias: bool) -> Result<Self> {
        Ok(Self { affine: store.conv(window.kernel, inputs, outputs, bias)?, window })
    }
}

impl Layer for Conv2d {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let Affine { weight, bias, block, engine } = &self.affine;
        let bias = bias.as_ref().map(|bias| pass.read(bias));
        conv::conv2d(x, &pass.read(weight), bias.as_ref(), self.window, pass.recorder(*block), *engine)
    }
}

/// A convolution whose channels fall into groups, without bias and without a block of curvature.
pub struct GroupedConv2d {
    grouped: Grouped,
    window: Window,
}

impl GroupedConv2d {
    /// `groups` convolutions side by side, each from `inputs / groups` channels to `outputs / groups`; depthwise where all three are equal.
    pub fn new(store: &Store, [inputs, outputs]: [usize; 2], groups: usize, window: Window) -> Result<Self> {
        grouped::check(inputs, outputs, groups)?;
        Ok(Self { grouped: store.grouped_conv(window.kernel, [inputs, outputs], groups)?, window })
    }
}

impl Layer for GroupedConv2d {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let Grouped { weight, groups, engine } = &self.grouped;
        grouped::grouped_conv2d(x, &pass.read(weight), self.window, *groups, *engine)
    }
}

/// A fully connected layer over the last axis.
pub struct Linear(Affine);

impl Linear {
    /// With a bias.
    pub fn new(store: &Store, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self(store.linear(inputs, outputs, true)?))
    }

    /// Without one.
    pub fn without_bias(store: &Store, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self(store.linear(inputs, outputs, false)?))
    }
}

impl Layer for Linear {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let Affine { weight, bias, block, engine } = &self.0;
        let bias = bias.as_ref().map(|bias| pass.read(bias));
        conv::linear(x, &pass.read(weight), bias.as_ref(), pass.recorder(*block), *engine)
    }
}

/// Batch normalisation over all axes but the channels: ε = 1e-5, momentum 0.1, unbiased running variance.
pub struct BatchNorm {
    gamma: Var,
    beta: Var,
    mean: Var,
    variance: Var,
    rectified: bool,
}

impl BatchNorm {
    const EPSILON: f64 = 1e-5;
    const MOMENTUM: f64 = 0.1;

    /// Scale one, shift zero.
    pub fn new(store: &Store, channels: usize) -> Result<Self> {
        Ok(Self {
            gamma: store.vector("weight", channels, 1.0)?,
            beta: store.vector("bias", channels, 0.0)?,
            mean: store.buffer("running_mean", channels, 0.0)?,
            variance: store.buffer("running_var", channels, 1.0)?,
            rectified: false,
        })
    }

    /// With a rectifier behind it, in one pass.
    #[must_use]
    pub fn then_relu(self) -> Self {
        Self { rectified: true, ..self }
    }

    fn remember(&self, statistics: &norm::Statistics, count: usize) -> Result<()> {
        if count < 2 {
            candle_core::bail!("batch norm needs more than one value per channel in training (got {count})")
        }
        let unbiased = (&statistics.variance * (count as f64 / (count as f64 - 1.0)))?;
        for (running, new) in [(&self.mean, &statistics.mean), (&self.variance, &unbiased)] {
            running.set(&((running.as_detached_tensor() * (1.0 - Self::MOMENTUM))? + (new * Self::MOMENTUM)?)?)?;
        }
        Ok(())
    }
}

impl Layer for BatchNorm {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let (gamma, beta) = (pass.read(&self.gamma), pass.read(&self.beta));
        if pass.trains() {
            let (y, statistics) = norm::batch_norm(x, &gamma, &beta, Self::EPSILON, self.rectified)?;
            self.remember(&statistics, x.elem_count() / gamma.elem_count())?;
            return Ok(y);
        }
        let scale = ((self.variance.as_detached_tensor() + Self::EPSILON)?.sqrt()?.recip()? * gamma)?;
        norm::affine(x, [&self.mean.as_detached_tensor(), &scale, &beta], self.rectified)
    }
}

/// Layer normalisation over the last axis.
pub struct LayerNorm {
    gamma: Var,
    beta: Var,
    epsilon: f64,
}

impl LayerNorm {
    /// Scale one, shift zero.
    pub fn new(store: &Store, channels: usize, epsilon: f64) -> Result<Self> {
        let (gamma, beta) = (store.vector("weight", channels, 1.0)?, store.vector("bias", channels, 0.0)?);
        Ok(Self { gamma, beta, epsilon })
    }
}

impl Layer for LayerNorm {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        layer_norm::layer_norm(x, &pass.read(&self.gamma), &pass.read(&self.beta), self.epsilon)
    }
}

/// `x·Φ(x)`.
pub struct Gelu;

impl Layer for Gelu {
    fn forward(&self, x: &Tensor, _pass: &Pass) -> Result<Tensor> {
        gelu::gelu(x)
    }
}

/// `1/(1 + e^(−x))`.
pub struct Sigmoid;

impl Layer for Sigmoid {
    fn forward(&self, x: &Tensor, _pass: &Pass) -> Result<Tensor> {
        sigmoid::sigmoid(x)
    }
}

/// `max(x, 0)`.
pub struct Relu;

impl Layer for Relu {
    fn forward(&self, x: &Tensor, _pass: &Pass) -> Result<Tensor> {
        relu::relu(x)
    }
}

/// The largest value in each window.
pub struct MaxPool(pub Window);

impl Layer for MaxPool {
    fn forward(&self, x: &Tensor, _pass: &Pass) -> Result<Tensor> {
        pool::max_pool(x, self.0)
    }
}

/// The mean of each window.
pub struct AveragePool(pub Window);

impl Layer for AveragePool {
    fn forward(&self, x: &Tensor, _pass: &Pass) -> Result<Tensor> {
        pool::average_pool(x, self.0)
    }
}

/// The mean over height and width, `N×H×W×C` to `N×C`.
pub struct GlobalAveragePool;

impl Layer for GlobalAveragePool {
    fn forward(&self, x: &Tensor, _pass: &Pass) -> Result<Tensor> {
        pool::global_average_pool(x)
    }
}

/// `N×H×W×C` to `N×(C·H·W)`, channels slowest, so that the weights behind it are PyTorch's; vectors stay as they are.
pub struct Flatten;

impl Layer for Flatten {
    fn forward(&self, x: &Tensor, _pass: &Pass) -> Result<Tensor> {
        if x.rank() == 2 { Ok(x.clone()) } else { concat::flatten(x) }
    }
}
