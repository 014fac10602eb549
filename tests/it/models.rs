//! Every model of the zoo: shapes, gradients, and what evaluation leaves alone.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use nkfac_bench::clock::Clock;
use nkfac_bench::nn::zoo::{CATALOG, Images, Input, ModelConfig, Shape};
use nkfac_bench::nn::{Net, Pass, cross_entropy, weights};
use nkfac_bench::param::Layout;
use nkfac_bench::random::Random;

const SHAPE: Images = Images { channels: 3, height: 16, width: 16, classes: 5 };
/// For nets that pool five times.
const LARGE: Images = Images { height: 32, width: 32, ..SHAPE };

/// Every model of the catalog, small.
fn models() -> Vec<ModelConfig> {
    let small = |name: &str| match name {
        "mlp" => serde_json::json!({ name: { "hidden": [7, 6] } }),
        "lenet" => serde_json::json!({ name: {} }),
        "gpt" => serde_json::json!({ name: { "layers": 2, "heads": 2, "width": 4, "init": "torch" } }),
        "autoencoder" => serde_json::json!({ name: { "hidden": [7, 3] } }),
        _ => serde_json::json!({ name: { "width": 4 } }),
    };
    CATALOG.iter().map(|entry| serde_json::from_value(small(entry.name)).unwrap()).collect()
}

/// What a model is tried with: `images`, there and back or with their classes, or texts of up to six tokens.
fn shape(model: &ModelConfig, images: Images) -> Shape {
    match model {
        ModelConfig::Gpt(_) => Shape { input: Input::Tokens { vocabulary: 5, context: 6 }, outputs: 5 },
        ModelConfig::Autoencoder(_) => {
            let input = Shape::from(images).input;
            Shape { input, outputs: input.size() }
        }
        _ => images.into(),
    }
}

/// Inputs and labels for a net of this shape.
fn batch(shape: Shape) -> Result<(Tensor, Tensor)> {
    if let Input::Tokens { .. } = shape.input {
        let tokens = Tensor::new(&[[0u32, 3, 4, 4, 1], [2, 2, 0, 1, 3]], &Device::Cpu)?;
        return Ok((tokens.clone(), tokens));
    }
    let x: Vec<f64> = (0..4 * 16 * 16 * 3).map(|i| ((i * i) as f64 * 0.37).sin()).collect();
    Ok((Tensor::from_vec(x, (4, 16, 16, 3), &Device::Cpu)?, Tensor::new(&[0u32, 3, 4, 1], &Device::Cpu)?))
}

fn training() -> Pass {
    Pass::Training { tap: None, clock: Arc::new(Clock::new(&Device::Cpu)) }
}

fn loss(net: &Net, shape: impl Into<Shape>, pass: &Pass) -> Result<Tensor> {
    let (x, y) = batch(shape.into())?;
    cross_entropy(&net.forward(&x, pass)?, &y, 0.1)
}

#[test]
fn the_catalog_and_the_models_agree() {
    for (entry, model) in CATALOG.iter().zip(models()) {
        assert_eq!(entry.name, model.name());
        let vectors = Shape { input: Input::Vectors { size: 12 }, outputs: 5 };
        for shape in [shape(&model, LARGE), vectors].into_iter().filter(|&shape| model.check(shape).is_ok()) {
            let net = model.build(shape, 1, DType::F32, &Device::Cpu).unwrap();
            let (x, dims) = match shape.input {
                Input::Images { .. } => {
                    (Tensor::ones((2, 32, 32, 3), DType::F32, &Device::Cpu), vec![2, shape.outputs])
                }
                Input::Vectors { size } => (Tensor::ones((2, size), DType::F32, &Device::Cpu), vec![2, 5]),
                Input::Tokens { .. } => (Tensor::ones((2, 4), DType::U32, &Device::Cpu), vec![2, 4, 5]),
            };
            assert_eq!(net.forward(&x.unwrap(), &Pass::Evaluation).unwrap().dims(), dims, "{}", entry.name);
        }
        assert_eq!(model.check(shape(&model, LARGE)), Ok(()));
    }
}

#[test]
fn one_image_is_too_few_for_nets_with_batch_norm_that_shrink_it_to_a_point() {
    let refuse = |edge, images| {
        let shape = Images { height: edge, width: edge, ..SHAPE };
        let possible = models().into_iter().filter(move |net| net.check(shape).is_ok());
        possible.filter(move |net| net.check_batch(shape, images).is_err()).map(|net| net.name()).collect::<Vec<_>>()
    };
    let at_32 = refuse(32, 1);
    assert!(at_32.contains(&"resnet18-imagenet") && at_32.contains(&"resnet152-imagenet"), "{at_32:?}");
    assert!(!at_32.contains(&"resnet18") && !at_32.contains(&"vgg11") && !at_32.contains(&"vit-tiny"), "{at_32:?}");
    assert!(refuse(8, 1).contains(&"resnet18"), "{:?}", refuse(8, 1));
    assert!(refuse(32, 2).is_empty() && refuse(8, 2).is_empty());
}

