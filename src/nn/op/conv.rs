//! Convolution and linear layers: `y = patches(x) · W + b`, whose backward pass captures curvature.
//!
//! A convolution is the product of its patches, `(N·H'·W') × (k·k·C_in)`, with the weight matrix; a linear layer is the same
//! with its rows as they are. Where an optimizer wants curvature, the backward pass has both input rows and output
//! gradients at hand and reduces them to second moments there: rows never outlive the operation.

use std::sync::Arc;

use candle_core::{D, DType, Result, Tensor};

use super::host::{self, Kernel, Real};
use super::{Operation, Value, apply, window::Window};
use crate::clock::{Clock, Phase};
use crate::kernel::{self, Engine};
use crate::param::{BlockId, Capture, Tap};

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
    engine: Engine,
) -> Result<Tensor> {
    affine(Affine { rows: Rows::Patches(window), recorder, engine }, x, weight, bias)
}

/// `x · weight + bias` over the last axis of `x`, `…×in`, with `weight`, `in×out`: `…×out`.
pub fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    recorder: Option<Recorder>,
    engine: Engine,
) -> Result<Tensor> {
    affine(Affine { rows: Rows::Plain, recorder, engine }, x, weight, bias)
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
            Self::Patches(window) if !window.is_a_pixel() => window.patches(x),
            _ => x.reshape(((), x.dim(D::Minus1)?)),
        }
    }

    /// The transpose of [`of`](Self::of): adds the gradient of the rows up to that of the input.
    fn fold(self, rows: &Tensor, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Patches(window) if !window.is_a_pixel() => window.add_patches(rows, x),
            _ => rows.reshape(x.shape()),
        }
    }

    /// One input row an example, the mean of its rows, with a one appended for a bias: `N × d_in (+ 1)`.
    fn pooled(self, x: &Tensor, bias: bool) -> Result<Tensor> {
        let rows = match self {
            Self::Plain if x.rank() > 2 => x.flatten(1, x.rank() - 2)?.mean(1)?,
            Self::Plain => x.clone(),
            Self::Patches(window) => {
                let means = window.slices(x, 0.0)?.into_iter().map(|slice| slice.mean((1, 2)));
                Tensor::cat(&means.collect::<Result<Vec<_>>>()?, 1)?
            }
        };
        with_ones(&at_least_f32(&rows)?, bias)
    }

    /// One gradient row an example, the sum of its rows: `N × d_out`.
    fn added_up(grad: &Tensor) -> Result<Tensor> {
        let rows = if grad.rank() > 2 { grad.flatten(1, grad.rank() - 2)?.sum(1)? } else { grad.clone() };
        at_least_f32(&rows)
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
    engine: Engine,
}

impl Affine {
    /// Calls a kernel with the layer seen as a convolution: a linear one is a convolution of one pixel.
    fn geometry(&self, x: &Tensor, outputs: usize) -> Result<kernel::Geometry> {
        match self.rows {
            Rows::Patches(window) => window.geometry(x, outputs),
            Rows::Plain => {
                let inputs = x.dim(D::Minus1)?;
                let batch = x.elem_count() / inputs;
                Ok(kernel::Geometry { batch, height: 1, width: 1, inputs, outputs, kernel: 1, stride: 1, padding: 0 })
            }
        }
    }

    fn on_host<T: Real>(&self, args: &[Tensor]) -> Result<Value> {
        let outputs = args[1].dim(D::Minus1)?;
        let geometry = self.geometry(&args[0], outputs)?;
        let args: Vec<&Tensor> = args.iter().collect();
        let y = host::read(&args, |slices| {
            kernel::conv::forward::<T>(self.engine, &geometry, slices[0], slices[1], slices.get(2).copied())
        })?;
        Ok(host::value(y, self.rows.output_dims(args[0], outputs)?))
    }

