//! Grouped convolution: each group of channels by windows of its own; with as many groups as channels it is MobileNet's depthwise one.
//!
//! It captures no curvature. Its Fisher matrix would be one small pair of factors a group, which neither the reference implementations nor
//! the inverters have; its weight is a parameter without a block, and experiments with a preconditioner refuse its nets.

use candle_core::{D, Result, Tensor};

use super::host::{self, Kernel, Real};
use super::{Operation, Value, apply, window::Window};
use crate::kernel::{Engine, Geometry, grouped as kernel};

/// Convolution of `x`, `N×H×W×C_in`, with `weight`, `k×k×(C_in/groups)×C_out`: `N×H'×W'×C_out`.
pub fn grouped_conv2d(x: &Tensor, weight: &Tensor, window: Window, groups: usize, engine: Engine) -> Result<Tensor> {
    let (inputs, outputs) = (x.dim(D::Minus1)?, weight.dim(D::Minus1)?);
    check(inputs, outputs, groups)?;
    if weight.dim(2)? * groups != inputs {
        candle_core::bail!("a weight of {:?} does not fit {inputs} channels in {groups} groups", weight.shape())
    }
    apply(Grouped { window, groups, engine }, &[x, weight])
}

/// An error unless channels fall into so many groups of equal size.
pub fn check(inputs: usize, outputs: usize, groups: usize) -> Result<()> {
    if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
        candle_core::bail!("{inputs} channels in and {outputs} out do not fall into {groups} groups of equal size")
    }
    Ok(())
}

struct Grouped {
    window: Window,
    groups: usize,
    engine: Engine,
}

impl Grouped {
    fn geometry(&self, x: &Tensor, weight: &Tensor) -> Result<Geometry> {
        self.window.geometry(x, weight.dim(D::Minus1)?)
    }

    fn on_host<T: Real>(&self, args: &[Tensor]) -> Result<Value> {
        let g = self.geometry(&args[0], &args[1])?;
        let y = host::read(&[&args[0], &args[1]], |slices| {
            kernel::forward::<T>(self.engine, &g, self.groups, slices[0], slices[1])
        })?;
        Ok(host::value(y, (g.batch, g.out_height(), g.out_width(), g.outputs)))
    }

    fn host_backward<T: Real>(&self, args: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, weight) = (args[0].detach(), args[1].detach());
        let (g, groups, engine) = (self.geometry(&x, &weight)?, self.groups, self.engine);
        let [dx, dw] = host::read(&[&x, &weight, grad], |slices| {
            [
                args[0].track_op().then(|| kernel::grad_input::<T>(engine, &g, groups, slices[2], slices[1])),
                args[1].track_op().then(|| kernel::grad_weight::<T>(engine, &g, groups, slices[0], slices[2])),
            ]
        })?;
        let grads = args.iter().zip([dx, dw]);
        grads.map(|(arg, grad)| grad.map(|grad| host::tensor(grad, arg.shape(), arg)).transpose()).collect()
    }

    fn portable(&self, args: &[Tensor]) -> Result<Tensor> {
        let g = self.geometry(&args[0], &args[1])?;
        let y = self.patches(&args[0])?.matmul(&self.by_group(&args[1])?)?;
        self.side_by_side(&y)?.reshape((g.batch, g.out_height(), g.out_width(), g.outputs))
    }

    fn portable_backward(&self, args: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, weight, grad) = (args[0].detach(), args[1].detach(), self.by_group(grad)?);
        let by_input = || self.fold(&grad.matmul(&turned(&self.by_group(&weight)?)?)?, &x);
        let by_weight = || self.side_by_side(&turned(&self.patches(&x)?)?.matmul(&grad)?)?.reshape(weight.shape());
        Ok(vec![args[0].track_op().then(by_input).transpose()?, args[1].track_op().then(by_weight).transpose()?])
    }

    /// The patches of each group, `groups × (N·H'·W') × (k·k·C_in/groups)`.
    fn patches(&self, x: &Tensor) -> Result<Tensor> {
        let rows = self.window.patches(x)?.reshape(((), self.taps(), self.groups, x.dim(D::Minus1)? / self.groups))?;
        rows.permute((2, 0, 1, 3))?.contiguous()?.flatten_from(2)
    }

    /// The transpose of [`patches`](Self::patches): adds their gradient up to that of `x`.
    fn fold(&self, patches: &Tensor, x: &Tensor) -> Result<Tensor> {
        let channels = x.dim(D::Minus1)?;
        let patches = patches.reshape((self.groups, (), self.taps(), channels / self.groups))?;
        let patches = patches.permute((1, 2, 0, 3))?.contiguous()?.reshape(((), self.taps() * channels))?;
        self.window.add_patches(&patches, x)
    }

    /// Rows along the last axis, cut into the groups: `groups × rows × channels/groups`.
    fn by_group(&self, rows: &Tensor) -> Result<Tensor> {
        let channels = rows.dim(D::Minus1)?;
        rows.reshape(((), self.groups, channels / self.groups))?.permute((1, 0, 2))?.contiguous()
    }

    /// The transpose of [`by_group`](Self::by_group): `rows × channels`.
    fn side_by_side(&self, groups: &Tensor) -> Result<Tensor> {
        groups.permute((1, 0, 2))?.contiguous()?.flatten_from(1)
    }

    const fn taps(&self) -> usize {
        self.window.kernel * self.window.kernel
    }
}

