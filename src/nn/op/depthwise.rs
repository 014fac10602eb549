//! Depthwise convolution: each channel by a window of its own, the grouped convolution of MobileNet.
//!
//! It captures no curvature. Its Fisher matrix would be one tiny pair of factors a channel, k² × k² and 1 × 1, which neither the
//! reference implementations nor the inverters have; its weight is a parameter without a block, and experiments with a preconditioner refuse
//! its nets.

use candle_core::{Result, Tensor};

use super::host::{self, Kernel, Real};
use super::{Operation, Value, apply, window::Window};
use crate::kernel::{Geometry, depthwise as kernel};

/// Convolution of `x`, `N×H×W×C`, with `weight`, `k×k×C`: `N×H'×W'×C`.
pub fn depthwise(x: &Tensor, weight: &Tensor, window: Window) -> Result<Tensor> {
    apply(Depthwise(window), &[x, weight])
}

struct Depthwise(Window);

impl Depthwise {
    fn geometry(&self, x: &Tensor) -> Result<Geometry> {
        host::geometry(x, self.0, x.dim(3)?)
    }

    fn on_host<T: Real>(&self, args: &[Tensor]) -> Result<Value> {
        let g = self.geometry(&args[0])?;
        let y = host::read(&[&args[0], &args[1]], |slices| kernel::forward::<T>(&g, slices[0], slices[1]))?;
        Ok(host::value(y, (g.batch, g.out_height(), g.out_width(), g.inputs)))
    }

    fn host_backward<T: Real>(&self, args: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, weight) = (args[0].detach(), args[1].detach());
        let g = self.geometry(&x)?;
        let [dx, dw] = host::read(&[&x, &weight, grad], |slices| {
            [
                args[0].track_op().then(|| kernel::grad_input::<T>(&g, slices[2], slices[1])),
                args[1].track_op().then(|| kernel::grad_weight::<T>(&g, slices[0], slices[2])),
            ]
        })?;
        let grads = args.iter().zip([dx, dw]);
        grads.map(|(arg, grad)| grad.map(|grad| host::tensor(grad, arg.shape(), arg)).transpose()).collect()
    }

    fn portable(&self, args: &[Tensor]) -> Result<Tensor> {
        let mut y = None;
        for (slice, tap) in self.0.slices(&args[0], 0.0)?.iter().zip(taps(&args[1])?) {
            let product = slice.broadcast_mul(&tap)?;
            y = Some(match y {
                Some(y) => (product + y)?,
                None => product,
            });
        }
        y.ok_or_else(|| candle_core::Error::Msg("depthwise: a window without taps".into()))
    }

    fn portable_backward(&self, args: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, weight) = (args[0].detach(), args[1].detach());
        let by_input = || -> Result<Tensor> {
            let slices = taps(&weight)?.iter().map(|tap| grad.broadcast_mul(tap)).collect::<Result<Vec<_>>>()?;
            self.0.fold(&slices, x.dim(1)?, x.dim(2)?)
        };
        let by_weight = || -> Result<Tensor> {
            let taps = self.0.slices(&x, 0.0)?.into_iter().map(|slice| (slice * grad)?.sum((0, 1, 2)));
            Tensor::stack(&taps.collect::<Result<Vec<_>>>()?, 0)?.reshape(weight.shape())
        };
        Ok(vec![args[0].track_op().then(by_input).transpose()?, args[1].track_op().then(by_weight).transpose()?])
    }
}

/// The k² rows of a weight, `C` each.
fn taps(weight: &Tensor) -> Result<Vec<Tensor>> {
    let rows = weight.flatten(0, 1)?;
    (0..rows.dim(0)?).map(|tap| rows.get(tap)).collect()
}

impl Operation for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match Kernel::of(&args[0]) {
            Kernel::Single => self.on_host::<f32>(args),
            Kernel::Double => self.on_host::<f64>(args),
            Kernel::None => Ok(Value::Tensor(self.portable(args)?)),
        }
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        match Kernel::of(args[0]) {
            Kernel::Single => self.host_backward::<f32>(args, grad),
            Kernel::Double => self.host_backward::<f64>(args, grad),
            Kernel::None => self.portable_backward(args, grad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Depthwise, Value, depthwise};
    use crate::nn::op::check::{self, random, values};
    use crate::nn::op::window::Window;
    use candle_core::{Tensor, Var};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_kernel_agrees_with_candle_operations(
            kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3, height in 4usize..9, width in 4usize..9,
            channels in 1usize..20,
        ) {
            let operation = Depthwise(Window { kernel, stride, padding });
            let args = [random(&[2, height, width, channels], 1), random(&[kernel, kernel, channels], 2)];
            let theirs = operation.portable(&args).unwrap();
            let Value::Host(ours, _) = operation.on_host::<f64>(&args).unwrap() else { panic!("not a kernel's value") };
            prop_assert!(check::close(ours.as_slice::<f64>().unwrap(), &values(&theirs), 1e-10));
            let grad = random(theirs.dims(), 3);
            let args: Vec<Var> = args.iter().map(|arg| Var::from_tensor(arg).unwrap()).collect();
            let args: Vec<&Tensor> = args.iter().map(Var::as_tensor).collect();
            let ours = operation.host_backward::<f64>(&args, &grad).unwrap();
            for (ours, theirs) in ours.iter().zip(operation.portable_backward(&args, &grad).unwrap()) {
                prop_assert!(check::close(&values(ours.as_ref().unwrap()), &values(&theirs.unwrap()), 1e-10));
            }
        }

        #[test]
        fn gradients_are_those_of_finite_differences(kernel in 1usize..4, stride in 1usize..3, padding in 0usize..2) {
            let window = Window { kernel, stride, padding };
            let args = [random(&[2, 5, 6, 3], 1), random(&[kernel, kernel, 3], 2)];
            check::gradients(&args, |args| depthwise(&args[0], &args[1], window));
        }
    }
}
