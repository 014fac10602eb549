//! AdEMAMix (Pagliardini et al. 2024): Adam with a second, slower average of gradients.

use candle_core::Tensor;

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// Adam's m and v, and `s ← β₃s + (1−β₃)u`; the update is `(m/(1−β₁ᵗ) + αs) / (√v/√(1−β₂ᵗ) + ε)`.
pub struct Ademamix {
    settings: Settings,
    /// m, `√v` and s of each update; empty before the first step.
    averages: Vec<[Tensor; 3]>,
}

pub struct Settings {
    pub betas: [f64; 3],
    pub eps: f64,
    pub alpha: f64,
    /// Steps over which α rises from nothing.
    pub alpha_warmup: usize,
    /// Steps over which β₃ rises from β₁.
    pub beta3_warmup: usize,
}

impl Settings {
    /// `α·min(1, t/T)`.
    fn alpha(&self, count: usize) -> f64 {
        if count < self.alpha_warmup { self.alpha * count as f64 / self.alpha_warmup as f64 } else { self.alpha }
    }

    /// So that the average's half-life rises linearly: `exp(ln β₁ ln β₃ / ((1−t/T) ln β₃ + (t/T) ln β₁))`.
    fn beta3(&self, count: usize) -> f64 {
        let [beta1, _, beta3] = self.betas;
        if count >= self.beta3_warmup {
            return beta3;
        }
        let (from, to, share) = (beta1.ln(), beta3.ln(), count as f64 / self.beta3_warmup as f64);
        (from * to / ((1.0 - share) * to + share * from)).exp()
    }
}

impl Ademamix {
    pub const fn new(settings: Settings) -> Self {
        Self { settings, averages: Vec::new() }
    }
}

impl Transform for Ademamix {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        let [beta1, beta2, _] = self.settings.betas;
        let count = step.index + 1;
        let (alpha, beta3) = (self.settings.alpha(count), self.settings.beta3(count));
        let corrections = [1.0 - beta1.powi(count as i32), (1.0 - beta2.powi(count as i32)).sqrt()];
        if self.averages.is_empty() {
            for update in &updates.0 {
                let zero = update.zeros_like()?;
                self.averages.push([zero.clone(), zero.clone(), zero]);
            }
        }
        for (update, [fast, root, slow]) in updates.0.iter_mut().zip(&mut self.averages) {
            *fast = linalg::combine(beta1, fast, 1.0 - beta1, update)?;
            *root = linalg::root_of_average(beta2, root, update)?;
            *slow = linalg::combine(beta3, slow, 1.0 - beta3, update)?;
            let both = linalg::combine(1.0 / corrections[0], fast, alpha, slow)?;
            *update = linalg::over_root(&both, root, corrections[1], self.settings.eps)?;
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::new();
        for (i, name) in AVERAGES.into_iter().enumerate() {
            state.put_all(name, self.averages.iter().map(|averages| &averages[i]));
        }
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        let [fast, root, slow] = AVERAGES.map(|name| state.take_all(name, params.params.len()));
        self.averages = fast?.into_iter().zip(root?).zip(slow?).map(|((a, b), c)| [a, b, c]).collect();
        Ok(())
    }
}

/// Names of the averages in checkpoints.
const AVERAGES: [&str; 3] = ["fast", "root", "slow"];

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn warm_ups_begin_at_nothing_and_at_beta1_and_end_where_they_should() {
        let settings =
            Settings { betas: [0.9, 0.999, 0.9999], eps: 1e-8, alpha: 8.0, alpha_warmup: 100, beta3_warmup: 100 };
        assert_eq!([0, 50, 100, 200].map(|count| settings.alpha(count)), [0.0, 4.0, 8.0, 8.0]);
        assert!((settings.beta3(0) - 0.9).abs() < 1e-12);
        assert_eq!(settings.beta3(100), 0.9999);
        // Half-lives rise linearly: that in the middle is the mean of both.
        let half_life = |beta: f64| 0.5f64.ln() / beta.ln();
        let middle = (half_life(0.9) + half_life(0.9999)) / 2.0;
        assert!((half_life(settings.beta3(50)) / middle - 1.0).abs() < 1e-9);
    }
}
