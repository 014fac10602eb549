//! Vision transformers (Dosovitskiy et al. 2021; the sizes of Touvron et al. 2021), named as in timm.
//!
//! Patches become tokens by a convolution, a class token is put before them and learned positions are added; every block is
//! `x + attention(norm(x))`, then `x + mlp(norm(x))`. Every linear layer, and the patch embedding, is a block of curvature with the
//! tokens of all images as its rows. Norms, class token and positions take their plain gradients.

use candle_core::{D, Result, Tensor, Var};

use super::{Shape, Vit};
use crate::nn::layer::{Conv2d, Gelu, Layer, LayerNorm, Linear, Sequential};
use crate::nn::op::relu::add;
use crate::nn::op::softmax::softmax;
use crate::nn::op::window::Window;
use crate::nn::{Net, Pass, Store};

/// Attention heads of each size.
pub const TINY: usize = 3;
pub const SMALL: usize = 6;

/// Blocks of either size.
const DEPTH: usize = 12;
/// How many times wider the hidden layer of a block's MLP is.
const EXPANSION: usize = 4;
/// Deviation of the class token and of positions at the start.
const DEVIATION: f64 = 0.02;

/// A transformer of `heads` heads, each `config.width` channels wide.
pub fn build(store: &Store, heads: usize, config: Vit, shape: Shape) -> Result<Net> {
    let channels = heads * config.width;
    let mut root = Sequential::new().then(Tokens::new(store, config.patch, channels, shape)?);
    for block in 0..DEPTH {
        let store = store.at(format!("blocks.{block}"));
        let attention = Sequential::new().then(LayerNorm::new(&store.at("norm1"), channels)?).then(Attention::new(
            &store.at("attn"),
            heads,
            channels,
        )?);
        let mlp = Sequential::new()
            .then(LayerNorm::new(&store.at("norm2"), channels)?)
            .then(Linear::new(&store.at("mlp.fc1"), channels, EXPANSION * channels)?)
            .then(Gelu)
            .then(Linear::new(&store.at("mlp.fc2"), EXPANSION * channels, channels)?);
        root = root.then(Residual(attention)).then(Residual(mlp));
    }
    let root = root.then(LayerNorm::new(&store.at("norm"), channels)?).then(ClassToken);
    Ok(Net::new(root.then(Linear::new(&store.at("head"), channels, shape.classes)?), store))
}

/// Images, `N×H×W×C`, to tokens, `N×(1 + patches)×channels`, the class token first.
struct Tokens {
    embedding: Conv2d,
    class: Var,
    positions: Var,
}

impl Tokens {
    fn new(store: &Store, patch: usize, channels: usize, shape: Shape) -> Result<Self> {
        let window = Window { kernel: patch, stride: patch, padding: 0 };
        let count = (shape.height / patch) * (shape.width / patch);
        Ok(Self {
            class: store.normal("cls_token", &[1, 1, channels], DEVIATION)?,
            positions: store.normal("pos_embed", &[1, 1 + count, channels], DEVIATION)?,
            embedding: Conv2d::new(&store.at("patch_embed.proj"), shape.channels, channels, window, true)?,
        })
    }
}

impl Layer for Tokens {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let patches = self.embedding.forward(x, pass)?.flatten(1, 2)?;
        let (batch, _, channels) = patches.dims3()?;
        let class = pass.read(&self.class).broadcast_as((batch, 1, channels))?;
        Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&pass.read(&self.positions))
    }
}

/// Self-attention of several heads, `N×T×channels` to the same.
struct Attention {
    /// Queries, keys and values of all heads in one layer.
    qkv: Linear,
    out: Linear,
    heads: usize,
}

impl Attention {
    fn new(store: &Store, heads: usize, channels: usize) -> Result<Self> {
        Ok(Self {
            qkv: Linear::new(&store.at("qkv"), channels, 3 * channels)?,
            out: Linear::new(&store.at("proj"), channels, channels)?,
            heads,
        })
    }
}

impl Layer for Attention {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let (batch, tokens, channels) = x.dims3()?;
        let width = channels / self.heads;
        let qkv = self.qkv.forward(x, pass)?.reshape((batch, tokens, 3, self.heads, width))?;
        // N × heads × T × width each.
        let part = |which| qkv.narrow(2, which, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        let queries = (queries * (1.0 / (width as f64).sqrt()))?;
        let weights = softmax(&queries.matmul(&keys.transpose(D::Minus1, D::Minus2)?.contiguous()?)?)?;
        let mixed = weights.matmul(&values)?.transpose(1, 2)?.contiguous()?.reshape((batch, tokens, channels))?;
        self.out.forward(&mixed, pass)
    }
}

/// `x + inner(x)`.
struct Residual(Sequential);

impl Layer for Residual {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        add(x, &self.0.forward(x, pass)?)
    }
}

/// The class token of `N×T×channels`, `N×channels`.
struct ClassToken;

impl Layer for ClassToken {
    fn forward(&self, x: &Tensor, _pass: &Pass) -> Result<Tensor> {
        x.narrow(1, 0, 1)?.squeeze(1)
    }
}
