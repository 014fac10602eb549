//! Preconditioned gradients brought back into bounds: to each gradient's norm (NKFAC), or by the change that they promise (KL clipping).

use candle_core::Tensor;

use super::{Rescale, Result};
use crate::linalg;

/// Brings the directions, `(∇, V)` by layer, back into bounds.
pub fn apply(mut changes: Vec<(Tensor, Tensor)>, rescale: Rescale, lr: f64) -> Result<Vec<(Tensor, Tensor)>> {
    match rescale {
        Rescale::None => {}
        Rescale::GradientNorm => {
            for (gradient, direction) in &mut changes {
                *direction = to_norm_of(direction, gradient)?;
            }
        }
        Rescale::KlClip { limit } => {
            let scale = kl_clip(&changes, limit, lr)?;
            for (_, direction) in &mut changes {
                *direction = linalg::scale(scale, direction)?;
            }
        }
    }
    Ok(changes)
}

/// `V·‖∇‖_F / (‖V‖_F + 1e-12)`.
fn to_norm_of(direction: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    Ok(linalg::scale(linalg::norm(gradient)? / (linalg::norm(direction)? + 1e-12), direction)?)
}

/// `ν = min(1, √(limit / Σ lr²⟨V, ∇⟩))`, and 1 where the sum is not positive.
fn kl_clip(changes: &[(Tensor, Tensor)], limit: f64, lr: f64) -> Result<f64> {
    let mut sum = 0.0;
    for (gradient, direction) in changes {
        sum += lr * lr * linalg::inner(gradient, direction)?;
    }
    Ok(if sum > 0.0 { (limit / sum).sqrt().min(1.0) } else { 1.0 })
}
