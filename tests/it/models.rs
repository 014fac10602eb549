//! Every model of the zoo: shapes, gradients, and what evaluation leaves alone.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use nkfac_bench::clock::Clock;
use nkfac_bench::nn::zoo::{CATALOG, ModelConfig, Shape};
use nkfac_bench::nn::{Net, Pass, cross_entropy};
use nkfac_bench::param::Layout;
use nkfac_bench::random::Random;

const SHAPE: Shape = Shape { channels: 3, height: 16, width: 16, classes: 5 };
/// For nets that pool five times.
const LARGE: Shape = Shape { height: 32, width: 32, ..SHAPE };

/// Every model of the catalog, small.
fn models() -> Vec<ModelConfig> {
    let small = |name: &str| match name {
        "mlp" => serde_json::json!({ name: { "hidden": [7, 6] } }),
        "lenet" => serde_json::json!({ name: {} }),
        _ => serde_json::json!({ name: { "width": 4 } }),
    };
    CATALOG.iter().map(|entry| serde_json::from_value(small(entry.name)).unwrap()).collect()
}

fn batch() -> Result<(Tensor, Tensor)> {
    let x: Vec<f64> = (0..4 * 16 * 16 * 3).map(|i| ((i * i) as f64 * 0.37).sin()).collect();
    Ok((Tensor::from_vec(x, (4, 16, 16, 3), &Device::Cpu)?, Tensor::new(&[0u32, 3, 4, 1], &Device::Cpu)?))
}

fn training() -> Pass {
    Pass::Training { tap: None, clock: Arc::new(Clock::new(&Device::Cpu)) }
}

fn loss(net: &Net, pass: &Pass) -> Result<Tensor> {
    let (x, y) = batch()?;
    cross_entropy(&net.forward(&x, pass)?, &y, 0.1)
}

#[test]
fn the_catalog_and_the_models_agree() {
    for (entry, model) in CATALOG.iter().zip(models()) {
        assert_eq!(entry.name, model.name());
        assert_eq!(model.check(LARGE), Ok(()));
        let net = model.build(LARGE, 1, DType::F32, &Device::Cpu).unwrap();
        let x = Tensor::ones((2, 32, 32, 3), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(net.forward(&x, &Pass::Evaluation).unwrap().dims(), [2, 5], "{}", entry.name);
    }
}

#[test]
fn gradients_are_those_of_finite_differences() -> Result<()> {
    let checked = ["mlp", "lenet", "resnet18", "preact-resnet18", "vit-tiny"];
    for model in models().into_iter().filter(|model| checked.contains(&model.name())) {
        let net = model.build(SHAPE, 3, DType::F64, &Device::Cpu)?;
        let gradients = net.params.gradients(&loss(&net, &training())?.backward()?)?;
        for (param, gradient) in net.params.params.iter().zip(&gradients.0) {
            // The derivative in one random direction of length one, by central differences.
            let value = param.var.as_tensor().copy()?;
            let mut random = Random::new(5, &param.name);
            let direction: Vec<f64> = (0..value.elem_count()).map(|_| random.normal()).collect();
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            let direction = (Tensor::from_vec(direction, value.shape(), &Device::Cpu)? / length)?;
            let at = |t: f64| -> Result<f64> {
                param.var.set(&(&value + (&direction * t)?)?)?;
                loss(&net, &training())?.to_scalar()
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
        let net = model.build(LARGE, 1, DType::F32, &Device::Cpu).unwrap();
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
fn groups_need_a_width_that_falls_into_them() {
    let resnext =
        |width: usize| serde_json::from_value::<ModelConfig>(serde_json::json!({ "resnext50": { "width": width } }));
    assert_eq!(resnext(5).unwrap().check(SHAPE).unwrap_err(), "a width of 5, a multiple of 2 expected");
    assert!(resnext(6).unwrap().check(SHAPE).is_ok());
}

#[test]
fn images_that_cannot_be_cut_into_patches_are_refused() {
    let vit: ModelConfig = serde_json::from_value(serde_json::json!({ "vit-tiny": { "patch": 5 } })).unwrap();
    assert_eq!(vit.check(LARGE).unwrap_err(), "images of 32×32 cannot be cut into patches of 5×5");
    assert!(vit.check(Shape { height: 20, width: 25, ..SHAPE }).is_ok());
}

#[test]
fn evaluation_changes_nothing_and_training_moves_running_statistics() -> Result<()> {
    let net = models()[2].build(SHAPE, 3, DType::F64, &Device::Cpu)?;
    let statistics = || -> Result<Vec<Vec<f64>>> {
        net.params.buffers.iter().map(|buffer| buffer.var.as_tensor().to_vec1()).collect()
    };
    let before = statistics()?;
    let first: f64 = loss(&net, &Pass::Evaluation)?.to_scalar()?;
    let second: f64 = loss(&net, &Pass::Evaluation)?.to_scalar()?;
    assert_eq!(first, second);
    assert_eq!(before, statistics()?);
    loss(&net, &training())?;
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
    let message = lenet.check(Shape { height: 8, ..SHAPE }).unwrap_err();
    assert_eq!(message, "images of 8×16 are too small for `lenet`, which needs 16×16");
}
