//! Every optimizer on problems of any size: float32 comes to what float64 does, or says that it cannot.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, Var};
use nkfac_bench::clock::Clock;
use nkfac_bench::experiment;
use nkfac_bench::kernel::Engine;
use nkfac_bench::nn::op::conv::{Recorder, linear};
use nkfac_bench::optim::invert::{Branch, CATALOG};
use nkfac_bench::optim::{Error, Optimizer, PRESETS, Step};
use nkfac_bench::param::{Block, Demand, Layout, Param, Params};
use nkfac_bench::random::Random;

const SIZES: [usize; 3] = [6, 5, 4];
const STEPS: usize = 3;

/// A problem: powers of two that it is multiplied by, and how many images it has.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    /// More than a layer has inputs, or fewer, which leaves factors singular.
    batch: usize,
    weights: i32,
    inputs: i32,
    gradients: i32,
}

impl Scale {
    /// Each by 2^−40, 1 and 2^40.
    fn all(batch: usize) -> impl Iterator<Item = Self> {
        let each = || [-40, 0, 40].into_iter();
        each().flat_map(move |weights| {
            each().flat_map(move |inputs| each().map(move |gradients| Self { batch, weights, inputs, gradients }))
        })
    }
}

fn normal(dims: &[usize], purpose: &str) -> Tensor {
    let mut random = Random::new(7, purpose);
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| random.normal()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

/// Two linear layers, a rectifier between them.
fn params(dtype: DType, scale: Scale) -> Result<Params> {
    let mut params = Params::default();
    for (i, pair) in SIZES.windows(2).enumerate() {
        let name = format!("fc{i}");
        let weight = (normal(&[pair[0], pair[1]], &name) * 2f64.powi(scale.weights))?.to_dtype(dtype)?;
        let weight = Param { name: format!("{name}.weight"), var: Var::from_tensor(&weight)?, layout: Layout::Linear };
        params.params.push(weight);
        params.blocks.push(Block { name, weight: i, bias: None, channels: pair[0], taps: 1, outputs: pair[1] });
    }
    Ok(params)
}

/// How an optimizer got on.
#[derive(Debug)]
struct Outcome {
    /// The steps taken, each parameter's beside the others', or `None` where the trial has diverged.
    steps: Option<Vec<Tensor>>,
    fallbacks: usize,
}

/// Some steps of `optimizer` at the same weights, so that what it subtracts from them is seen to the last digit.
fn run(optimizer: &str, dtype: DType, scale: Scale) -> Outcome {
    let params = params(dtype, scale).unwrap();
    let mut optimizer = Optimizer::new(&experiment::optimizer(optimizer).unwrap(), &params);
    let steps = steps(&mut optimizer, &params, scale);
    let fallbacks = optimizer.factors().iter().map(|factor| factor.refreshes[Branch::Fallback as usize]).sum();
    match steps {
        Ok(steps) => {
            let is_finite = |step: &Tensor| nkfac_bench::linalg::norm(step).unwrap().is_finite();
            Outcome { steps: steps.iter().all(is_finite).then_some(steps), fallbacks }
        }
        Err(Error::NotInvertible { .. }) => Outcome { steps: None, fallbacks },
        Err(error) => panic!("{error}"),
    }
}

fn steps(optimizer: &mut Optimizer, params: &Params, scale: Scale) -> std::result::Result<Vec<Tensor>, Error> {
    let clock = Arc::new(Clock::new(&Device::Cpu));
    let weights: Vec<Tensor> =
        params.params.iter().map(|param| param.var.as_detached_tensor().copy()).collect::<Result<_>>()?;
    let dtype = weights[0].dtype();
    let mut taken = Vec::new();
    for index in 0..STEPS {
        let listener = optimizer.listens(index).map(|(tap, _)| tap);
        if let Some(tap) = &listener {
            tap.set(Demand::Moments);
            tap.set_whole(true);
        }
        let draw = |dims: &[usize], kind: &str, power: i32| -> Result<Tensor> {
            (normal(dims, &format!("{kind}{index}")) * 2f64.powi(power))?.to_dtype(dtype)
        };
        let mut h = draw(&[scale.batch, SIZES[0]], "inputs", scale.inputs)?;
        for (block, param) in params.params.iter().enumerate() {
            let recorder = listener.clone().map(|tap| Recorder { block, tap, clock: clock.clone() });
            h = linear(&h, param.var.as_tensor(), None, recorder, Engine::AUTO)?;
            if block == 0 {
                h = h.relu()?;
            }
        }
        let slope = (draw(&[scale.batch, SIZES[2]], "slope", scale.gradients)? / scale.batch as f64)?;
        let gradients = params.gradients(&(h * slope)?.sum_all()?.backward()?)?;
        params.params.iter().try_for_each(|param| param.var.set(&param.var.zeros_like()?))?;
        optimizer.step(gradients, &Step { index, lr: 1.0, samples: scale.batch, params, clock: &clock })?;
        for (param, weight) in params.params.iter().zip(&weights) {
            taken.push(param.var.as_detached_tensor().copy()?.to_dtype(DType::F64)?);
            param.var.set(weight)?;
        }
    }
    Ok(taken)
}

/// What became of the same optimizer in float32.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// Nothing that float64 would not do.
    Equal,
    /// Something else, but a fallback was counted.
    Counted,
    Diverged,
}

