//! One trip through a net: in training or evaluation, and with or without an ear for curvature.

use std::sync::Arc;

use candle_core::{Tensor, Var};

use super::op::conv::Recorder;
use crate::clock::Clock;
use crate::param::{BlockId, Tap};

/// How the layers of a net are to run.
#[derive(Debug, Clone)]
pub enum Pass {
    /// Running statistics, and no gradient.
    Evaluation,
    /// Batch statistics, gradients, and second moments where a tap is open.
    Training { tap: Option<Arc<Tap>>, clock: Arc<Clock> },
}

impl Pass {
    /// Whether batch statistics are to be used and remembered.
    #[must_use]
    pub const fn trains(&self) -> bool {
        matches!(self, Self::Training { .. })
    }

    /// A parameter as this pass sees it: candle has no mode without gradients, so evaluation works on detached tensors.
    #[must_use]
    pub fn read(&self, var: &Var) -> Tensor {
        if self.trains() { var.as_tensor().clone() } else { var.as_detached_tensor() }
    }

    /// What the layer of `block` needs to hand on its moments, if anyone listens.
    #[must_use]
    pub fn recorder(&self, block: BlockId) -> Option<Recorder> {
        match self {
            Self::Training { tap: Some(tap), clock } => {
                Some(Recorder { block, tap: tap.clone(), clock: clock.clone() })
            }
            _ => None,
        }
    }
}
