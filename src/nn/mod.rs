//! Nets: layers over candle tensors, their parameters and initialisation, and the zoo of models.
//!
//! A net turns `N×H×W×C` images or `N×D` vectors into `N×K` logits, or `N×T` tokens into `N×T×K`. It knows nothing of optimizers: its layers hand second moments to
//! whoever opened a [`Tap`](crate::param::Tap) on the [`Pass`].

pub mod layer;
pub mod op;
mod pass;
pub mod store;
pub mod weights;
pub mod zoo;

pub use layer::{Layer, Sequential};
pub use op::backward;
pub use op::loss::{bernoulli, cross_entropy, softmax, squared};
pub use op::sigmoid::sigmoid;
pub use pass::Pass;
pub use store::{Init, Store};

use candle_core::{Result, Tensor};

use crate::param::Params;

/// A model with its parameters.
pub struct Net {
    pub params: Params,
    root: Box<dyn Layer>,
}

impl Net {
    /// Binds the layers under `root` to the parameters that `store` gave them.
    pub fn new(root: impl Layer + 'static, store: &Store) -> Self {
        Self { params: store.params(), root: Box::new(root) }
    }

    /// What the net makes of `inputs`, which are as its [`zoo::Shape`] says.
    pub fn forward(&self, inputs: &Tensor, pass: &Pass) -> Result<Tensor> {
        self.root.forward(inputs, pass)
    }
}
