//! The model zoo: nets as the public pytorch-cifar collection builds and names them, with a `width`.

mod autoencoder;
mod batch;
mod catalog;
mod densenet;
mod googlenet;
mod gpt;
mod lenet;
mod mlp;
mod mobilenet;
mod preact;
mod resnet;
mod shape;
mod transformer;
mod vgg;
mod vit;

use candle_core::{DType, Device, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use autoencoder::Autoencoder;
pub use catalog::CATALOG;
pub use gpt::Gpt;
pub use shape::{Images, Input, Shape};

use super::{Init, Net, Store};
use crate::kernel::Engine;

/// A model as an experiment file names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    PreactResnet18(Wide),
    MobilenetV2(Wide),
    Resnext50(Wide),
    Resnet18Imagenet(Wide),
    Resnet34Imagenet(Wide),
    Resnet50Imagenet(Wide),
    Resnet101Imagenet(Wide),
    Resnet152Imagenet(Wide),
    VitTiny(Vit),
    VitSmall(Vit),
    Gpt(Gpt),
    Autoencoder(Autoencoder),
}

/// A model that comes in any width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wide {
    /// Channels behind the stem; 64 is the published size.
    #[serde(default = "published_width")]
    pub width: usize,
    #[serde(default)]
    pub init: Init,
}

/// A vision transformer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vit {
    /// Pixels along the edge of a patch; a token each.
    #[serde(default = "small_patch")]
    pub patch: usize,
    /// Channels of an attention head; 64 is the published size.
    #[serde(default = "published_width")]
    pub width: usize,
    /// Written only where it is not the default, so that it changed no name of a trial.
    #[serde(default, skip_serializing_if = "Pool::is_token")]
    pub pool: Pool,
    #[serde(default)]
    pub init: Init,
}

/// What the head of a vision transformer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// A class token, which is put before the patches.
    #[default]
    Token,
    /// The mean of the patches; there is no class token.
    Mean,
}

impl Pool {
    const fn is_token(&self) -> bool {
        matches!(self, Self::Token)
    }
}

impl Vit {
    fn check(&self, shape: Images) -> std::result::Result<(), String> {
        let (height, width, patch) = (shape.height, shape.width, self.patch);
        if patch == 0 || !height.is_multiple_of(patch) || !width.is_multiple_of(patch) {
            return Err(format!("images of {height}×{width} cannot be cut into patches of {patch}×{patch}"));
        }
        Wide { width: self.width, init: self.init }.check(1)
    }
}

const fn small_patch() -> usize {
    4
}

impl Wide {
    fn check(&self, narrowest: usize) -> std::result::Result<(), String> {
        match self.width {
            width if (narrowest..=4096).contains(&width) => Ok(()),
            width => Err(format!("`width` must be from {narrowest} to 4096 (got {width})")),
        }
    }
}

