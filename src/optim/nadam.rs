//! NAdam (Dozat 2016), as torch.optim.NAdam computes it: Adam with Nesterov's momentum, whose β₁ grows from half of itself.

use candle_core::Tensor;

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// With `μₜ = β₁(1 − ½·0.96^{tψ})` and `Mₜ = Πμ`, and with Adam's m and v: the update is
/// `[(1−μₜ)/(1−Mₜ)·u + μₜ₊₁/(1−Mₜμₜ₊₁)·m] / (√(v/(1−β₂ᵗ)) + ε)`.
pub struct Nadam {
    betas: [f64; 2],
    eps: f64,
    /// ψ.
    momentum_decay: f64,
    /// Mₜ of the last step.
    product: f64,
    /// m and `√v` of each update; empty before the first step.
    moments: Vec<[Tensor; 2]>,
}

impl Nadam {
    pub const fn new(betas: [f64; 2], eps: f64, momentum_decay: f64) -> Self {
        Self { betas, eps, momentum_decay, product: 1.0, moments: Vec::new() }
    }

    /// μₜ.
    fn momentum(&self, t: f64) -> f64 {
        self.betas[0] * (1.0 - 0.5 * 0.96f64.powf(t * self.momentum_decay))
    }
}

impl Transform for Nadam {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        let [beta1, beta2] = self.betas;
        let count = step.index + 1;
        let (now, next) = (self.momentum(count as f64), self.momentum(count as f64 + 1.0));
        self.product *= now;
        let (newest, average) = ((1.0 - now) / (1.0 - self.product), next / (1.0 - self.product * next));
        let correction = (1.0 - beta2.powi(count as i32)).sqrt();
        if self.moments.is_empty() {
            for update in &updates.0 {
                self.moments.push([update.zeros_like()?, update.zeros_like()?]);
            }
        }
        for (update, [first, root]) in updates.0.iter_mut().zip(&mut self.moments) {
            *first = linalg::combine(beta1, first, 1.0 - beta1, update)?;
            *root = linalg::root_of_average(beta2, root, update)?;
            let leaning = linalg::combine(newest, update, average, first)?;
            *update = linalg::over_root(&leaning, root, correction, self.eps)?;
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("first", self.moments.iter().map(|[first, _]| first));
        state.put_all("root", self.moments.iter().map(|[_, root]| root));
        state.put_number("product", self.product);
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        let [first, root] = ["first", "root"].map(|name| state.take_all(name, params.params.len()));
        self.moments = first?.into_iter().zip(root?).map(|(first, root)| [first, root]).collect();
        self.product = state.take_number("product")?;
        Ok(())
    }
}
