//! Statistics: what they are, and what they must leave alone.

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Result, Tensor, Var};
use nkfac_bench::clock::Clock;
use nkfac_bench::experiment;
use nkfac_bench::kernel::Engine;
use nkfac_bench::nn::op::conv::{Recorder, conv2d, linear};
use nkfac_bench::nn::op::window::Window;
use nkfac_bench::nn::zoo::{Images, ModelConfig};
use nkfac_bench::nn::{Net, Pass, cross_entropy};
use nkfac_bench::optim::{Optimizer, PRESETS};
use nkfac_bench::param::{Capture, Demand, Sink, Tap};

/// Keeps every capture, in the order of the backward pass.
#[derive(Default)]
struct Kept(Mutex<Vec<Capture>>);

impl Sink for Kept {
    fn receive(&self, capture: Capture) -> Result<()> {
        self.0.lock().unwrap().push(capture);
        Ok(())
    }
}

fn clock() -> Arc<Clock> {
    Arc::new(Clock::new(&Device::Cpu))
}

fn normal(dims: &[usize], seed: u64) -> Tensor {
    let mut random = nkfac_bench::random::Random::new(seed, "test");
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| random.normal()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt()
}

fn lenet() -> Net {
    let model: ModelConfig = serde_json::from_value(serde_json::json!({ "lenet": {} })).unwrap();
    model.build(Images { channels: 3, height: 16, width: 16, classes: 10 }, 1, DType::F64, &Device::Cpu).unwrap()
}

fn images(count: usize) -> (Tensor, Tensor) {
    let labels: Vec<u32> = (0..count as u32).map(|i| i % 10).collect();
    (normal(&[count, 16, 16, 3], 5), Tensor::new(labels, &Device::Cpu).unwrap())
}

fn captures(net: &Net, x: &Tensor, y: &Tensor) -> Result<Vec<Capture>> {
    let kept = Arc::new(Kept::default());
    let pass = Pass::Training { tap: Some(Arc::new(Tap::new(kept.clone()))), clock: clock() };
    cross_entropy(&net.forward(x, &pass)?, y, 0.0)?.backward()?;
    let mut captures = std::mem::take(&mut *kept.0.lock().unwrap());
    captures.sort_by_key(|capture| capture.block);
    Ok(captures)
}

#[test]
fn capturing_does_not_change_gradients() -> Result<()> {
    let net = lenet();
    let (x, y) = images(6);
    let gradients = |tap: Option<Arc<Tap>>, smoothing| -> Result<Vec<Vec<f64>>> {
        let pass = Pass::Training { tap, clock: clock() };
        let grads = cross_entropy(&net.forward(&x, &pass)?, &y, smoothing)?.backward()?;
        net.params.gradients(&grads)?.0.iter().map(|gradient| gradient.flatten_all()?.to_vec1()).collect()
    };
    let kept = Arc::new(Kept::default());
    assert_eq!(gradients(None, 0.0)?, gradients(Some(Arc::new(Tap::new(kept.clone()))), 0.0)?);
    assert_eq!(kept.0.lock().unwrap().len(), 5, "one capture a layer");
    // Control: a loss that differs by one part in a billion does.
    assert_ne!(gradients(None, 0.0)?, gradients(None, 1e-9)?);
    Ok(())
}

#[test]
fn evaluation_and_a_closed_tap_capture_nothing() -> Result<()> {
    let net = lenet();
    let (x, y) = images(2);
    let kept = Arc::new(Kept::default());
    let tap = Arc::new(Tap::new(kept.clone()));
    tap.set(Demand::Nothing);
    let pass = Pass::Training { tap: Some(tap.clone()), clock: clock() };
    cross_entropy(&net.forward(&x, &pass)?, &y, 0.0)?.backward()?;
    net.forward(&x, &Pass::Evaluation)?;
    assert!(kept.0.lock().unwrap().is_empty());
    tap.set(Demand::OutputGrads);
    cross_entropy(&net.forward(&x, &pass)?, &y, 0.0)?.backward()?;
    assert!(kept.0.lock().unwrap().iter().all(|capture| capture.inputs.is_none()));
    Ok(())
}

