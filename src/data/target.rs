//! What is to be learned of each example.

use candle_core::{Device, Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Images, Normalisation};

/// What is to be learned, as an experiment file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// What the data have beside an example: its class, or numbers; of text the next token.
    #[default]
    Label,
    /// The example itself.
    Input,
}

impl Target {
    pub(super) const fn is_label(&self) -> bool {
        matches!(self, Self::Label)
    }

    /// Makes it what `images` have to be learned. Where it is themselves, pixels are seen as they are to be given: in [0, 1].
    pub(super) fn set(self, images: &mut Images) {
        if self == Self::Input {
            images.targets = Targets::Input;
            images.normalisation = Normalisation::none(images.shape.channels);
        }
    }
}

/// What a set has to be learned of its examples. Their classes are known beside it, for choices that take the same share of each.
#[derive(Debug, Clone)]
pub enum Targets {
    /// The class.
    Classes,
    /// Numbers, `N×K` with K in place of the classes.
    Values(Vec<f32>),
    /// The example itself, as a vector, channels slowest.
    Input,
}

impl Targets {
    /// Those at `indices`, of `each` numbers.
    pub(super) fn select(&self, indices: &[usize], each: usize) -> Self {
        match self {
            Self::Classes => Self::Classes,
            Self::Values(values) => Self::Values(super::chosen(values, indices, each)),
            Self::Input => Self::Input,
        }
    }

    /// Those of a batch with `inputs`, `N×H×W×C`: classes `N`, or numbers `N×K`.
    pub(super) fn batch(&self, inputs: &Tensor, indices: &[usize], classes: Vec<u32>, each: usize) -> Result<Tensor> {
        match self {
            Self::Classes => Tensor::new(classes, &Device::Cpu),
            Self::Values(values) => {
                Tensor::from_vec(super::chosen(values, indices, each), (indices.len(), each), &Device::Cpu)
            }
            Self::Input => inputs.permute((0, 3, 1, 2))?.flatten_from(1),
        }
    }
}