#[test]
fn gradients_are_those_of_finite_differences() -> Result<()> {
    let mean = serde_json::json!({ "vit-tiny": { "width": 4, "pool": "mean" } });
    let checked = ["mlp", "lenet", "resnet18", "preact-resnet18", "vit-tiny", "gpt", "autoencoder"];
    let models = models().into_iter().filter(|model| checked.contains(&model.name()));
    for model in models.chain([serde_json::from_value(mean).unwrap()]) {
        let shape = shape(&model, SHAPE);
        let net = model.build(shape, 3, DType::F64, &Device::Cpu)?;
        let gradients = net.params.gradients(&loss(&net, shape, &training())?.backward()?)?;
        for (param, gradient) in net.params.params.iter().zip(&gradients.0) {
            // The derivative in one random direction of length one, by central differences.
            let value = param.var.as_tensor().copy()?;
            let mut random = Random::new(5, &param.name);
            let direction: Vec<f64> = (0..value.elem_count()).map(|_| random.normal()).collect();
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            let direction = (Tensor::from_vec(direction, value.shape(), &Device::Cpu)? / length)?;
            let at = |t: f64| -> Result<f64> {
                param.var.set(&(&value + (&direction * t)?)?)?;
                loss(&net, shape, &training())?.to_scalar()
            };
            let step = 1e-6;
            let numeric = (at(step)? - at(-step)?) / (2.0 * step);
            param.var.set(&value)?;
            let analytic: f64 = (gradient * &direction)?.sum_all()?.to_scalar()?;
            let scale = analytic.abs().max(1e-2);
            assert!((numeric - analytic).abs() < 1e-4 * scale, "{} {}: {numeric} {analytic}", model.name(), param.name);
        }
    }
    Ok(())
}

#[test]
fn every_linear_layer_and_convolution_is_a_block_except_the_grouped() {
    for model in models() {
        let net = model.build(shape(&model, LARGE), 1, DType::F32, &Device::Cpu).unwrap();
        let mut grouped = 0;
        for (id, param) in net.params.params.iter().enumerate() {
            let is_matrix = matches!(param.layout, Layout::Linear | Layout::Conv);
            let is_grouped = match model.name() {
                "mobilenet-v2" => param.name.starts_with("layers.") && param.name.ends_with(".conv2.weight"),
                "resnext50" => param.name.starts_with("layer") && param.name.ends_with(".conv2.weight"),
                _ => false,
            };
            let blocks = net.params.blocks.iter().filter(|block| block.weight == id).count();
            assert_eq!(blocks, usize::from(is_matrix && !is_grouped), "{} {}", model.name(), param.name);
            grouped += usize::from(is_grouped);
        }
        let expected = match model.name() {
            "mobilenet-v2" => 17,
            "resnext50" => 16,
            _ => 0,
        };
        assert_eq!(grouped, expected, "{}", model.name());
        assert_eq!(model.has_grouped(), grouped > 0, "{}", model.name());
    }
}

#[test]
fn weights_of_every_net_are_saved_and_loaded_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    for model in models() {
        let net = |seed| model.build(shape(&model, LARGE), seed, DType::F32, &Device::Cpu).unwrap();
        let values = |net: &Net| -> Vec<Vec<f32>> {
            let params = net.params.params.iter().chain(&net.params.buffers);
            params.map(|param| param.var.flatten_all().unwrap().to_vec1().unwrap()).collect()
        };
        let (saved, loaded) = (net(1), net(2));
        assert_ne!(values(&saved), values(&loaded), "{}", model.name());
        let file = folder.path().join(model.name());
        weights::save(&saved.params, &file).unwrap();
        assert!(weights::load(&loaded.params, &file).unwrap().anew.is_none());
        assert_eq!(values(&saved), values(&loaded), "{}", model.name());
    }
}

#[test]
fn groups_need_a_width_that_falls_into_them() {
    let resnext =
        |width: usize| serde_json::from_value::<ModelConfig>(serde_json::json!({ "resnext50": { "width": width } }));
    assert_eq!(resnext(5).unwrap().check(SHAPE).unwrap_err(), "`width` must be a multiple of 2 (got 5)");
    assert!(resnext(6).unwrap().check(SHAPE).is_ok());
}

