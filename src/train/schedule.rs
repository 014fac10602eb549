//! The learning rate over training.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate moves. Lengths (`warmup`, `milestones`) are in epochs; `warmup_steps` is in steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    Constant {
        lr: f64,
        #[serde(default)]
        warmup: usize,
        /// The same in steps.
        #[serde(default, skip_serializing_if = "is_zero")]
        warmup_steps: usize,
    },
    /// Half a cosine from `lr` down to `floor · lr`.
    Cosine {
        lr: f64,
        #[serde(default)]
        floor: f64,
        #[serde(default)]
        warmup: usize,
        /// The same in steps.
        #[serde(default, skip_serializing_if = "is_zero")]
        warmup_steps: usize,
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
        /// The same in steps.
        #[serde(default, skip_serializing_if = "is_zero")]
        warmup_steps: usize,
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
    /// Counted from 0, over all epochs.
    pub step: usize,
    /// Steps an epoch.
    pub of_epoch: usize,
    /// Steps in all.
    pub total: usize,
}

impl Moment {
    /// Whole epochs so far.
    const fn epoch(self) -> usize {
        self.step / self.of_epoch
    }

    /// Epochs so far, with the started one's share.
    fn exact(self) -> f64 {
        self.epoch() as f64 + (self.step % self.of_epoch) as f64 / self.of_epoch as f64
    }

    /// So many steps in epochs.
    fn epochs(self, steps: usize) -> f64 {
        steps as f64 / self.of_epoch as f64
    }
}

const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Schedule {
    /// The rate without warm-up at the start of training.
    #[must_use]
    pub const fn peak(&self) -> f64 {
        match self {
            Self::Constant { lr, .. } | Self::Cosine { lr, .. } | Self::Steps { lr, .. } => *lr,
        }
    }

    /// Epochs over which the rate first rises, step by step, or steps.
    #[must_use]
    pub const fn warmup(&self) -> [usize; 2] {
        match self {
            Self::Constant { warmup, warmup_steps, .. }
            | Self::Cosine { warmup, warmup_steps, .. }
            | Self::Steps { warmup, warmup_steps, .. } => [*warmup, *warmup_steps],
        }
    }

    /// The learning rate of one step.
    #[must_use]
    pub fn lr(&self, at: Moment) -> f64 {
        let (peak, [epochs, steps]) = (self.peak(), self.warmup());
        let warm = epochs * at.of_epoch + steps;
        if at.step < warm {
            return peak * (at.step + 1) as f64 / warm as f64;
        }
        match self {
            Self::Constant { .. } => peak,
            Self::Cosine { floor, by, .. } => {
                let now = match by {
                    By::Epoch => at.epoch() as f64,
                    By::Step => at.exact(),
                };
                let done = (now - at.epochs(warm)).max(0.0) / (at.epochs(at.total) - at.epochs(warm));
                peak * (floor + (1.0 - floor) * (1.0 + (PI * done).cos()) / 2.0)
            }
            Self::Steps { factor, milestones, .. } => {
                let passed = milestones.iter().filter(|&&milestone| milestone <= at.epoch()).count();
                peak * factor.powi(passed as i32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{By, Moment, Schedule};

    fn at(epoch: usize, step: usize) -> Moment {
        Moment { step: 4 * epoch + step, of_epoch: 4, total: 40 }
    }

    #[test]
    fn a_cosine_by_epoch_is_the_papers() {
        let cosine = Schedule::Cosine { lr: 0.1, floor: 1e-3, warmup: 0, warmup_steps: 0, by: By::Epoch };
        assert_eq!(cosine.lr(at(0, 3)), 0.1);
        assert!((cosine.lr(at(5, 0)) - (0.1 + 1e-4) / 2.0).abs() < 1e-15);
        assert_eq!(cosine.lr(at(9, 0)), cosine.lr(at(9, 3)));
    }

    #[test]
    fn a_cosine_by_step_moves_within_an_epoch() {
        let cosine = Schedule::Cosine { lr: 0.1, floor: 0.0, warmup: 0, warmup_steps: 0, by: By::Step };
        assert!(cosine.lr(at(4, 1)) < cosine.lr(at(4, 0)));
    }

    #[test]
    fn milestones_multiply() {
        let steps = Schedule::Steps { lr: 1.0, factor: 0.1, milestones: vec![3, 6], warmup: 0, warmup_steps: 0 };
        let rates = [2, 3, 5, 6].map(|epoch| steps.lr(at(epoch, 0)));
        assert_eq!(rates[..3], [1.0, 0.1, 0.1]);
        assert!((rates[3] - 0.01).abs() < 1e-15);
    }

    #[test]
    fn warm_up_ends_at_the_peak() {
        let warm = Schedule::Constant { lr: 0.8, warmup: 2, warmup_steps: 0 };
        assert_eq!(warm.lr(at(0, 0)), 0.1);
        assert_eq!(warm.lr(at(1, 3)), 0.8);
        assert_eq!(warm.lr(at(2, 0)), 0.8);
        let steps = Schedule::Constant { lr: 0.8, warmup: 0, warmup_steps: 8 };
        assert!((0..40).all(|step| steps.lr(at(0, step)) == warm.lr(at(0, step))));
    }

    /// nanoGPT's schedule: 2,000 steps, the first 100 of them warm up, and a tenth is left at the end.
    #[test]
    fn a_cosine_by_step_starts_behind_the_warm_up() {
        let cosine = Schedule::Cosine { lr: 1e-3, floor: 0.1, warmup: 0, warmup_steps: 100, by: By::Step };
        let lr = |step: usize| cosine.lr(Moment { step, of_epoch: 1307, total: 2000 });
        assert_eq!((lr(0), lr(99)), (1e-5, 1e-3));
        for step in [100, 700, 1306, 1307, 1999] {
            let expected = 1e-4 + 0.5 * (1.0 + (std::f64::consts::PI * (step - 100) as f64 / 1900.0).cos()) * 9e-4;
            assert!((lr(step) - expected).abs() < 1e-15, "{step}");
        }
    }
}
