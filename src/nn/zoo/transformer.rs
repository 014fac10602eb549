//! What transformers have in common: self-attention, and blocks `x + attention(norm(x))`, `x + mlp(norm(x))` with the norm in front.

use candle_core::{Result, Tensor};

use crate::nn::layer::{Gelu, Layer, LayerNorm, Linear, Sequential};
use crate::nn::op::attention::attention;
use crate::nn::op::relu::add;
use crate::nn::{Pass, Store};

/// How many times wider the hidden layer of a block's MLP is.
const EXPANSION: usize = 4;

/// What tells one family of transformers from another.
pub struct Style {
    /// Names of the two norms.
    pub norms: [&'static str; 2],
    /// Names of the layer that gives queries, keys and values, and of the one behind the heads.
    pub attention: [&'static str; 2],
    /// Names of the two layers of the MLP.
    pub mlp: [&'static str; 2],
    /// Whether a token sees itself and those before it only.
    pub causal: bool,
    /// ε of the norms.
    pub epsilon: f64,
}

/// One block of `heads` heads, `N×T×channels` to the same. What ends a residual branch starts from `ends`, all else from `store`.
pub fn block(store: &Store, ends: &Store, style: &Style, heads: usize, channels: usize) -> Result<Sequential> {
    let Style { norms: [norm1, norm2], mlp: [wide, narrow], .. } = style;
    let norm = |name: &str| LayerNorm::new(&store.at(name), channels, style.epsilon);
    let attention = Sequential::new().then(norm(norm1)?).then(Attention::new(store, ends, style, heads, channels)?);
    let mlp = Sequential::new()
        .then(norm(norm2)?)
        .then(Linear::new(&store.at(wide), channels, EXPANSION * channels)?)
        .then(Gelu)
        .then(Linear::new(&ends.at(narrow), EXPANSION * channels, channels)?);
    Ok(Sequential::new().then(Residual(attention)).then(Residual(mlp)))
}

/// Self-attention of several heads, `N×T×channels` to the same.
struct Attention {
    /// Queries, keys and values of all heads in one layer.
    qkv: Linear,
    out: Linear,
    heads: usize,
    causal: bool,
}

impl Attention {
    fn new(store: &Store, ends: &Store, style: &Style, heads: usize, channels: usize) -> Result<Self> {
        let [qkv, out] = style.attention;
        Ok(Self {
            qkv: Linear::new(&store.at(qkv), channels, 3 * channels)?,
            out: Linear::new(&ends.at(out), channels, channels)?,
            heads,
            causal: style.causal,
        })
    }
}

impl Layer for Attention {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let mixed = attention(&self.qkv.forward(x, pass)?, self.heads, self.causal)?;
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
