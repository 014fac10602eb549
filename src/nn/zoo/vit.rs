//! Vision transformers (Dosovitskiy et al. 2021; the sizes of Touvron et al. 2021), named as in timm.
//!
//! Patches become tokens by a convolution, a class token is put before them (unless the head sees their mean, as in timm's
//! `global_pool="avg", class_token=False`) and learned positions are added; every block is
//! `x + attention(norm(x))`, then `x + mlp(norm(x))`. Every linear layer, and the patch embedding, is a block of curvature with the
//! tokens of all images as its rows. Norms, class token and positions take their plain gradients.

use candle_core::{Result, Tensor, Var};

use super::transformer::{Style, block};
use super::{Images, Pool, Vit};
use crate::nn::layer::{Conv2d, Layer, LayerNorm, Linear, Sequential};
use crate::nn::op::window::Window;
use crate::nn::{Net, Pass, Store};

/// Attention heads of each size.
pub const TINY: usize = 3;
pub const SMALL: usize = 6;

/// Blocks of either size.
const DEPTH: usize = 12;
/// Deviation of the class token and of positions at the start.
const DEVIATION: f64 = 0.02;

const STYLE: Style = Style {
    norms: ["norm1", "norm2"],
    attention: ["attn.qkv", "attn.proj"],
    mlp: ["mlp.fc1", "mlp.fc2"],
    causal: false,
    epsilon: 1e-6,
};

/// A transformer of `heads` heads, each `config.width` channels wide.
pub fn build(store: &Store, heads: usize, config: Vit, shape: Images) -> Result<Net> {
    let channels = heads * config.width;
    let mut root = Sequential::new().then(Tokens::new(store, config, channels, shape)?);
    for index in 0..DEPTH {
        let store = store.at(format!("blocks.{index}"));
        root = root.then(block(&store, &store, &STYLE, heads, channels)?);
    }
    let norm = |name: &str| LayerNorm::new(&store.at(name), channels, STYLE.epsilon);
    let root = match config.pool {
        Pool::Token => root.then(norm("norm")?).then(ClassToken),
        Pool::Mean => root.then(MeanToken).then(norm("fc_norm")?),
    };
    Ok(Net::new(root.then(Linear::new(&store.at("head"), channels, shape.classes)?), store))
}

/// Images, `N×H×W×C`, to tokens, `N×(1 + patches)×channels`, the class token first, if there is one.
struct Tokens {
    embedding: Conv2d,
    class: Option<Var>,
    positions: Var,
}

impl Tokens {
    fn new(store: &Store, Vit { patch, pool, .. }: Vit, channels: usize, shape: Images) -> Result<Self> {
        let window = Window { kernel: patch, stride: patch, padding: 0 };
        let count = (shape.height / patch) * (shape.width / patch) + usize::from(pool == Pool::Token);
        let class = || store.normal("cls_token", &[1, 1, channels], DEVIATION);
        Ok(Self {
            class: (pool == Pool::Token).then(class).transpose()?,
            positions: store.normal("pos_embed", &[1, count, channels], DEVIATION)?,
            embedding: Conv2d::new(&store.at("patch_embed.proj"), shape.channels, channels, window, true)?,
        })
    }
}

impl Layer for Tokens {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let patches = self.embedding.forward(x, pass)?.flatten(1, 2)?;
        let (batch, _, channels) = patches.dims3()?;
        let tokens = match &self.class {
            Some(class) => Tensor::cat(&[&pass.read(class).broadcast_as((batch, 1, channels))?, &patches], 1)?,
            None => patches,
        };
        tokens.broadcast_add(&pass.read(&self.positions))
    }
}

/// The class token of `N×T×channels`, `N×channels`.
struct ClassToken;

impl Layer for ClassToken {
    fn forward(&self, x: &Tensor, _pass: &Pass) -> Result<Tensor> {
        x.narrow(1, 0, 1)?.squeeze(1)
    }
}

/// The mean token of `N×T×channels`, `N×channels`.
struct MeanToken;

impl Layer for MeanToken {
    fn forward(&self, x: &Tensor, _pass: &Pass) -> Result<Tensor> {
        x.mean(1)
    }
}
