//! The smallest batches that a net can be trained on.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

use super::{Images, ModelConfig, Wide, googlenet, mobilenet, resnet};
use crate::cause;
use crate::clock::Clock;
use crate::nn::Pass;

impl ModelConfig {
    /// Whether it can be trained on so many `images` at a time; says why not. Where a map is 1×1, batch norm has the images alone to take a
    /// variance over, and one image has none.
    pub fn check_batch(&self, shape: Images, images: usize) -> std::result::Result<(), String> {
        match self.narrowest() {
            // What a training step would say, in a moment.
            Some(net) if images == 1 => step(&net, shape).map_err(|error| cause::message(&error)),
            _ => Ok(()),
        }
    }

    /// The same net with as few channels as it can have, if it has batch norms.
    fn narrowest(&self) -> Option<Self> {
        let mut net = self.clone();
        let (Wide { width, .. }, narrowest) = match &mut net {
            Self::Mlp { .. }
            | Self::Lenet { .. }
            | Self::VitTiny(_)
            | Self::VitSmall(_)
            | Self::Gpt(_)
            | Self::Autoencoder(_) => return None,
            Self::Densenet121(wide) | Self::Densenet169(wide) | Self::Densenet201(wide) => (wide, 2),
            Self::Googlenet(wide) => (wide, googlenet::NARROWEST),
            Self::MobilenetV2(wide) => (wide, mobilenet::NARROWEST),
            Self::Resnext50(wide) => (wide, resnet::OF_GROUP),
            Self::Vgg11(wide)
            | Self::Vgg13(wide)
            | Self::Vgg16(wide)
            | Self::Vgg19(wide)
            | Self::Resnet18(wide)
            | Self::Resnet34(wide)
            | Self::Resnet50(wide)
            | Self::Resnet101(wide)
            | Self::Resnet152(wide)
            | Self::PreactResnet18(wide)
            | Self::Resnet18Imagenet(wide)
            | Self::Resnet34Imagenet(wide)
            | Self::Resnet50Imagenet(wide)
            | Self::Resnet101Imagenet(wide)
            | Self::Resnet152Imagenet(wide) => (wide, 1),
        };
        *width = narrowest;
        Some(net)
    }
}

fn step(model: &ModelConfig, shape: Images) -> Result<()> {
    let net = model.build(shape, 0, DType::F32, &Device::Cpu)?;
    let image = Tensor::zeros((1, shape.height, shape.width, shape.channels), DType::F32, &Device::Cpu)?;
    net.forward(&image, &Pass::Training { tap: None, clock: Arc::new(Clock::new(&Device::Cpu)) }).map(drop)
}
