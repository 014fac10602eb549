//! Convolution and linear layers: `y = patches(x) · W + b`, whose backward pass captures curvature.
//!
//! A convolution is the product of its patches, `(N·H'·W') × (k·k·C_in)`, with the weight matrix; a linear layer is the same
//! with its rows as they are. Where an optimizer wants curvature, the backward pass has both input rows and output
//! gradients at hand and reduces them to second moments there: rows never outlive the operation.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor};

use super::{Operation, apply, window::Window};
use crate::clock::{Clock, Phase};
use crate::param::{BlockId, Capture, Demand, Tap};

/// What a layer needs to hand its second moments on.
#[derive(Debug, Clone)]
pub struct Recorder {
    pub block: BlockId,
    pub tap: Arc<Tap>,
    pub clock: Arc<Clock>,
}

/// Convolution of `x`, `N×H×W×C_in`, with `weight`, `k×k×C_in×C_out`, plus `bias`, `C_out`: `N×H'×W'×C_out`.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    window: Window,
    recorder: Option<Recorder>,
) -> Result<Tensor> {
    affine(Affine { rows: Rows::Patches(window), recorder }, x, weight, bias)
}

/// `x · weight + bias` over the last axis of `x`, `…×in`, with `weight`, `in×out`: `…×out`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, recorder: Option<Recorder>) -> Result<Tensor> {
    affine(Affine { rows: Rows::Plain, recorder }, x, weight, bias)
}

fn affine(operation: Affine, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    match bias {
        Some(bias) => apply(operation, &[x, weight, bias]),
        None => apply(operation, &[x, weight]),
    }
}

/// How the rows of the product are read from the input.
#[derive(Debug, Clone, Copy)]
enum Rows {
    Plain,
    Patches(Window),
}

impl Rows {
    /// The input rows, `rows × d_in`.
    fn of(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Patches(window) if window.kernel > 1 || window.stride > 1 || window.padding > 0 => {
                let patches = Tensor::cat(&window.slices(x, 0.0)?, 3)?;
                let columns = patches.dim(3)?;
                patches.reshape(((), columns))
            }
            _ => x.reshape(((), x.dim(candle_core::D::Minus1)?)),
        }
    }

    /// The transpose of [`of`](Self::of): adds the gradient of the rows up to that of the input.
    fn fold(self, rows: &Tensor, x: &Tensor) -> Result<Tensor> {
        let Self::Patches(window) = self else { return rows.reshape(x.shape()) };
        let (batch, height, width, channels) = x.dims4()?;
        let (out_height, out_width) = (window.positions(height)?, window.positions(width)?);
        let rows = rows.reshape((batch, out_height, out_width, ()))?;
        let taps = window.kernel * window.kernel;
        let slices: Result<Vec<Tensor>> = (0..taps).map(|tap| rows.narrow(3, tap * channels, channels)).collect();
        window.fold(&slices?, height, width)
    }

    fn output_dims(self, x: &Tensor, outputs: usize) -> Result<Vec<usize>> {
        let mut dims = x.dims().to_vec();
        if let Self::Patches(window) = self {
            let (_, height, width, _) = x.dims4()?;
            (dims[1], dims[2]) = (window.positions(height)?, window.positions(width)?);
        }
        dims.pop();
        dims.push(outputs);
        Ok(dims)
    }
}

struct Affine {
    rows: Rows,
    recorder: Option<Recorder>,
}

impl Operation for Affine {
    fn name(&self) -> &'static str {
        match self.rows {
            Rows::Plain => "linear",
            Rows::Patches(_) => "conv2d",
        }
    }

    fn forward(&self, args: &[Tensor]) -> Result<Tensor> {
        let (x, weight) = (&args[0], matrix(&args[1])?);
        let y = self.rows.of(x)?.matmul(&weight)?;
        let y = match args.get(2) {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        y.reshape(self.rows.output_dims(x, weight.dim(1)?)?)
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, weight) = (args[0].detach(), matrix(&args[1].detach())?);
        let grad = grad.reshape(((), weight.dim(1)?))?;
        let rows = self.rows.of(&x)?;
        if let Some(recorder) = &self.recorder {
            let samples = match self.rows {
                Rows::Plain => rows.dim(0)?,
                Rows::Patches(_) => x.dim(0)?,
            };
            recorder.record(&rows, &grad, samples, args.len() > 2)?;
        }
        let wanted = |i: usize, gradient: &dyn Fn() -> Result<Tensor>| args[i].track_op().then(gradient).transpose();
        let mut grads = vec![
            wanted(0, &|| self.rows.fold(&grad.matmul(&weight.t()?)?, &x))?,
            wanted(1, &|| rows.t()?.matmul(&grad)?.reshape(args[1].shape()))?,
        ];
        if args.len() > 2 {
            grads.push(wanted(2, &|| grad.sum(0))?);
        }
        Ok(grads)
    }
}

/// A weight as its matrix, `d_in × d_out`.
fn matrix(weight: &Tensor) -> Result<Tensor> {
    weight.reshape(((), weight.dim(candle_core::D::Minus1)?))
}

impl Recorder {
    /// Reduces input rows and gradient rows to second moments, if this pass is to capture any.
    fn record(&self, rows: &Tensor, grad: &Tensor, samples: usize, bias: bool) -> Result<()> {
        let demand = self.tap.demand();
        if demand == Demand::Nothing {
            return Ok(());
        }
        let _moments = self.clock.phase(Phase::Moments);
        let (rows, grad) = (at_least_f32(rows)?, at_least_f32(grad)?);
        let count = rows.dim(0)?;
        let inputs = match demand {
            Demand::Moments if bias => {
                let ones = Tensor::ones((count, 1), rows.dtype(), rows.device())?;
                Some(gram(&Tensor::cat(&[&rows, &ones], 1)?)?)
            }
            Demand::Moments => Some(gram(&rows)?),
            Demand::OutputGrads | Demand::Nothing => None,
        };
        let output_grads = gram(&grad)?;
        self.tap.send(Capture { block: self.block, inputs, output_grads, samples, positions: count / samples })
    }
}

/// Factors are kept in float32 or better, even if the net runs lower.
fn at_least_f32(x: &Tensor) -> Result<Tensor> {
    if x.dtype() == DType::F64 { Ok(x.clone()) } else { x.to_dtype(DType::F32) }
}

/// `XᵀX`.
fn gram(rows: &Tensor) -> Result<Tensor> {
    rows.t()?.matmul(rows)
}