/// Each group's matrix transposed.
fn turned(matrices: &Tensor) -> Result<Tensor> {
    matrices.transpose(1, 2)?.contiguous()
}

impl Operation for Grouped {
    fn name(&self) -> &'static str {
        "grouped conv2d"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Value> {
        match Kernel::of(&args[0]) {
            Kernel::Single => self.on_host::<f32>(args),
            Kernel::Double => self.on_host::<f64>(args),
            Kernel::Device(_) | Kernel::None => Ok(Value::Tensor(self.portable(args)?)),
        }
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        match Kernel::of(args[0]) {
            Kernel::Single => self.host_backward::<f32>(args, grad),
            Kernel::Double => self.host_backward::<f64>(args, grad),
            Kernel::Device(_) | Kernel::None => self.portable_backward(args, grad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Engine, Grouped, Value, grouped_conv2d};
    use crate::nn::op::check::{self, random, values};
    use crate::nn::op::window::Window;
    use candle_core::{Tensor, Var};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_kernel_agrees_with_candle_operations(
            kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3, height in 4usize..9, width in 4usize..9,
            (groups, inputs, outputs) in prop_oneof![(1usize..12, 1usize..4, 1usize..4), (2usize..20, Just(1), Just(1))],
        ) {
            let operation = Grouped { window: Window { kernel, stride, padding }, groups, engine: Engine::AUTO };
            let args = [random(&[2, height, width, groups * inputs], 1), random(&[kernel, kernel, inputs, groups * outputs], 2)];
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
        fn gradients_are_those_of_finite_differences(
            kernel in 1usize..4, stride in 1usize..3, padding in 0usize..2, groups in 1usize..4, inputs in 1usize..3,
            outputs in 1usize..3,
        ) {
            let window = Window { kernel, stride, padding };
            let args = [random(&[2, 5, 6, groups * inputs], 1), random(&[kernel, kernel, inputs, groups * outputs], 2)];
            check::gradients(&args, |args| grouped_conv2d(&args[0], &args[1], window, groups, Engine::AUTO));
        }
    }

    #[test]
    fn channels_that_do_not_fall_into_the_groups_are_refused() {
        let window = Window { kernel: 1, stride: 1, padding: 0 };
        let refused = |inputs: usize, weight: [usize; 2], groups| {
            let (x, weight) = (random(&[1, 2, 2, inputs], 1), random(&[1, 1, weight[0], weight[1]], 2));
            grouped_conv2d(&x, &weight, window, groups, Engine::AUTO).is_err()
        };
        assert!(!refused(4, [2, 6], 2));
        assert!(refused(4, [2, 5], 2) && refused(5, [2, 6], 2) && refused(4, [1, 6], 2) && refused(4, [2, 6], 0));
    }
}
