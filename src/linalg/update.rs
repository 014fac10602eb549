//! Sums of tensors in one pass over memory.

use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Result, Tensor, Var};

use super::slices::{Real, by_type, has_kernels, read};
use crate::device;
use crate::kernel::elementwise::{self, Adam};

/// `a·x + b·y`.
pub fn combine(a: f64, x: &Tensor, b: f64, y: &Tensor) -> Result<Tensor> {
    fn by<T: Real>(a: f64, x: &Tensor, b: f64, y: &Tensor) -> Result<Tensor> {
        let sum = read(&[x, y], |slices| elementwise::combine::<T>(a, slices[0], b, slices[1]))?;
        Tensor::from_vec(sum, x.shape(), x.device())
    }
    let slowly = || match device::of(&[x, y]) {
        Some(gpu) if x.shape() == y.shape() => device::elementwise::combine(&gpu, a, x, b, y),
        _ => (x * a)? + (y * b)?,
    };
    if x.shape() != y.shape() {
        return slowly();
    }
    by_type!(&[x, y], by::<f32>(a, x, b, y), by::<f64>(a, x, b, y), slowly())
}

/// `a·x`, rounded once: `a` need not fit into float32.
pub fn scale(a: f64, x: &Tensor) -> Result<Tensor> {
    fn by<T: Real>(a: f64, x: &Tensor) -> Result<Tensor> {
        let scaled = read(&[x], |slices| elementwise::scale::<T>(a, slices[0]))?;
        Tensor::from_vec(scaled, x.shape(), x.device())
    }
    let slowly = || match device::of(&[x]) {
        Some(gpu) => device::elementwise::scale(&gpu, a, x),
        None => (x.to_dtype(DType::F64)? * a)?.to_dtype(x.dtype()),
    };
    by_type!(&[x], by::<f32>(a, x), by::<f64>(a, x), slowly())
}

/// `θ ← θ − lr·u`, without another copy of θ on the CPU.
pub fn subtract_in_place(parameter: &Var, lr: f64, update: &Tensor) -> Result<()> {
    if has_kernels(parameter) && update.is_contiguous() && parameter.is_contiguous() {
        return parameter.inplace_op2(update, &AddScaled { keep: 1.0, add: -lr });
    }
    parameter.set(&combine(1.0, &parameter.as_detached_tensor(), -lr, update)?)
}

/// `average ← keep·average + add·new`, in its own memory on the CPU, so that whoever holds the tensor sees it change.
pub fn average_in_place(average: &Tensor, keep: f64, add: f64, new: &Tensor) -> Result<Tensor> {
    if has_kernels(average) && new.is_contiguous() && average.is_contiguous() {
        average.inplace_op2(new, &AddScaled { keep, add })?;
        return Ok(average.clone());
    }
    combine(keep, average, add, new)
}

/// `x ← keep·x + add·y`.
struct AddScaled {
    keep: f64,
    add: f64,
}

impl InplaceOp2 for AddScaled {
    fn name(&self) -> &'static str {
        "add-scaled"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, x_layout: &Layout, y: &CpuStorage, y_layout: &Layout) -> Result<()> {
        let (Some((x_start, x_end)), Some((y_start, y_end))) =
            (x_layout.contiguous_offsets(), y_layout.contiguous_offsets())
        else {
            candle_core::bail!("{}: a tensor is not contiguous", self.name())
        };
        match (x, y) {
            (CpuStorage::F32(x), CpuStorage::F32(y)) => {
                elementwise::add_scaled(self.keep, &mut x[x_start..x_end], self.add, &y[y_start..y_end]);
            }
            (CpuStorage::F64(x), CpuStorage::F64(y)) => {
                elementwise::add_scaled(self.keep, &mut x[x_start..x_end], self.add, &y[y_start..y_end]);
            }
            _ => candle_core::bail!("{}: must be float32 or float64, the same on both sides", self.name()),
        }
        Ok(())
    }
}

/// One of Adam's steps, from m, `√v` and the update to the next m and `√v` and the step; as [`Adam::step`] says.
pub fn adam([first, root, update]: [&Tensor; 3], numbers: &Adam) -> Result<[Tensor; 3]> {
    fn by<T: Real>(tensors: [&Tensor; 3], numbers: &Adam) -> Result<[Tensor; 3]> {
        let [first, root, step] = read(&tensors, |slices| numbers.step::<T>(slices[0], slices[1], slices[2]))?;
        let tensor = |values: Vec<T>| Tensor::from_vec(values, tensors[2].shape(), tensors[2].device());
        Ok([tensor(first)?, tensor(root)?, tensor(step)?])
    }
    let tensors = [first, root, update];
    let slowly = || match device::of(&tensors) {
        Some(gpu) => device::elementwise::adam(&gpu, tensors, numbers),
        None => portable_adam(tensors, numbers),
    };
    by_type!(&tensors, by::<f32>(tensors, numbers), by::<f64>(tensors, numbers), slowly())
}

fn portable_adam(tensors: [&Tensor; 3], &Adam { betas, corrections, eps, belief }: &Adam) -> Result<[Tensor; 3]> {
    let dtype = tensors[2].dtype();
    let [first, root, update] = tensors.map(|tensor| tensor.to_dtype(DType::F64));
    let (root, update) = (root?, update?);
    let first = ((first? * betas[0])? + (&update * (1.0 - betas[0]))?)?;
    let (square, add) = if belief { ((update - &first)?.sqr()?, eps) } else { (update.sqr()?, 0.0) };
    let root = (((root.sqr()? * betas[1])? + (square * (1.0 - betas[1]))?)? + add)?.sqrt()?;
    let step = ((&first / ((&root / corrections[1])? + eps)?)? / corrections[0])?;
    Ok([first.to_dtype(dtype)?, root.to_dtype(dtype)?, step.to_dtype(dtype)?])
}

#[cfg(test)]
mod tests {
    use super::{Adam, adam, portable_adam};
    use candle_core::{DType, Device, Result, Tensor};

    #[test]
    fn adam_agrees_with_candle_operations() -> Result<()> {
        let tensors = [0.3, 0.7, -0.2].map(|x: f64| Tensor::new(&[x, 2.0, x * 3.0 + 0.5], &Device::Cpu));
        let [first, root, update] = tensors;
        let (first, root, update) = (first?, root?.abs()?, update?);
        for (dtype, bound) in [(DType::F64, 1e-14), (DType::F32, 1e-6)] {
            let cast = |tensor: &Tensor| tensor.to_dtype(dtype);
            let [first, root, update] = [cast(&first)?, cast(&root)?, cast(&update)?];
            let of = |belief, eps| -> Result<[[Tensor; 3]; 2]> {
                let numbers = Adam { betas: [0.9, 0.99], corrections: [0.2, 0.1], eps, belief };
                Ok([adam([&first, &root, &update], &numbers)?, portable_adam([&first, &root, &update], &numbers)?])
            };
            let off = |a: &Tensor, b: &Tensor| crate::linalg::norm(&(a - b)?);
            for belief in [false, true] {
                let [ours, theirs] = of(belief, 1e-3)?;
                for (ours, theirs) in ours.iter().zip(&theirs) {
                    assert!(off(ours, theirs)? < bound, "{ours} {theirs}");
                }
                // Control: another ε.
                assert!(off(&ours[2], &of(belief, 2e-3)?[1][2])? > 10.0 * bound);
            }
        }
        Ok(())
    }
}