#[test]
fn a_tap_of_inputs_captures_nothing_else() -> Result<()> {
    let net = lenet();
    let (x, y) = images(2);
    let kept = Arc::new(Kept::default());
    let tap = Arc::new(Tap::new(kept.clone()).of_inputs());
    let pass = Pass::Training { tap: Some(tap.clone()), clock: clock() };
    cross_entropy(&net.forward(&x, &pass)?, &y, 0.0)?.backward()?;
    let mut inputs = std::mem::take(&mut *kept.0.lock().unwrap());
    inputs.sort_by_key(|capture| capture.block);
    assert_eq!(inputs.len(), net.params.blocks.len());
    for (of_inputs, of_both) in inputs.iter().zip(captures(&net, &x, &y)?) {
        assert!(of_inputs.output_grads.is_none());
        assert!(distance(of_inputs.inputs.as_ref().unwrap(), &of_both.inputs.unwrap()) < 1e-12);
        // Control: somebody else gets them.
        assert!(of_both.output_grads.is_some());
    }
    tap.set(Demand::OutputGrads);
    cross_entropy(&net.forward(&x, &pass)?, &y, 0.0)?.backward()?;
    assert!(kept.0.lock().unwrap().is_empty(), "known inputs are asked for nothing");
    Ok(())
}

#[test]
fn every_optimizer_captures_what_its_factors_are_made_of_and_nothing_else() {
    let net = lenet();
    let mut of_inputs = Vec::new();
    for preset in PRESETS {
        let name = preset.entry.name;
        let config = experiment::optimizer(&format!("preset = '{name}'")).unwrap();
        let optimizer = Optimizer::new(&config, &net.params);
        let Some((tap, _)) = optimizer.listens(0) else { continue };
        let keeps = |side: &str| optimizer.factors().iter().any(|factor| factor.name.ends_with(side));
        assert_eq!(tap.takes(), [keeps("/a"), keeps("/g")], "{name}");
        if tap.takes() == [true, false] {
            of_inputs.push(name);
        }
    }
    assert_eq!(of_inputs, ["foof"]);
}

#[test]
fn moments_are_those_of_the_rows() -> Result<()> {
    // A linear layer's loss of known gradient: D = dy, X = x with a column of ones.
    let (x, dy) = (normal(&[7, 4], 1), normal(&[7, 3], 2));
    let weight = Var::from_tensor(&normal(&[4, 3], 3))?;
    let kept = Arc::new(Kept::default());
    let recorder = Recorder { block: 0, tap: Arc::new(Tap::new(kept.clone())), clock: clock() };
    let y = linear(&x, &weight, Some(&normal(&[3], 4)), Some(recorder), Engine::AUTO)?;
    (y * &dy)?.sum_all()?.backward()?;
    let capture = kept.0.lock().unwrap().pop().unwrap();
    let ones = Tensor::cat(&[&x, &Tensor::ones((7, 1), DType::F64, &Device::Cpu)?], 1)?;
    assert!(distance(&capture.inputs.unwrap(), &ones.t()?.matmul(&ones)?) < 1e-12);
    assert!(distance(&capture.output_grads.unwrap(), &dy.t()?.matmul(&dy)?) < 1e-12);
    assert_eq!((capture.samples, capture.positions), (7, 1));
    Ok(())
}

