//! Preconditioned gradients brought back into bounds: to each gradient's norm (NKFAC), to that of Adam's step (grafting, Agarwal et al.
//! 2020), or by the change that they promise (KL clipping).

use candle_core::Tensor;

use super::{Rescale, Result, Step};
use crate::linalg;
use crate::state::State;

/// What brings directions back into bounds, with what it remembers.
pub struct Rescaler {
    rescale: Rescale,
    /// Adam's m and `√v` by layer; empty unless grafted on its step, and before the first.
    moments: Vec<[Tensor; 2]>,
}

impl Rescaler {
    pub const fn new(rescale: Rescale) -> Self {
        Self { rescale, moments: Vec::new() }
    }

    /// Brings the directions, `(∇, V)` by layer, back into bounds.
    pub fn apply(&mut self, mut changes: Vec<(Tensor, Tensor)>, step: &Step<'_>) -> Result<Vec<(Tensor, Tensor)>> {
        match self.rescale {
            Rescale::None => {}
            Rescale::GradientNorm => {
                for (gradient, direction) in &mut changes {
                    *direction = to_norm_of(direction, gradient)?;
                }
            }
            Rescale::Adam { betas, eps } => {
                if self.moments.is_empty() {
                    for (gradient, _) in &changes {
                        self.moments.push([gradient.zeros_like()?, gradient.zeros_like()?]);
                    }
                }
                let [mean, square] = betas.map(|beta| 1.0 - beta.powi(step.index as i32 + 1));
                let numbers = linalg::Adam { betas, corrections: [mean, square.sqrt()], eps, belief: false };
                for ((gradient, direction), moments) in changes.iter_mut().zip(&mut self.moments) {
                    let [m, root, theirs] = linalg::adam([&moments[0], &moments[1], &*gradient], &numbers)?;
                    *moments = [m, root];
                    *direction = to_norm_of(direction, &theirs)?;
                }
            }
            Rescale::KlClip { limit } => {
                let scale = kl_clip(&changes, limit, step.lr)?;
                for (_, direction) in &mut changes {
                    *direction = linalg::scale(scale, direction)?;
                }
            }
        }
        Ok(changes)
    }

    pub fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("first", self.moments.iter().map(|[first, _]| first));
        state.put_all("root", self.moments.iter().map(|[_, root]| root));
        state
    }

    /// What [`Rescaler::state`] gave away, of so many layers.
    pub fn load(&mut self, mut state: State, layers: usize) -> candle_core::Result<()> {
        let [first, root] = ["first", "root"].map(|name| state.take_all(name, layers));
        self.moments = first?.into_iter().zip(root?).map(|(first, root)| [first, root]).collect();
        state.finish()
    }
}

/// `V·‖U‖_F / (‖V‖_F + 1e-12)`.
fn to_norm_of(direction: &Tensor, other: &Tensor) -> Result<Tensor> {
    Ok(linalg::scale(linalg::norm(other)? / (linalg::norm(direction)? + 1e-12), direction)?)
}

/// `ν = min(1, √(limit / Σ lr²⟨V, ∇⟩))`, and 1 where the sum is not positive.
fn kl_clip(changes: &[(Tensor, Tensor)], limit: f64, lr: f64) -> Result<f64> {
    let mut sum = 0.0;
    for (gradient, direction) in changes {
        sum += lr * lr * linalg::inner(gradient, direction)?;
    }
    Ok(if sum > 0.0 { (limit / sum).sqrt().min(1.0) } else { 1.0 })
}
