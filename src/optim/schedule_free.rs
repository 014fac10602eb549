//! Schedule-Free AdamW (Defazio et al. 2024), as schedulefree 1.4.1 computes it: three points in place of a schedule.
//!
//! The net holds y, where gradients are taken. z is stepped by them, and what is evaluated and saved is
//! `x = y + (1 − 1/β₁)(z − y)`, an average of all z so far. Batch norm's running statistics are those of y: the authors recommend to
//! renew them at x before evaluation, which is not done here.

use candle_core::Tensor;

use super::{Result, Step, Transform};
use crate::clock::Phase;
use crate::linalg;
use crate::param::{Params, Updates};
use crate::state::State;

/// With `u = ∇/(√(v/(1−β₂ᵗ)) + ε) + λy`, `lrₜ = lr·min(1, t/warmup)`, `w = (max lr so far)²` and `c = w/Σw`:
/// `y ← (1−c)y + cz + lrₜ(β₁(1−c) − 1)u`, then `z ← z − lrₜu`.
pub struct ScheduleFree {
    settings: Settings,
    points: Vec<Point>,
    largest_lr: f64,
    weights: f64,
}

pub struct Settings {
    pub betas: [f64; 2],
    pub eps: f64,
    /// λ, by parameter.
    pub weight_decay: Vec<f64>,
    pub warmup_steps: usize,
}

/// What is kept of one parameter.
struct Point {
    z: Tensor,
    /// `√v`.
    root: Tensor,
}

impl ScheduleFree {
    pub const fn new(settings: Settings) -> Self {
        Self { settings, points: Vec::new(), largest_lr: 0.0, weights: 0.0 }
    }
}

impl Transform for ScheduleFree {
    fn apply(&mut self, updates: &mut Updates, step: &Step<'_>) -> Result {
        let _update = step.clock.phase(Phase::Update);
        let Settings { betas: [beta1, beta2], eps, warmup_steps, .. } = self.settings;
        if self.points.is_empty() {
            for param in &step.params.params {
                // The parameter moves in its own memory.
                self.points.push(Point { z: param.var.as_detached_tensor().copy()?, root: param.var.zeros_like()? });
            }
        }
        let count = step.index + 1;
        let warm = if count < warmup_steps { count as f64 / warmup_steps as f64 } else { 1.0 };
        self.largest_lr = self.largest_lr.max(step.lr * warm);
        let weight = self.largest_lr * self.largest_lr;
        self.weights += weight;
        // A rate of 0 is a control: nothing moves.
        let share = if self.weights > 0.0 { weight / self.weights } else { 0.0 };
        let pull = if step.lr > 0.0 { share / step.lr } else { 0.0 };
        let correction = (1.0 - beta2.powi(count as i32)).sqrt();
        let points = self.points.iter_mut().zip(&self.settings.weight_decay);
        for (((point, decay), update), param) in points.zip(&mut updates.0).zip(&step.params.params) {
            let y = param.var.as_detached_tensor();
            point.root = linalg::root_of_average(beta2, &point.root, update)?;
            let scaled = linalg::over_root(update, &point.root, correction, eps)?;
            let u = linalg::combine(1.0, &scaled, *decay, &y)?;
            let apart = linalg::combine(1.0, &y, -1.0, &point.z)?;
            *update = linalg::combine(pull, &apart, warm * (1.0 - beta1 * (1.0 - share)), &u)?;
            point.z = linalg::combine(1.0, &point.z, -step.lr * warm, &u)?;
        }
        Ok(())
    }

    fn evaluated(&self, params: &Params) -> candle_core::Result<Option<Vec<Tensor>>> {
        let past = 1.0 / self.settings.betas[0];
        let points = self.points.iter().zip(&params.params);
        let x =
            points.map(|(point, param)| linalg::combine(past, &param.var.as_detached_tensor(), 1.0 - past, &point.z));
        let x: Vec<Tensor> = x.collect::<candle_core::Result<_>>()?;
        Ok((!x.is_empty()).then_some(x))
    }

    fn state(&self) -> State {
        let mut state = State::new();
        state.put_all("z", self.points.iter().map(|point| &point.z));
        state.put_all("root", self.points.iter().map(|point| &point.root));
        state.put_number("largest-lr", self.largest_lr);
        state.put_number("weights", self.weights);
        state
    }

    fn load(&mut self, state: &mut State, params: &Params) -> candle_core::Result<()> {
        let [z, root] = ["z", "root"].map(|name| state.take_all(name, params.params.len()));
        self.points = z?.into_iter().zip(root?).map(|(z, root)| Point { z, root }).collect();
        self.largest_lr = state.take_number("largest-lr")?;
        self.weights = state.take_number("weights")?;
        Ok(())
    }
}