#[test]
fn a_convolution_of_one_pixel_is_a_linear_layer() -> Result<()> {
    let (x, weight, dy) = (normal(&[2, 3, 3, 4], 1), normal(&[4, 5], 2), normal(&[2, 3, 3, 5], 3));
    let capture = |apply: &dyn Fn(&Tensor, Recorder) -> Result<Tensor>| -> Result<Capture> {
        let kept = Arc::new(Kept::default());
        let recorder = Recorder { block: 0, tap: Arc::new(Tap::new(kept.clone())), clock: clock() };
        let x = Var::from_tensor(&x)?;
        (apply(&x, recorder)? * &dy)?.sum_all()?.backward()?;
        let capture = kept.0.lock().unwrap().pop().unwrap();
        Ok(capture)
    };
    let pixel = Window { kernel: 1, stride: 1, padding: 0 };
    let conv =
        capture(&|x, recorder| conv2d(x, &weight.reshape((1, 1, 4, 5))?, None, pixel, Some(recorder), Engine::AUTO))?;
    let plain = capture(&|x, recorder| linear(x, &weight, None, Some(recorder), Engine::AUTO))?;
    let plain_inputs = plain.inputs.unwrap();
    assert!(distance(&conv.inputs.unwrap(), &plain_inputs) < 1e-12);
    assert!(distance(&conv.output_grads.unwrap(), &plain.output_grads.unwrap()) < 1e-12);
    assert_eq!((conv.samples, conv.positions), (2, 9));
    // Control: not where a stride leaves pixels out.
    let strided = Window { kernel: 1, stride: 2, padding: 1 };
    let shape = (1, 1, 4, 5);
    let other =
        capture(&|x, recorder| conv2d(x, &weight.reshape(shape)?, None, strided, Some(recorder), Engine::AUTO))?;
    assert!(distance(&other.inputs.unwrap(), &plain_inputs) > 1e-3);
    Ok(())
}

#[test]
fn a_duplicated_batch_changes_no_mean() -> Result<()> {
    let net = lenet();
    let (x, y) = images(4);
    let (twice_x, twice_y) = (Tensor::cat(&[&x, &x], 0)?, Tensor::cat(&[&y, &y], 0)?);
    for (once, twice) in captures(&net, &x, &y)?.iter().zip(captures(&net, &twice_x, &twice_y)?) {
        let mean = |capture: &Capture| capture.inputs.as_ref().unwrap() / (capture.samples * capture.positions) as f64;
        assert!(distance(&mean(once)?, &mean(&twice)?) < 1e-12);
        // Gradients of a mean over twice as many rows are half as long: twice the rows, a quarter each.
        let [once, twice] = [once, &twice].map(|capture| capture.output_grads.as_ref().unwrap());
        assert!(distance(once, &(twice * 2.0)?) < 1e-12);
    }
    // Control: other images beside them do.
    let (other, _) = images(8);
    let (mixed, all) = (captures(&net, &other, &twice_y)?, captures(&net, &twice_x, &twice_y)?);
    assert!(distance(mixed[0].inputs.as_ref().unwrap(), all[0].inputs.as_ref().unwrap()) > 1e-3);
    Ok(())
}

#[test]
fn a_transformer_captures_a_row_a_token() -> Result<()> {
    let model: ModelConfig =
        serde_json::from_value(serde_json::json!({ "vit-tiny": { "patch": 8, "width": 2 } })).unwrap();
    let net = model.build(Images { channels: 3, height: 16, width: 16, classes: 10 }, 1, DType::F64, &Device::Cpu)?;
    let (x, y) = images(3);
    let captures = captures(&net, &x, &y)?;
    assert_eq!(captures.len(), net.params.blocks.len());
    for (capture, block) in captures.iter().zip(&net.params.blocks) {
        let rows = match block.name.as_str() {
            "patch_embed.proj" => (3, 4),
            "head" => (3, 1),
            _ => (3 * 5, 1),
        };
        assert_eq!((capture.samples, capture.positions), rows, "{}", block.name);
        // The ones appended for the bias count the rows.
        let inputs = capture.inputs.as_ref().unwrap();
        let last = inputs.dim(0)? - 1;
        assert_eq!(inputs.get(last)?.get(last)?.to_scalar::<f64>()?, (rows.0 * rows.1) as f64);
    }
    Ok(())
}