#[test]
fn what_a_net_does_not_take_is_refused() {
    let tokens = Shape { input: Input::Tokens { vocabulary: 5, context: 6 }, outputs: 5 };
    let vectors = Shape { input: Input::Vectors { size: 12 }, outputs: 5 };
    let back = Shape { outputs: 12, ..vectors };
    for model in models() {
        let mut taken = 0;
        for shape in [LARGE.into(), vectors, tokens, back] {
            let Err(message) = model.check(shape) else {
                assert!(model.build(shape, 1, DType::F32, &Device::Cpu).is_ok());
                taken += 1;
                continue;
            };
            assert!(model.build(shape, 1, DType::F32, &Device::Cpu).is_err());
            // The nets that are named take it.
            let (what, others) = message.split_once("; these nets do: ").unwrap();
            let says = match (model.name(), shape.input.size()) {
                ("autoencoder", size @ (12 | 3072)) => {
                    format!(
                        "`autoencoder` gives back the {size} numbers of its input, not 5, unless `data.target` is \"input\""
                    )
                }
                (name, _) => format!("`{name}` takes no {}", shape.input.kind()),
            };
            assert_eq!(what, says);
            let does = |name: &str| models().iter().any(|model| model.name() == name && model.check(shape).is_ok());
            assert!(others.split(", ").all(does), "{others}");
        }
        assert_eq!(taken, if model.name() == "mlp" { 3 } else { 1 }, "{}", model.name());
    }
    let message = models()[2].check(vectors).unwrap_err();
    assert_eq!(message, "`resnet18` takes no vectors; these nets do: mlp");
}

/// A token's logits follow from those before it and itself alone.
#[test]
fn a_gpt_does_not_see_the_future() -> Result<()> {
    let gpt = models().into_iter().find(|model| model.name() == "gpt").unwrap();
    let net = gpt.build(shape(&gpt, SHAPE), 3, DType::F64, &Device::Cpu)?;
    let logits = |tokens: &[u32; 5]| -> Result<Vec<Vec<f64>>> {
        net.forward(&Tensor::new(&[*tokens], &Device::Cpu)?, &Pass::Evaluation)?.squeeze(0)?.to_vec2()
    };
    let (these, others) = (logits(&[0, 3, 4, 1, 2])?, logits(&[0, 3, 4, 2, 2])?);
    assert_eq!(these[..3], others[..3]);
    assert!(these[3] != others[3] && these[4] != others[4]);
    Ok(())
}

#[test]
fn images_that_cannot_be_cut_into_patches_are_refused() {
    let vit: ModelConfig = serde_json::from_value(serde_json::json!({ "vit-tiny": { "patch": 5 } })).unwrap();
    assert_eq!(vit.check(LARGE).unwrap_err(), "images of 32×32 cannot be cut into patches of 5×5");
    assert!(vit.check(Images { height: 20, width: 25, ..SHAPE }).is_ok());
}

#[test]
fn evaluation_changes_nothing_and_training_moves_running_statistics() -> Result<()> {
    let net = models()[2].build(SHAPE, 3, DType::F64, &Device::Cpu)?;
    let statistics = || -> Result<Vec<Vec<f64>>> {
        net.params.buffers.iter().map(|buffer| buffer.var.as_tensor().to_vec1()).collect()
    };
    let before = statistics()?;
    let first: f64 = loss(&net, SHAPE, &Pass::Evaluation)?.to_scalar()?;
    let second: f64 = loss(&net, SHAPE, &Pass::Evaluation)?.to_scalar()?;
    assert_eq!(first, second);
    assert_eq!(before, statistics()?);
    loss(&net, SHAPE, &training())?;
    assert_ne!(before, statistics()?);
    Ok(())
}

#[test]
fn a_start_depends_on_the_seed_and_the_name_alone() -> Result<()> {
    let values = |width: usize, seed| -> Result<Vec<f32>> {
        let model: ModelConfig =
            serde_json::from_value(serde_json::json!({ "mlp": { "hidden": [8, width] } })).unwrap();
        let net = model.build(SHAPE, seed, DType::F32, &Device::Cpu)?;
        net.params.params[0].var.flatten_all()?.to_vec1()
    };
    assert_eq!(values(4, 1)?, values(5, 1)?);
    assert_ne!(values(4, 1)?, values(4, 2)?);
    Ok(())
}

#[test]
fn an_image_too_small_is_refused_in_words() {
    let lenet: ModelConfig = serde_json::from_value(serde_json::json!({ "lenet": {} })).unwrap();
    let message = lenet.check(Images { height: 8, ..SHAPE }).unwrap_err();
    assert_eq!(message, "images of 8×16 are too small for `lenet`, which needs 16×16");
}
