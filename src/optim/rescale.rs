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
                    *direction = linalg::to_norm_of(direction, gradient, 1e-12)?;
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
                    *direction = linalg::to_norm_of(direction, &theirs, 1e-12)?;
                }
            }
            Rescale::KlClip { limit } => linalg::kl_clip(&mut changes, limit, step.lr)?,
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
