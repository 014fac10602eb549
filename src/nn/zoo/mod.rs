//! The model zoo: nets as the public pytorch-cifar collection builds and names them, with a `width`.

mod lenet;
mod mlp;
mod resnet;

use candle_core::{DType, Device, Result};
use serde::{Deserialize, Serialize};

use super::{Init, Net, Store};
use crate::catalog::Entry;

/// What a net takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub classes: usize,
}

/// A model as an experiment file names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelConfig {
    Mlp {
        /// Sizes of the hidden layers.
        hidden: Vec<usize>,
        #[serde(default)]
        init: Init,
    },
    Lenet {
        #[serde(default)]
        init: Init,
    },
    Resnet18(Wide),
    Resnet34(Wide),
    Resnet50(Wide),
    Resnet101(Wide),
    Resnet152(Wide),
}

/// A model that comes in any width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wide {
    /// Channels behind the stem; 64 is the published size.
    #[serde(default = "published_width")]
    pub width: usize,
    #[serde(default)]
    pub init: Init,
}

const fn published_width() -> usize {
    64
}

/// Every model there is.
pub const CATALOG: &[Entry] = &[
    Entry {
        name: "mlp",
        help: "fully connected, ReLU between layers",
        example: r#"model = { kind = "mlp", hidden = [64, 32] }"#,
    },
    Entry { name: "lenet", help: "LeNet-5 with ReLU and max pooling", example: r#"model = { kind = "lenet" }"# },
    Entry {
        name: "resnet18",
        help: "ResNet-18 with the 3×3 stem for small images",
        example: r#"model = { kind = "resnet18", width = 16 }"#,
    },
    Entry {
        name: "resnet34",
        help: "ResNet-34 with the 3×3 stem for small images",
        example: r#"model = { kind = "resnet34", width = 16 }"#,
    },
    Entry {
        name: "resnet50",
        help: "ResNet-50 (bottlenecks) with the 3×3 stem for small images",
        example: r#"model = { kind = "resnet50", width = 16 }"#,
    },
    Entry {
        name: "resnet101",
        help: "ResNet-101 (bottlenecks) with the 3×3 stem for small images",
        example: r#"model = { kind = "resnet101", width = 16 }"#,
    },
    Entry {
        name: "resnet152",
        help: "ResNet-152 (bottlenecks) with the 3×3 stem for small images",
        example: r#"model = { kind = "resnet152", width = 16 }"#,
    },
];

impl ModelConfig {
    /// The name in the [`CATALOG`].
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mlp { .. } => "mlp",
            Self::Lenet { .. } => "lenet",
            Self::Resnet18(_) => "resnet18",
            Self::Resnet34(_) => "resnet34",
            Self::Resnet50(_) => "resnet50",
            Self::Resnet101(_) => "resnet101",
            Self::Resnet152(_) => "resnet152",
        }
    }

    /// Whether this net can be built for images of this shape; says why not.
    pub fn check(&self, shape: Shape) -> std::result::Result<(), String> {
        if shape.classes == 0 || shape.channels == 0 || shape.height.min(shape.width) == 0 {
            return Err("there is nothing in the images, or no class".into());
        }
        match self {
            Self::Mlp { hidden, .. } if hidden.iter().any(|size| !(1..=65_536).contains(size)) => {
                Err(format!("hidden layers {hidden:?}, sizes from 1 to 65536 expected"))
            }
            Self::Lenet { .. } if shape.height.min(shape.width) < lenet::SMALLEST => Err(format!(
                "images of {}×{} are too small for `lenet`, which needs {2}×{2}",
                shape.height,
                shape.width,
                lenet::SMALLEST
            )),
            Self::Mlp { .. } | Self::Lenet { .. } => Ok(()),
            Self::Resnet18(wide)
            | Self::Resnet34(wide)
            | Self::Resnet50(wide)
            | Self::Resnet101(wide)
            | Self::Resnet152(wide) => match wide.width {
                1..=4096 => Ok(()),
                width => Err(format!("a width of {width}, from 1 to 4096 expected")),
            },
        }
    }

    /// The net with its starting values, which depend on `seed` and on the names of its parameters alone.
    pub fn build(&self, shape: Shape, seed: u64, dtype: DType, device: &Device) -> Result<Net> {
        let store = |init| Store::new(seed, init, dtype, device);
        match self {
            Self::Mlp { hidden, init } => mlp::build(&store(*init), hidden, shape),
            Self::Lenet { init } => lenet::build(&store(*init), shape),
            Self::Resnet18(wide) => resnet::build(&store(wide.init), &resnet::DEPTH_18, wide.width, shape),
            Self::Resnet34(wide) => resnet::build(&store(wide.init), &resnet::DEPTH_34, wide.width, shape),
            Self::Resnet50(wide) => resnet::build(&store(wide.init), &resnet::DEPTH_50, wide.width, shape),
            Self::Resnet101(wide) => resnet::build(&store(wide.init), &resnet::DEPTH_101, wide.width, shape),
            Self::Resnet152(wide) => resnet::build(&store(wide.init), &resnet::DEPTH_152, wide.width, shape),
        }
    }
}
