//! A decoder-only transformer for text (Radford et al. 2019), named as in GPT-2: norms in front, learned positions, exact GELU.
//!
//! Every linear layer, the head with them, is a block of curvature with the tokens of all examples as its rows. Embeddings and norms take
//! their plain gradients. The head is not tied to the embedding and has no bias.

use candle_core::{Result, Tensor, Var};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shape::{Input, Shape};
use super::transformer::{Style, block};
use crate::nn::layer::{Layer, LayerNorm, Linear, Sequential};
use crate::nn::op::embedding::embedding;
use crate::nn::{Init, Net, Pass, Store};

const STYLE: Style = Style {
    norms: ["ln_1", "ln_2"],
    attention: ["attn.c_attn", "attn.c_proj"],
    mlp: ["mlp.c_fc", "mlp.c_proj"],
    causal: true,
    epsilon: 1e-5,
};

/// A transformer for text. Its vocabulary and context are those of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gpt {
    #[serde(default = "four")]
    pub layers: usize,
    /// Attention heads; they share the width.
    #[serde(default = "four")]
    pub heads: usize,
    /// Channels of a token.
    #[serde(default = "small_width")]
    pub width: usize,
    #[serde(default = "gpt2")]
    pub init: Init,
}

const fn four() -> usize {
    4
}

const fn small_width() -> usize {
    128
}

const fn gpt2() -> Init {
    Init::Gpt2
}

impl Gpt {
    /// Whether there is such a net; says why not.
    pub fn check(&self) -> std::result::Result<(), String> {
        let Self { layers, heads, width, .. } = *self;
        if !(1..=96).contains(&layers) {
            return Err(format!("{layers} layers (must be from 1 to 96)"));
        }
        if !(1..=16_384).contains(&width) {
            return Err(format!("a width of {width} (must be from 1 to 16384)"));
        }
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(format!("a width of {width} does not fall into {heads} heads"));
        }
        Ok(())
    }
}

/// Tokens, `N×T`, to logits, `N×T×V`.
pub fn build(store: &Store, config: Gpt, shape: Shape) -> Result<Net> {
    let Input::Tokens { vocabulary, context } = shape.input else { candle_core::bail!("`gpt` takes tokens") };
    let Gpt { layers, heads, width, .. } = config;
    let embedding = Embedding {
        table: store.embedding("wte.weight", [vocabulary, width])?,
        positions: store.embedding("wpe.weight", [context, width])?,
    };
    let mut root = Sequential::new().then(embedding);
    for layer in 0..layers {
        let store = store.at(format!("h.{layer}"));
        // GPT-2's start: as many residual branches add up.
        let ends = store.damped(1.0 / (2.0 * layers as f64).sqrt());
        root = root.then(block(&store, &ends, &STYLE, heads, width)?);
    }
    let root = root.then(LayerNorm::new(&store.at("ln_f"), width, STYLE.epsilon)?);
    Ok(Net::new(root.then(Linear::without_bias(&store.at("lm_head"), width, shape.outputs)?), store))
}

/// Tokens, `N×T`, to their rows of the table with positions added, `N×T×width`.
struct Embedding {
    table: Var,
    positions: Var,
}

impl Layer for Embedding {
    fn forward(&self, tokens: &Tensor, pass: &Pass) -> Result<Tensor> {
        embedding(tokens, &pass.read(&self.table), &pass.read(&self.positions))
    }
}
