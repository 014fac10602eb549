//! Autoencoders of fully connected layers (Hinton & Salakhutdinov 2006; KFAC's home ground in Martens & Grosse 2015): down to a code and,
//! mirrored, up again.
//!
//! Sigmoids stand between the layers, but none behind the code, nor behind the last layer, whose outputs are logits or means.

use candle_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mlp;
use crate::nn::layer::{Flatten, Linear, Sequential, Sigmoid};
use crate::nn::{Init, Net, Store};

/// A net that gives back what it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Autoencoder {
    /// Sizes of the layers down to the code, which is the last.
    #[serde(default = "of_mnist")]
    pub hidden: Vec<usize>,
    #[serde(default = "sparse")]
    pub init: Init,
}

/// Of the paper's net for MNIST.
fn of_mnist() -> Vec<usize> {
    vec![1000, 500, 250, 30]
}

const fn sparse() -> Init {
    Init::Sparse
}

impl Autoencoder {
    /// Whether there is such a net; says why not.
    pub fn check(&self) -> std::result::Result<(), String> {
        if self.hidden.is_empty() {
            return Err("`hidden` names no layer: the last one is the code".into());
        }
        mlp::check(&self.hidden)
    }

    /// Layers of sizes `inputs`, `hidden` … and back.
    pub fn build(&self, store: &Store, inputs: usize) -> Result<Net> {
        let down = std::iter::once(inputs).chain(self.hidden.iter().copied());
        let sizes: Vec<usize> = down.clone().chain(down.collect::<Vec<_>>().into_iter().rev().skip(1)).collect();
        let (code, last) = (self.hidden.len(), 2 * self.hidden.len());
        let mut root = Sequential::new().then(Flatten);
        for (i, pair) in (1..).zip(sizes.windows(2)) {
            root = root.then(Linear::new(&store.at(format!("fc{i}")), pair[0], pair[1])?);
            if i != code && i != last {
                root = root.then(Sigmoid);
            }
        }
        Ok(Net::new(root, store))
    }
}
