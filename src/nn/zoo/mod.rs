//! The model zoo: nets as the public pytorch-cifar collection builds and names them, with a `width`.

mod densenet;
mod googlenet;
mod lenet;
mod mlp;
mod resnet;
mod vgg;

use candle_core::{DType, Device, Result};
use serde::{Deserialize, Serialize};

use super::{Init, Net, Store};
use crate::catalog::Entry;
use crate::kernel::conv::Engine;

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
    Vgg11(Wide),
    Vgg13(Wide),
    Vgg16(Wide),
    Vgg19(Wide),
    Densenet121(Wide),
    Densenet169(Wide),
    Densenet201(Wide),
    Googlenet(Wide),
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

impl Wide {
    fn check(&self, narrowest: usize) -> std::result::Result<(), String> {
        match self.width {
            width if (narrowest..=4096).contains(&width) => Ok(()),
            width => Err(format!("a width of {width}, from {narrowest} to 4096 expected")),
        }
    }
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
    Entry {
        name: "vgg11",
        help: "VGG-11 with batch norm, for images of 32 to 63 pixels",
        example: r#"model = { kind = "vgg11", width = 16 }"#,
    },
    Entry {
        name: "vgg13",
        help: "VGG-13 with batch norm, for images of 32 to 63 pixels",
        example: r#"model = { kind = "vgg13", width = 16 }"#,
    },
    Entry {
        name: "vgg16",
        help: "VGG-16 with batch norm, for images of 32 to 63 pixels",
        example: r#"model = { kind = "vgg16", width = 16 }"#,
    },
    Entry {
        name: "vgg19",
        help: "VGG-19 with batch norm, for images of 32 to 63 pixels",
        example: r#"model = { kind = "vgg19", width = 16 }"#,
    },
    Entry {
        name: "densenet121",
        help: "DenseNet-121 with the 3×3 stem, growth half the width",
        example: r#"model = { kind = "densenet121", width = 16 }"#,
    },
    Entry {
        name: "densenet169",
        help: "DenseNet-169 with the 3×3 stem, growth half the width",
        example: r#"model = { kind = "densenet169", width = 16 }"#,
    },
    Entry {
        name: "densenet201",
        help: "DenseNet-201 with the 3×3 stem, growth half the width",
        example: r#"model = { kind = "densenet201", width = 16 }"#,
    },
    Entry {
        name: "googlenet",
        help: "GoogLeNet with batch norm and the 3×3 stem",
        example: r#"model = { kind = "googlenet", width = 16 }"#,
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
            Self::Vgg11(_) => "vgg11",
            Self::Vgg13(_) => "vgg13",
            Self::Vgg16(_) => "vgg16",
            Self::Vgg19(_) => "vgg19",
            Self::Densenet121(_) => "densenet121",
            Self::Densenet169(_) => "densenet169",
            Self::Densenet201(_) => "densenet201",
            Self::Googlenet(_) => "googlenet",
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
            Self::Vgg11(wide) | Self::Vgg13(wide) | Self::Vgg16(wide) | Self::Vgg19(wide) => {
                if ![shape.height, shape.width].iter().all(|edge| vgg::EDGES.contains(edge)) {
                    let (height, width, name) = (shape.height, shape.width, self.name());
                    return Err(format!(
                        "images of {height}×{width} do not fit `{name}`, edges from 32 to 63 expected"
                    ));
                }
                wide.check(1)
            }
            Self::Densenet121(wide) | Self::Densenet169(wide) | Self::Densenet201(wide) => {
                if shape.height.min(shape.width) < 8 {
                    return Err("images smaller than 8×8 do not survive three poolings".into());
                }
                wide.check(2)
            }
            Self::Googlenet(wide) => wide.check(googlenet::NARROWEST),
            Self::Resnet18(wide)
            | Self::Resnet34(wide)
            | Self::Resnet50(wide)
            | Self::Resnet101(wide)
            | Self::Resnet152(wide) => wide.check(1),
        }
    }

    /// The net with its starting values, which depend on `seed` and on the names of its parameters alone.
    pub fn build(&self, shape: Shape, seed: u64, dtype: DType, device: &Device) -> Result<Net> {
        self.build_for(shape, seed, dtype, device, Engine::Auto)
    }

    /// [`build`](Self::build), with layers that compute their products by `engine`.
    pub fn build_for(
        &self,
        shape: Shape,
        seed: u64,
        dtype: DType,
        device: &Device,
        engine: Engine,
    ) -> Result<Net> {
        let store = |init| Store::new(seed, init, dtype, device).with_engine(engine);
        match self {
            Self::Mlp { hidden, init } => mlp::build(&store(*init), hidden, shape),
            Self::Lenet { init } => lenet::build(&store(*init), shape),
            Self::Resnet18(wide) => resnet::build(&store(wide.init), &resnet::DEPTH_18, wide.width, shape),
            Self::Resnet34(wide) => resnet::build(&store(wide.init), &resnet::DEPTH_34, wide.width, shape),
            Self::Resnet50(wide) => resnet::build(&store(wide.init), &resnet::DEPTH_50, wide.width, shape),
            Self::Resnet101(wide) => resnet::build(&store(wide.init), &resnet::DEPTH_101, wide.width, shape),
            Self::Resnet152(wide) => resnet::build(&store(wide.init), &resnet::DEPTH_152, wide.width, shape),
            Self::Vgg11(wide) => vgg::build(&store(wide.init), vgg::PLAN_11, wide.width, shape),
            Self::Vgg13(wide) => vgg::build(&store(wide.init), vgg::PLAN_13, wide.width, shape),
            Self::Vgg16(wide) => vgg::build(&store(wide.init), vgg::PLAN_16, wide.width, shape),
            Self::Vgg19(wide) => vgg::build(&store(wide.init), vgg::PLAN_19, wide.width, shape),
            Self::Densenet121(wide) => densenet::build(&store(wide.init), densenet::DEPTH_121, wide.width, shape),
            Self::Densenet169(wide) => densenet::build(&store(wide.init), densenet::DEPTH_169, wide.width, shape),
            Self::Densenet201(wide) => densenet::build(&store(wide.init), densenet::DEPTH_201, wide.width, shape),
            Self::Googlenet(wide) => googlenet::build(&store(wide.init), wide.width, shape),
        }
    }
}
