//! Sums of tensors in one pass over memory.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var};

use super::slices::{Real, by_type, read};
use crate::kernel::elementwise;

/// `a·x + b·y`.
pub fn combine(a: f64, x: &Tensor, b: f64, y: &Tensor) -> Result<Tensor> {
    fn by<T: Real>(a: f64, x: &Tensor, b: f64, y: &Tensor) -> Result<Tensor> {
        let (a, b) = (T::from_f64(a), T::from_f64(b));
        let sum = read(&[x, y], |slices| elementwise::combine::<T>(a, slices[0], b, slices[1]))?;
        Tensor::from_vec(sum, x.shape(), x.device())
    }
    let slowly = || (x * a)? + (y * b)?;
    if x.shape() != y.shape() {
        return slowly();
    }
    by_type!(&[x, y], by::<f32>(a, x, b, y), by::<f64>(a, x, b, y), slowly())
}

/// `a·x`.
pub fn scale(a: f64, x: &Tensor) -> Result<Tensor> {
    fn by<T: Real>(a: f64, x: &Tensor) -> Result<Tensor> {
        let scaled = read(&[x], |slices| elementwise::scale::<T>(T::from_f64(a), slices[0]))?;
        Tensor::from_vec(scaled, x.shape(), x.device())
    }
    by_type!(&[x], by::<f32>(a, x), by::<f64>(a, x), x * a)
}

/// `θ ← θ − lr·u`, without another copy of θ on the CPU.
pub fn subtract_in_place(parameter: &Var, lr: f64, update: &Tensor) -> Result<()> {
    if parameter.device().is_cpu() && update.is_contiguous() && parameter.is_contiguous() {
        return parameter.inplace_op2(update, &AddScaled { keep: 1.0, add: -lr });
    }
    parameter.set(&combine(1.0, &parameter.as_detached_tensor(), -lr, update)?)
}

/// `average ← keep·average + add·new`, in its own memory on the CPU, so that whoever holds the tensor sees it change.
pub fn average_in_place(average: &Tensor, keep: f64, add: f64, new: &Tensor) -> Result<Tensor> {
    if average.device().is_cpu() && new.is_contiguous() && average.is_contiguous() {
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
                elementwise::add_scaled(self.keep as f32, &mut x[x_start..x_end], self.add as f32, &y[y_start..y_end]);
            }
            (CpuStorage::F64(x), CpuStorage::F64(y)) => {
                elementwise::add_scaled(self.keep, &mut x[x_start..x_end], self.add, &y[y_start..y_end]);
            }
            _ => candle_core::bail!("{}: float32 or float64 expected, the same on both sides", self.name()),
        }
        Ok(())
    }
}

/// One of Adam's steps: `m ← β₁m + (1−β₁)u`, `v ← β₂v + (1−β₂)u²`, and `m/c₁ / (√v/c₂ + ε)`, in this order.
pub fn adam(
    [first, second, update]: [&Tensor; 3],
    betas: [f64; 2],
    corrections: [f64; 2],
    eps: f64,
) -> Result<[Tensor; 3]> {
    fn by<T: Real>(tensors: [&Tensor; 3], betas: [f64; 2], corrections: [f64; 2], eps: f64) -> Result<[Tensor; 3]> {
        let factors = elementwise::Adam {
            betas: betas.map(T::from_f64),
            rests: betas.map(|beta| T::from_f64(1.0 - beta)),
            corrections: corrections.map(T::from_f64),
            eps: T::from_f64(eps),
        };
        let [first, second, step] = read(&tensors, |slices| factors.step(slices[0], slices[1], slices[2]))?;
        let tensor = |values: Vec<T>| Tensor::from_vec(values, tensors[2].shape(), tensors[2].device());
        Ok([tensor(first)?, tensor(second)?, tensor(step)?])
    }
    let slowly = || {
        let first = ((first * betas[0])? + (update * (1.0 - betas[0]))?)?;
        let second = ((second * betas[1])? + (update.sqr()? * (1.0 - betas[1]))?)?;
        let scale = ((second.sqrt()? / corrections[1])? + eps)?;
        let step = ((&first / scale)? / corrections[0])?;
        Ok([first, second, step])
    };
    let tensors = [first, second, update];
    by_type!(
        &tensors,
        by::<f32>(tensors, betas, corrections, eps),
        by::<f64>(tensors, betas, corrections, eps),
        slowly()
    )
}
