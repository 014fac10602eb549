//! Tensors brought to a length or back below one. On a GPU the numbers that do it stay there: to read one would have the host wait for all
//! that was launched before it.

use candle_core::{DType, Result, Tensor};

use super::{inner, norm, scale};
use crate::device::{self, bounds};

/// `x·‖other‖_F / (‖x‖_F + ε)`.
pub fn to_norm_of(x: &Tensor, other: &Tensor, epsilon: f64) -> Result<Tensor> {
    let Some(gpu) = device::of(&[x, other]) else {
        return scale(norm(other)? / (norm(x)? + epsilon), x);
    };
    let square = |x| bounds::inner(&gpu, [[x, x]], x.device());
    bounds::to_norm(&gpu, x, [&square(x)?, &square(other)?], epsilon)
}

/// `x/(‖x‖_F + ε)`.
pub fn unit(x: &Tensor, epsilon: f64) -> Result<Tensor> {
    let Some(gpu) = device::of(&[x]) else { return scale(1.0 / (norm(x)? + epsilon), x) };
    let one = Tensor::ones(1, DType::F64, x.device())?;
    bounds::to_norm(&gpu, x, [&bounds::inner(&gpu, [[x, x]], x.device())?, &one], epsilon)
}

/// `x ← x·min(1, limit/(‖·‖ + ε))` of each, by the norm of all together.
pub fn clip(tensors: &mut [Tensor], limit: f64, epsilon: f64) -> Result<()> {
    let all: Vec<&Tensor> = tensors.iter().collect();
    if let Some(gpu) = device::of(&all) {
        let square = bounds::inner(&gpu, all.iter().map(|&x| [x, x]), all[0].device())?;
        return each(tensors, |x| bounds::bounded(&gpu, x, &square, limit, epsilon));
    }
    let mut square = 0.0;
    for tensor in all {
        square += norm(tensor)?.powi(2);
    }
    let factor = limit / (square.sqrt() + epsilon);
    if factor < 1.0 { each(tensors, |x| scale(factor, x)) } else { Ok(()) }
}

/// `V ← νV` of each `(∇, V)`, `ν = min(1, √(limit / Σ lr²⟨V, ∇⟩))`, and 1 where the sum is not positive.
pub fn kl_clip(changes: &mut [(Tensor, Tensor)], limit: f64, lr: f64) -> Result<()> {
    let all: Vec<&Tensor> = changes.iter().flat_map(|(gradient, direction)| [gradient, direction]).collect();
    if let Some(gpu) = device::of(&all) {
        let pairs = changes.iter().map(|(gradient, direction)| [gradient, direction]);
        let sum = bounds::inner(&gpu, pairs, all[0].device())?;
        return each(changes.iter_mut().map(|(_, v)| v), |v| bounds::bounded(&gpu, v, &sum, limit.sqrt() / lr, 0.0));
    }
    let mut sum = 0.0;
    for (gradient, direction) in &*changes {
        sum += lr * lr * inner(gradient, direction)?;
    }
    let factor = if sum > 0.0 { (limit / sum).sqrt().min(1.0) } else { 1.0 };
    each(changes.iter_mut().map(|(_, v)| v), |v| scale(factor, v))
}

fn each<'a>(tensors: impl IntoIterator<Item = &'a mut Tensor>, of: impl Fn(&Tensor) -> Result<Tensor>) -> Result<()> {
    for tensor in tensors {
        *tensor = of(tensor)?;
    }
    Ok(())
}
