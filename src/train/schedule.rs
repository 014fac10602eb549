//! The learning rate over training.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate moves. Lengths (`warmup`, `milestones`) are in epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    Constant {
        lr: f64,
        #[serde(default)]
        warmup: usize,
    },
    /// Half a cosine from `lr` down to `floor · lr`.
    Cosine {
        lr: f64,
        #[serde(default)]
        floor: f64,
        #[serde(default)]
        warmup: usize,
        #[serde(default)]
        by: By,
    },
    /// Multiplied by `factor` at each milestone.
    Steps {
        lr: f64,
        factor: f64,
        milestones: Vec<usize>,
        #[serde(default)]
        warmup: usize,
    },
}

/// How often a smooth schedule moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Constant within an epoch, as in the paper.
    #[default]
    Epoch,
    Step,
}

/// A moment of training.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Counted from 0.
    pub epoch: usize,
    pub epochs: usize,
    /// The step within the epoch, counted from 0.
    pub step: usize,
    pub steps: usize,
}

impl Moment {
    /// Epochs so far, with the started one's share.
    fn exact(self) -> f64 {
        self.epoch as f64 + self.step as f64 / self.steps as f64
    }
}

impl Schedule {
    /// The rate without warm-up at the start of training.
    #[must_use]
    pub const fn peak(&self) -> f64 {
        match self {
            Self::Constant { lr, .. } | Self::Cosine { lr, .. } | Self::Steps { lr, .. } => *lr,
        }
    }

    /// Epochs over which the rate first rises, step by step.
    #[must_use]
    pub const fn warmup(&self) -> usize {
        match self {
            Self::Constant { warmup, .. } | Self::Cosine { warmup, .. } | Self::Steps { warmup, .. } => *warmup,
        }
    }

    /// The learning rate of one step.
    #[must_use]
    pub fn lr(&self, at: Moment) -> f64 {
        let (peak, warmup) = (self.peak(), self.warmup());
        if at.epoch < warmup {
            let done = (at.epoch * at.steps + at.step + 1) as f64;
            return peak * done / (warmup * at.steps) as f64;
        }
        match self {
            Self::Constant { .. } => peak,
            Self::Cosine { floor, by, .. } => {
                let now = match by {
                    By::Epoch => at.epoch as f64,
                    By::Step => at.exact(),
                };
                let done = (now - warmup as f64) / (at.epochs - warmup) as f64;
                peak * (floor + (1.0 - floor) * (1.0 + (PI * done).cos()) / 2.0)
            }
            Self::Steps { factor, milestones, .. } => {
                let passed = milestones.iter().filter(|&&milestone| milestone <= at.epoch).count();
                peak * factor.powi(passed as i32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{By, Moment, Schedule};

    fn at(epoch: usize, step: usize) -> Moment {
        Moment { epoch, epochs: 10, step, steps: 4 }
    }

    #[test]
    fn a_cosine_by_epoch_is_the_papers() {
        let cosine = Schedule::Cosine { lr: 0.1, floor: 1e-3, warmup: 0, by: By::Epoch };
        assert_eq!(cosine.lr(at(0, 3)), 0.1);
        assert!((cosine.lr(at(5, 0)) - (0.1 + 1e-4) / 2.0).abs() < 1e-15);
        assert_eq!(cosine.lr(at(9, 0)), cosine.lr(at(9, 3)));
    }

    #[test]
    fn a_cosine_by_step_moves_within_an_epoch() {
        let cosine = Schedule::Cosine { lr: 0.1, floor: 0.0, warmup: 0, by: By::Step };
        assert!(cosine.lr(at(4, 1)) < cosine.lr(at(4, 0)));
    }

    #[test]
    fn milestones_multiply() {
        let steps = Schedule::Steps { lr: 1.0, factor: 0.1, milestones: vec![3, 6], warmup: 0 };
        let rates = [2, 3, 5, 6].map(|epoch| steps.lr(at(epoch, 0)));
        assert_eq!(rates[..3], [1.0, 0.1, 0.1]);
        assert!((rates[3] - 0.01).abs() < 1e-15);
    }

    #[test]
    fn warm_up_ends_at_the_peak() {
        let warm = Schedule::Constant { lr: 0.8, warmup: 2 };
        assert_eq!(warm.lr(at(0, 0)), 0.1);
        assert_eq!(warm.lr(at(1, 3)), 0.8);
        assert_eq!(warm.lr(at(2, 0)), 0.8);
    }
}
