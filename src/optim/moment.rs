//! Factors as moving averages of second moments: `Ā ← αĀ + (1 − α)A`, from zero or from the identity.

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{Result, Tensor};

use super::{MomentsConfig, Scale, Start};
use crate::linalg;
use crate::param::{Block, Capture, Sink};

/// Takes the captures of one step, by block.
///
/// Second moments of inputs are as large as anything there is, so each is taken into its average as it comes; those of output
/// gradients are small and are summed over the backward passes of a step.
#[derive(Debug)]
pub struct Collector {
    config: MomentsConfig,
    names: Vec<String>,
    slots: Mutex<Vec<Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    /// The average over all steps, this one's moments included once they came.
    inputs: Option<Tensor>,
    /// What has come in this step.
    gathered: Option<Gathered>,
}

/// What one step has brought for a block.
#[derive(Debug)]
pub struct Gathered {
    /// The average of the input factor, if it has moved.
    pub inputs: Option<Tensor>,
    /// The sum of this step.
    output_grads: Tensor,
    samples: usize,
    positions: usize,
}

impl Collector {
    /// Room for the captures of `blocks`.
    pub fn new(blocks: &[Block], config: MomentsConfig) -> Self {
        Self {
            config,
            names: blocks.iter().map(|block| block.name.clone()).collect(),
            slots: Mutex::new(blocks.iter().map(|_| Slot::default()).collect()),
        }
    }

    /// Hands over what has come in for a block since the last call.
    pub fn take(&self, block: usize) -> Option<Gathered> {
        self.lock()[block].gathered.take()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Collector {
    fn receive(&self, capture: Capture) -> Result<()> {
        let mut slots = self.lock();
        let Slot { inputs, gathered } = &mut slots[capture.block];
        let (samples, positions) = (capture.samples, capture.positions);
        let moved = match capture.inputs {
            Some(_) if gathered.as_ref().is_some_and(|gathered| gathered.inputs.is_some()) => {
                let name = &self.names[capture.block];
                candle_core::bail!("layer `{name}` was used twice in one pass: its moments cannot be told apart")
            }
            Some(new) => {
                let share = match self.config.scale {
                    Scale::Frobenius => reciprocal_norm(&new, 1.0 / (samples * positions) as f64)?,
                    Scale::SpatialMean => 1.0 / (samples * positions * positions) as f64,
                };
                *inputs = Some(fold(inputs.take(), &new, share, self.config)?);
                inputs.clone()
            }
            None => None,
        };
        *gathered = Some(match gathered.take() {
            Some(sum) => Gathered {
                inputs: moved.or(sum.inputs),
                output_grads: linalg::combine(1.0, &sum.output_grads, 1.0, &capture.output_grads)?,
                ..sum
            },
            None => Gathered { inputs: moved, output_grads: capture.output_grads, samples, positions },
        });
        Ok(())
    }
}

impl Gathered {
    /// The average of the output factor with this step's moments.
    pub fn fold_output_grads(&self, average: Option<Tensor>, config: MomentsConfig) -> Result<Tensor> {
        let share = match config.scale {
            Scale::Frobenius => reciprocal_norm(&self.output_grads, 1.0)?,
            Scale::SpatialMean => (self.samples * self.positions) as f64,
        };
        fold(average, &self.output_grads, share, config)
    }
}

/// What `moments` is to be multiplied by to become `sM / (‖sM‖_F + 1e-12)`.
fn reciprocal_norm(moments: &Tensor, scale: f64) -> Result<f64> {
    Ok(scale / (scale * linalg::norm(moments)? + 1e-12))
}

/// `α·average + (1 − α)·share·new`, in the memory of the average.
fn fold(average: Option<Tensor>, new: &Tensor, share: f64, config: MomentsConfig) -> Result<Tensor> {
    let add = (1.0 - config.decay) * share;
    match (average, config.start) {
        (Some(average), _) => linalg::average_in_place(&average, config.decay, add, new),
        (None, Start::Zero) => linalg::scale(add, new),
        (None, Start::Identity) => {
            let identity = Tensor::eye(new.dim(0)?, new.dtype(), new.device())?;
            linalg::combine(config.decay, &identity, add, new)
        }
    }
}
