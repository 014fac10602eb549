//! Replay of primitives: convolutions with their statistics, the largest eigenvalue, Newton's iteration.

use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::Engine;
use candle_core::{DType, Tensor, Var};

use super::{Error, MOST_ROUNDS, Trace, Verdict};
use crate::clock::Clock;
use crate::linalg::Products;
use crate::nn::op::conv::{Recorder, conv2d};
use crate::nn::op::window::Window;
use crate::optim::invert::newton_rounds;
use crate::optim::{max_eigenvalue, power_start};
use crate::param::{Block, Capture, Layout, Sink, Tap};

/// Compares every recorded convolution and Newton iteration.
pub fn replay(trace: &Trace, engine: Engine, mut verdict: Verdict) -> Result<Verdict, Error> {
    for prefix in groups(trace, "conv/") {
        convolution(trace, &prefix, engine, &mut verdict)?;
    }
    for prefix in groups(trace, "newton/") {
        newton(trace, &prefix, &mut verdict)?;
    }
    if verdict.compared == 0 {
        return Err(trace.error("neither a `spec` nor primitives: not a trace".into()));
    }
    Ok(verdict)
}

/// `conv/0/`, `conv/1/`, …
fn groups(trace: &Trace, kind: &str) -> Vec<String> {
    let mut groups: Vec<String> =
        trace.under(kind).iter().filter_map(|name| Some(format!("{kind}{}/", name.split_once('/')?.0))).collect();
    groups.dedup();
    groups
}

/// Of a window, its strides and its padding.
const MOST_PIXELS: usize = 16;

/// Keeps the one capture of a backward pass.
#[derive(Default)]
struct Kept(Mutex<Option<Capture>>);

impl Sink for Kept {
    fn receive(&self, capture: Capture) -> candle_core::Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(capture);
        Ok(())
    }
}

fn convolution(trace: &Trace, prefix: &str, engine: Engine, verdict: &mut Verdict) -> Result<(), Error> {
    let geometry = trace.get(&format!("{prefix}geometry"))?.to_dtype(DType::I64)?.to_vec1::<i64>()?;
    let &[kernel, stride, padding, _] = geometry.as_slice() else {
        return Err(trace.error(format!("`{prefix}geometry` must be four numbers")));
    };
    let [Ok(kernel), Ok(stride), Ok(padding)] = [kernel, stride, padding].map(usize::try_from) else {
        return Err(trace.error(format!("`{prefix}geometry`: negative numbers")));
    };
    let in_range = |number| (1..=MOST_PIXELS).contains(&number);
    if !in_range(kernel) || !in_range(stride) || padding > MOST_PIXELS {
        let geometry = format!("a kernel of {kernel}, a stride of {stride}, a padding of {padding}");
        return Err(trace.error(format!("`{prefix}geometry`: {geometry} (must be at most {MOST_PIXELS})")));
    }
    let window = Window { kernel, stride, padding };
    let dtype = verdict.dtype;
    let x = Var::from_tensor(&trace.images(&format!("{prefix}x"), dtype)?)?;
    let weight = Layout::Conv.from_torch(&trace.get(&format!("{prefix}weight"))?.to_dtype(dtype)?)?;
    let inputs = x.dims4()?.3;
    if weight.dims().get(..3) != Some(&[kernel, kernel, inputs]) {
        return Err(trace.error(format!("`{prefix}weight` is not of {kernel}×{kernel} taps of {inputs} channels")));
    }
    let bias = trace.find(&format!("{prefix}bias")).map(|bias| bias.to_dtype(dtype)).transpose()?;
    let kept = Arc::new(Kept::default());
    let recorder =
        Recorder { block: 0, tap: Arc::new(Tap::new(kept.clone())), clock: Arc::new(Clock::new(&trace.device)) };
    let y = conv2d(&x, &weight, bias.as_ref(), window, Some(recorder), engine)?;
    (&y * trace.images(&format!("{prefix}dy"), dtype)?)?.sum_all()?.backward()?;
    let Some(capture) = kept.0.lock().unwrap_or_else(PoisonError::into_inner).take() else {
        return Err(trace.error(format!("`{prefix}`: nothing captured")));
    };
    let (_, _, channels, outputs) = weight.dims4()?;
    let block = Block {
        name: prefix.to_owned(),
        weight: 0,
        bias: bias.map(|_| 1),
        channels,
        taps: window.kernel * window.kernel,
        outputs,
    };
    let mut check = |name: &str, ours: &Tensor| {
        let name = format!("{prefix}{name}");
        Ok::<(), Error>(verdict.compare(&name, ours, trace.get(&name)?, 1e-4)?)
    };
    check("y", &y.permute((0, 3, 1, 2))?)?;
    if let Some(inputs) = &capture.inputs {
        let mean = (inputs / (capture.samples * capture.positions) as f64)?;
        check("factor_a", &block.inputs_to_torch(&mean)?)?;
    }
    if let Some(output_grads) = &capture.output_grads {
        check("factor_g", output_grads)?;
    }
    Ok(())
}

fn newton(trace: &Trace, prefix: &str, verdict: &mut Verdict) -> Result<(), Error> {
    let read = |name: &str| Ok::<Tensor, Error>(trace.get(&format!("{prefix}{name}"))?.to_dtype(verdict.dtype)?);
    let (a, start) = (read("a")?, read("start")?);
    let order = a.dim(0)?;
    let eigenvalue = max_eigenvalue(&a, &power_start(0..order, &a)?)?;
    let identity = Tensor::eye(order, a.dtype(), a.device())?;
    let residual = (identity - start.matmul(&a)?)?.sqr()?.sum_all()?.sqrt()?;
    let mut check = |name: &str, ours: &Tensor| {
        let name = format!("{prefix}{name}");
        Ok::<(), Error>(verdict.compare(&name, ours, trace.get(&name)?, 1e-3)?)
    };
    check("max_eigenvalue", &Tensor::new(&[eigenvalue], a.device())?)?;
    check("residual", &residual)?;
    for steps in trace.under(&format!("{prefix}inverse/")) {
        let Some(rounds) = steps.parse().ok().filter(|&rounds| rounds <= MOST_ROUNDS) else {
            return Err(
                trace.error(format!("`{prefix}inverse/{steps}` must be a number of rounds up to {MOST_ROUNDS}"))
            );
        };
        let name = format!("inverse/{steps}");
        let Some((inverse, _)) = newton_rounds(Products::Full, &a, 0.0, start.clone(), rounds)? else {
            return Err(trace.error(format!("`{prefix}{name}`: our iteration is not finite")));
        };
        check(&name, &inverse)?;
    }
    Ok(())
}