    fn host_backward<T: Real>(&self, args: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, weight) = (args[0].detach(), args[1].detach());
        let geometry = self.geometry(&x, weight.dim(D::Minus1)?)?;
        let [dx, dw, db] = host::read(&[&x, &weight, grad], |slices| {
            let wanted = |i: usize| args.get(i).is_some_and(|arg| arg.track_op());
            [
                wanted(0).then(|| kernel::conv::grad_input::<T>(self.engine, &geometry, slices[2], slices[1])),
                wanted(1).then(|| kernel::conv::grad_weight::<T>(self.engine, &geometry, slices[0], slices[2])),
                wanted(2).then(|| kernel::conv::grad_bias::<T>(geometry.outputs, slices[2])),
            ]
        })?;
        let grads = args.iter().zip([dx, dw, db]);
        grads.map(|(arg, grad)| grad.map(|grad| host::tensor(grad, arg.shape(), arg)).transpose()).collect()
    }

    /// Second moments of the input rows, a one appended to each for a bias.
    fn host_inputs<T: Real>(&self, x: &Tensor, outputs: usize, bias: bool) -> Result<Tensor> {
        let geometry = self.geometry(x, outputs)?;
        let order = geometry.patch() + usize::from(bias);
        let gram = host::read(&[x], |slices| kernel::gram::conv::<T>(self.engine, &geometry, slices[0], bias))?;
        host::tensor(gram, (order, order), x)
    }

    fn portable(&self, args: &[Tensor]) -> Result<Tensor> {
        let (x, weight) = (&args[0], matrix(&args[1])?);
        let y = self.rows.of(x)?.matmul(&weight)?;
        let y = match args.get(2) {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        y.reshape(self.rows.output_dims(x, weight.dim(1)?)?)
    }

    fn portable_backward(&self, args: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, weight) = (args[0].detach(), matrix(&args[1].detach())?);
        let grad = grad.reshape(((), weight.dim(1)?))?;
        let wanted = |i: usize, gradient: &dyn Fn() -> Result<Tensor>| args[i].track_op().then(gradient).transpose();
        let mut grads = vec![
            wanted(0, &|| self.rows.fold(&grad.matmul(&weight.t()?)?, &x))?,
            wanted(1, &|| self.rows.of(&x)?.t()?.matmul(&grad)?.reshape(args[1].shape()))?,
        ];
        if args.len() > 2 {
            grads.push(wanted(2, &|| grad.sum(0))?);
        }
        Ok(grads)
    }

    fn portable_inputs(&self, x: &Tensor, bias: bool) -> Result<Tensor> {
        gram(&with_ones(&at_least_f32(&self.rows.of(x)?)?, bias)?)
    }

    /// Reduces input rows and gradient rows to second moments, if this pass is to capture any.
    fn record(&self, x: &Tensor, grad: &Tensor, bias: bool) -> Result<()> {
        let Some(Recorder { block, tap, clock }) = &self.recorder else { return Ok(()) };
        let [takes_inputs, takes_output_grads] = tap.takes();
        if !takes_inputs && !takes_output_grads {
            return Ok(());
        }
        let _moments = clock.phase(Phase::Moments);
        let outputs = grad.dim(D::Minus1)?;
        let kernel = Kernel::of(x);
        let inputs = takes_inputs.then(|| match &kernel {
            _ if tap.pools() => self.rows.pooled(x, bias),
            Kernel::Single => self.host_inputs::<f32>(x, outputs, bias),
            Kernel::Double => self.host_inputs::<f64>(x, outputs, bias),
            Kernel::Device(_) | Kernel::None => self.portable_inputs(x, bias),
        });
        let output_grads = takes_output_grads.then(|| match &kernel {
            _ if tap.pools() => Rows::added_up(grad),
            Kernel::Single => host_gram::<f32>(grad),
            Kernel::Double => host_gram::<f64>(grad),
            Kernel::Device(_) | Kernel::None => gram(&at_least_f32(&grad.reshape(((), outputs))?)?),
        });
        let count = grad.elem_count() / outputs;
        let samples = match self.rows {
            Rows::Plain if !tap.pools() => count,
            _ => x.dim(0)?,
        };
        tap.send(Capture {
            block: *block,
            inputs: inputs.transpose()?,
            output_grads: output_grads.transpose()?,
            samples,
            positions: count / samples,
            terms: tap.terms(),
            whole: tap.is_whole(),
        })
    }
}

impl Operation for Affine {
    fn name(&self) -> &'static str {
        match self.rows {
            Rows::Plain => "linear",
            Rows::Patches(_) => "conv2d",
        }
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match Kernel::of(&args[0]) {
            Kernel::Single => self.on_host::<f32>(args),
            Kernel::Double => self.on_host::<f64>(args),
            Kernel::Device(_) | Kernel::None => Ok(Value::Tensor(self.portable(args)?)),
        }
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        self.record(&args[0].detach(), grad, args.len() > 2)?;
        match Kernel::of(args[0]) {
            Kernel::Single => self.host_backward::<f32>(args, grad),
            Kernel::Double => self.host_backward::<f64>(args, grad),
            Kernel::Device(_) | Kernel::None => self.portable_backward(args, grad),
        }
    }
}

/// A weight as its matrix, `d_in × d_out`.
fn matrix(weight: &Tensor) -> Result<Tensor> {
    weight.reshape(((), weight.dim(D::Minus1)?))
}

/// Factors are kept in float32 or better, even if the net runs lower.
fn at_least_f32(x: &Tensor) -> Result<Tensor> {
    if x.dtype() == DType::F64 { Ok(x.clone()) } else { x.to_dtype(DType::F32) }
}