/// Holds float32 against float64.
fn verdict(optimizer: &str, scale: Scale) -> Verdict {
    let [narrow, wide] = [DType::F32, DType::F64].map(|dtype| run(optimizer, dtype, scale));
    let Some(ours) = narrow.steps else { return Verdict::Diverged };
    let norm = |tensor: &Tensor| nkfac_bench::linalg::norm(tensor).unwrap();
    // What is smaller than float32's numbers is zero there.
    let is_off = |ours: &Tensor, theirs: &Tensor| norm(&(ours - theirs).unwrap()) > 2e-2 * norm(theirs) + 1e-36;
    let off = wide.steps.and_then(|theirs| ours.iter().zip(theirs).find(|(ours, theirs)| is_off(ours, theirs)));
    match off {
        None => Verdict::Equal,
        Some(_) if narrow.fallbacks > 0 => Verdict::Counted,
        Some((ours, theirs)) => panic!("{optimizer} at {scale:?} steps by {ours} in float32, {theirs} in float64"),
    }
}

/// The presets, and the inverters under a damping that follows the factor and one that does not.
fn optimizers() -> Vec<String> {
    let presets = PRESETS.iter().map(|preset| format!("preset = '{}'", preset.entry.name));
    // Whatever a preset has of these, it does in every step.
    let often = |preset: String| {
        ["factor_every", "inverse_every", "root_every"].iter().fold(preset, |text, key| {
            let more = format!("{text}\nprecondition.{key} = 1");
            if experiment::optimizer(&more).is_ok() { more } else { text }
        })
    };
    let inverters = CATALOG.iter().flat_map(|entry| {
        let dampings =
            ["relative', factor = 0.01, floor = 1e-12", "absolute', value = 1e-3", "absolute', value = 1e-20"];
        // On their way to so small a damping the rounds of `newton-scaled` double every rounding error, float64's too.
        let there = if entry.name == "newton-scaled" { 2 } else { 3 };
        dampings.into_iter().take(there).map(|damping| {
            let preset = if entry.name == "woodbury" { "skfac-star" } else { "kfac-star" };
            let table = format!("preset = '{preset}'\nprecondition.factor_every = 1\nprecondition.inverse_every = 1\n");
            format!("{table}precondition.damping = {{ kind = '{damping} }}\nprecondition.{}", entry.example)
        })
    });
    presets.map(often).chain(inverters).collect()
}

#[test]
fn float32_steps_as_float64_does_or_says_so_whatever_the_size_of_the_problem() {
    for (optimizer, batch) in optimizers().iter().flat_map(|optimizer| [12, 4].map(|batch| (optimizer, batch))) {
        let verdicts: Vec<(Scale, Verdict)> =
            Scale::all(batch).map(|scale| (scale, verdict(optimizer, scale))).collect();
        let count = |wanted| verdicts.iter().filter(|(_, verdict)| *verdict == wanted).count();
        let counts = [Verdict::Equal, Verdict::Counted, Verdict::Diverged].map(count);
        println!("{optimizer:?}, {batch} images: {counts:?} equal, counted, diverged");
        // Control: to give up everywhere would be no way out.
        if !optimizer.contains("1e-20") {
            let plain = Scale { batch, weights: 0, inputs: 0, gradients: 0 };
            assert!(verdicts.contains(&(plain, Verdict::Equal)), "{optimizer}");
            assert!(counts[0] >= 9, "{optimizer}: {verdicts:?}");
        }
    }
}