const fn published_width() -> usize {
    64
}

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
            Self::PreactResnet18(_) => "preact-resnet18",
            Self::MobilenetV2(_) => "mobilenet-v2",
            Self::Resnext50(_) => "resnext50",
            Self::Resnet18Imagenet(_) => "resnet18-imagenet",
            Self::Resnet34Imagenet(_) => "resnet34-imagenet",
            Self::Resnet50Imagenet(_) => "resnet50-imagenet",
            Self::Resnet101Imagenet(_) => "resnet101-imagenet",
            Self::Resnet152Imagenet(_) => "resnet152-imagenet",
            Self::VitTiny(_) => "vit-tiny",
            Self::VitSmall(_) => "vit-small",
            Self::Gpt(_) => "gpt",
            Self::Autoencoder(_) => "autoencoder",
        }
    }

    /// Whether it has convolutions without a block of curvature.
    #[must_use]
    pub const fn has_grouped(&self) -> bool {
        matches!(self, Self::MobilenetV2(_) | Self::Resnext50(_))
    }

    /// Whether this net can be built for inputs of this shape; says why not.
    pub fn check(&self, shape: impl Into<Shape>) -> std::result::Result<(), String> {
        let shape = shape.into();
        if shape.input.size() == 0 || shape.outputs == 0 {
            return Err(format!("there is nothing in the {}, or no class", shape.input.kind()));
        }
        if !catalog::fits(self.name(), shape) {
            return Err(self.misfit(shape));
        }
        match (self, shape.images()) {
            (Self::Mlp { hidden, .. }, _) => mlp::check(hidden),
            (Self::Gpt(gpt), _) => gpt.check(),
            (Self::Autoencoder(autoencoder), _) => autoencoder.check(),
            (_, Some(images)) => self.check_images(images),
            (_, None) => Ok(()),
        }
    }

    fn misfit(&self, shape: Shape) -> String {
        let others = CATALOG.iter().map(|entry| entry.name).filter(|name| catalog::fits(name, shape));
        let others: Vec<&str> = others.collect();
        let others = others.join(", ");
        match (self, shape.input) {
            (Self::Autoencoder(_), Input::Images { .. } | Input::Vectors { .. }) => {
                let (size, outputs) = (shape.input.size(), shape.outputs);
                format!(
                    "`autoencoder` gives back the {size} numbers of its input, not {outputs}, unless `data.target` is \"input\"; these nets do: {others}"
                )
            }
            _ => format!("`{}` takes no {}; these nets do: {others}", self.name(), shape.input.kind()),
        }
    }

    fn check_images(&self, shape: Images) -> std::result::Result<(), String> {
        match self {
            Self::Lenet { .. } if shape.height.min(shape.width) < lenet::SMALLEST => Err(format!(
                "images of {}×{} are too small for `lenet`, which needs {2}×{2}",
                shape.height,
                shape.width,
                lenet::SMALLEST
            )),
            Self::Mlp { .. } | Self::Lenet { .. } | Self::Gpt(_) | Self::Autoencoder(_) => Ok(()),
            Self::Vgg11(wide) | Self::Vgg13(wide) | Self::Vgg16(wide) | Self::Vgg19(wide) => {
                if ![shape.height, shape.width].iter().all(|edge| vgg::EDGES.contains(edge)) {
                    let (height, width, name) = (shape.height, shape.width, self.name());
                    return Err(format!(
                        "`{name}` takes images with edges from 32 to 63 pixels (got {height}×{width})"
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
            | Self::Resnet152(wide)
            | Self::PreactResnet18(wide)
            | Self::Resnet18Imagenet(wide)
            | Self::Resnet34Imagenet(wide)
            | Self::Resnet50Imagenet(wide)
            | Self::Resnet101Imagenet(wide)
            | Self::Resnet152Imagenet(wide) => wide.check(1),
            Self::MobilenetV2(wide) => wide.check(mobilenet::NARROWEST),
            Self::Resnext50(Wide { width, .. }) if !width.is_multiple_of(resnet::OF_GROUP) => {
                Err(format!("`width` must be a multiple of {} (got {width})", resnet::OF_GROUP))
            }
            Self::Resnext50(wide) => wide.check(resnet::OF_GROUP),
            Self::VitTiny(vit) | Self::VitSmall(vit) => vit.check(shape),
        }
    }

    /// The net with its starting values, which depend on `seed` and on the names of its parameters alone.
    pub fn build(&self, shape: impl Into<Shape>, seed: u64, dtype: DType, device: &Device) -> Result<Net> {
        self.build_for(shape.into(), seed, dtype, device, Engine::AUTO)
    }

    /// [`build`](Self::build), with layers that compute their products by `engine`.
    pub fn build_for(&self, shape: Shape, seed: u64, dtype: DType, device: &Device, engine: Engine) -> Result<Net> {
        if !catalog::fits(self.name(), shape) {
            return Err(candle_core::Error::msg(self.misfit(shape)));
        }
        let store = |init| Store::new(seed, init, dtype, device).with_engine(engine);
        let images = || shape.images().ok_or_else(|| candle_core::Error::msg(self.misfit(shape)));
        match self {
            Self::Mlp { hidden, init } => mlp::build(&store(*init), hidden, shape),
            Self::Lenet { init } => lenet::build(&store(*init), images()?),
            Self::Resnet18(wide) => {
                resnet::build(&store(wide.init), &resnet::DEPTH_18, resnet::SMALL, wide.width, images()?)
            }
            Self::Resnet34(wide) => {
                resnet::build(&store(wide.init), &resnet::DEPTH_34, resnet::SMALL, wide.width, images()?)
            }
            Self::Resnet50(wide) => {
                resnet::build(&store(wide.init), &resnet::DEPTH_50, resnet::SMALL, wide.width, images()?)
            }
            Self::Resnet101(wide) => {
                resnet::build(&store(wide.init), &resnet::DEPTH_101, resnet::SMALL, wide.width, images()?)
            }
            Self::Resnet152(wide) => {
                resnet::build(&store(wide.init), &resnet::DEPTH_152, resnet::SMALL, wide.width, images()?)
            }
            Self::Vgg11(wide) => vgg::build(&store(wide.init), vgg::PLAN_11, wide.width, images()?),
            Self::Vgg13(wide) => vgg::build(&store(wide.init), vgg::PLAN_13, wide.width, images()?),
            Self::Vgg16(wide) => vgg::build(&store(wide.init), vgg::PLAN_16, wide.width, images()?),
            Self::Vgg19(wide) => vgg::build(&store(wide.init), vgg::PLAN_19, wide.width, images()?),
            Self::Densenet121(wide) => densenet::build(&store(wide.init), densenet::DEPTH_121, wide.width, images()?),
            Self::Densenet169(wide) => densenet::build(&store(wide.init), densenet::DEPTH_169, wide.width, images()?),
            Self::Densenet201(wide) => densenet::build(&store(wide.init), densenet::DEPTH_201, wide.width, images()?),
            Self::Googlenet(wide) => googlenet::build(&store(wide.init), wide.width, images()?),
            Self::PreactResnet18(wide) => preact::build(&store(wide.init), wide.width, images()?),
            Self::MobilenetV2(wide) => mobilenet::build(&store(wide.init), wide.width, images()?),
            Self::Resnext50(wide) => {
                resnet::build(&store(wide.init), &resnet::grouped_50(wide.width), resnet::SMALL, wide.width, images()?)
            }
            Self::Resnet18Imagenet(wide) => {
                resnet::build(&store(wide.init), &resnet::DEPTH_18, resnet::IMAGENET, wide.width, images()?)
            }
            Self::Resnet34Imagenet(wide) => {
                resnet::build(&store(wide.init), &resnet::DEPTH_34, resnet::IMAGENET, wide.width, images()?)
            }
            Self::Resnet50Imagenet(wide) => {
                resnet::build(&store(wide.init), &resnet::DEPTH_50, resnet::IMAGENET, wide.width, images()?)
            }
            Self::Resnet101Imagenet(wide) => {
                resnet::build(&store(wide.init), &resnet::DEPTH_101, resnet::IMAGENET, wide.width, images()?)
            }
            Self::Resnet152Imagenet(wide) => {
                resnet::build(&store(wide.init), &resnet::DEPTH_152, resnet::IMAGENET, wide.width, images()?)
            }
            Self::VitTiny(vit) => vit::build(&store(vit.init), vit::TINY, *vit, images()?),
            Self::VitSmall(vit) => vit::build(&store(vit.init), vit::SMALL, *vit, images()?),
            Self::Gpt(gpt) => gpt::build(&store(gpt.init), *gpt, shape),
            Self::Autoencoder(autoencoder) => autoencoder.build(&store(autoencoder.init), shape.input.size()),
        }
    }
}
