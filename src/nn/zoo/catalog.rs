//! What can be named.

use super::{Input, Shape};
use crate::catalog::Entry;

/// Whether the net of this name takes and gives this.
pub fn fits(name: &str, Shape { input, outputs }: Shape) -> bool {
    match (name, input) {
        ("autoencoder", Input::Images { .. } | Input::Vectors { .. }) => outputs == input.size(),
        ("gpt", Input::Tokens { .. }) | ("mlp", Input::Images { .. } | Input::Vectors { .. }) => true,
        ("gpt", _) | (_, Input::Tokens { .. } | Input::Vectors { .. }) => false,
        (_, Input::Images { .. }) => true,
    }
}

/// Every model there is.
pub const CATALOG: &[Entry] = &[
    Entry {
        name: "mlp",
        help: "fully connected, ReLU between layers; takes images and vectors",
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
    Entry {
        name: "preact-resnet18",
        help: "ResNet-18 with batch norm and ReLU before each convolution, 3×3 stem",
        example: r#"model = { kind = "preact-resnet18", width = 16 }"#,
    },
    Entry {
        name: "mobilenet-v2",
        help: "MobileNetV2 (depthwise convolutions) with the 3×3 stem for small images",
        example: r#"model = { kind = "mobilenet-v2", width = 16 }"#,
    },
    Entry {
        name: "resnext50",
        help: "ResNeXt-50 32×4d (grouped convolutions) with the 3×3 stem for small images",
        example: r#"model = { kind = "resnext50", width = 16 }"#,
    },
    Entry {
        name: "resnet18-imagenet",
        help: "torchvision's ResNet-18: 7×7 stem with pooling, for images like ImageNet's",
        example: r#"model = { kind = "resnet18-imagenet" }"#,
    },
    Entry {
        name: "resnet34-imagenet",
        help: "torchvision's ResNet-34: 7×7 stem with pooling, for images like ImageNet's",
        example: r#"model = { kind = "resnet34-imagenet" }"#,
    },
    Entry {
        name: "resnet50-imagenet",
        help: "torchvision's ResNet-50: 7×7 stem with pooling, for images like ImageNet's",
        example: r#"model = { kind = "resnet50-imagenet" }"#,
    },
    Entry {
        name: "resnet101-imagenet",
        help: "torchvision's ResNet-101: 7×7 stem with pooling, for images like ImageNet's",
        example: r#"model = { kind = "resnet101-imagenet" }"#,
    },
    Entry {
        name: "resnet152-imagenet",
        help: "torchvision's ResNet-152: 7×7 stem with pooling, for images like ImageNet's",
        example: r#"model = { kind = "resnet152-imagenet" }"#,
    },
    Entry {
        name: "vit-tiny",
        help: "vision transformer, 12 blocks of 3 heads, 192 wide; patch = 4 for 32×32, 16 for 224×224",
        example: r#"model = { kind = "vit-tiny", patch = 4 }"#,
    },
    Entry {
        name: "vit-small",
        help: "vision transformer, 12 blocks of 6 heads, 384 wide; patch = 4 for 32×32, 16 for 224×224",
        example: r#"model = { kind = "vit-small", patch = 4 }"#,
    },
    Entry {
        name: "gpt",
        help: "decoder-only transformer for text, after GPT-2; takes tokens",
        example: r#"model = { kind = "gpt", layers = 4, heads = 4, width = 128 }"#,
    },
    Entry {
        name: "autoencoder",
        help: "fully connected down to a code and back, sigmoids between layers; gives back images and vectors",
        example: r#"model = { kind = "autoencoder", hidden = [1000, 500, 250, 30] }"#,
    },
];