/// The rows, with a one appended to each for a bias.
fn with_ones(rows: &Tensor, bias: bool) -> Result<Tensor> {
    if !bias {
        return Ok(rows.clone());
    }
    let ones = Tensor::ones((rows.dim(0)?, 1), rows.dtype(), rows.device())?;
    Tensor::cat(&[rows, &ones], 1)
}

/// `XᵀX` of rows.
fn gram(rows: &Tensor) -> Result<Tensor> {
    rows.t()?.matmul(rows)
}

/// `XᵀX` of the rows along the last axis, by the kernel.
fn host_gram<T: Real>(rows: &Tensor) -> Result<Tensor> {
    let columns = rows.dim(D::Minus1)?;
    let gram = host::read(&[rows], |slices| kernel::gram::rows::<T>(slices[0], columns))?;
    host::tensor(gram, (columns, columns), rows)
}

#[cfg(test)]
mod tests {
    use super::{Affine, Engine, Rows, Value, conv2d, gram, host_gram, linear};
    use crate::nn::op::check;
    use crate::nn::op::window::Window;
    use candle_core::{Device, Tensor, Var};
    use proptest::prelude::*;

    fn values(value: &Tensor) -> Vec<f64> {
        value.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn close(ours: &[f64], theirs: &[f64]) -> bool {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-9)
    }

    fn random(dims: &[usize]) -> Tensor {
        Tensor::randn(0f64, 1., dims, &Device::Cpu).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn kernels_agree_with_candle_operations(
            kernel in 1usize..6,
            stride in 1usize..4,
            padding in 0usize..4,
            height in 5usize..12,
            width in 5usize..12,
            inputs in 1usize..6,
            outputs in 1usize..20,
            batch in 1usize..4,
        ) {
            let window = Window { kernel, stride, padding };
            let affine = Affine { rows: Rows::Patches(window), recorder: None, engine: Engine::AUTO };
            let args = [random(&[batch, height, width, inputs]), random(&[kernel, kernel, inputs, outputs]), random(&[outputs])];
            let theirs = affine.portable(&args).unwrap();
            let Value::Host(ours, _) = affine.on_host::<f64>(&args).unwrap() else { panic!("not a kernel's value") };
            prop_assert!(close(ours.as_slice::<f64>().unwrap(), &values(&theirs)));

            let grad = theirs.randn_like(0.0, 1.0).unwrap();
            let args: Vec<Var> = args.iter().map(|arg| Var::from_tensor(arg).unwrap()).collect();
            let args: Vec<&Tensor> = args.iter().map(Var::as_tensor).collect();
            let ours = affine.host_backward::<f64>(&args, &grad).unwrap();
            let theirs = affine.portable_backward(&args, &grad).unwrap();
            for (ours, theirs) in ours.iter().zip(&theirs) {
                prop_assert!(close(&values(ours.as_ref().unwrap()), &values(theirs.as_ref().unwrap())));
            }

            for bias in [false, true] {
                let ours = affine.host_inputs::<f64>(args[0], outputs, bias).unwrap();
                prop_assert!(close(&values(&ours), &values(&affine.portable_inputs(args[0], bias).unwrap())));
            }
            let rows = grad.reshape(((), outputs)).unwrap();
            prop_assert!(close(&values(&host_gram::<f64>(&grad).unwrap()), &values(&gram(&rows).unwrap())));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn gradients_are_those_of_finite_differences(
            kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3, height in 4usize..9, width in 4usize..9,
            inputs in 1usize..6, outputs in 1usize..6,
        ) {
            let window = Window { kernel, stride, padding };
            let args = [
                check::random(&[2, height, width, inputs], 1),
                check::random(&[kernel, kernel, inputs, outputs], 2),
                check::random(&[outputs], 3),
            ];
            check::gradients(&args, |args| conv2d(&args[0], &args[1], Some(&args[2]), window, None, Engine::AUTO));
            let args = [
                check::random(&[2, height, inputs], 1),
                check::random(&[inputs, outputs], 2),
                check::random(&[outputs], 3),
            ];
            check::gradients(&args, |args| linear(&args[0], &args[1], Some(&args[2]), None, Engine::AUTO));
        }
    }

    #[test]
    fn nothing_is_computed_for_what_is_not_tracked() {
        let affine = Affine { rows: Rows::Plain, recorder: None, engine: Engine::AUTO };
        let (x, weight) = (random(&[3, 4]), Var::from_tensor(&random(&[4, 5])).unwrap());
        let grads = affine.host_backward::<f64>(&[&x, weight.as_tensor()], &random(&[3, 5])).unwrap();
        assert!(grads[0].is_none() && grads[1].is_some());
    }
}
