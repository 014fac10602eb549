//! Factors as moving averages of second moments.

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{Result, Tensor};

use super::{MomentsConfig, Scale, Sharing, Start, pooled};
use crate::linalg;
use crate::param::{Block, Capture, Sink};

/// Adds up the captures of one step, by block: shared weights, further backward passes and the parts of a batch sum.
///
/// The moments of inputs are as large as anything there is. Where a capture brings all that a step will bring of them, they are taken into
/// their average as they come, so that those of two layers are never in memory together.
#[derive(Debug)]
pub struct Collector {
    config: MomentsConfig,
    names: Vec<String>,
    slots: Mutex<Vec<Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    /// The average of the input moments, lent for one step.
    average: Option<Tensor>,
    /// Whether this step's are in it.
    folded: bool,
    capture: Option<Capture>,
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

    /// Lends the average of a block's input moments, to be moved in its own memory.
    pub fn lend(&self, block: usize, average: Option<Tensor>) {
        self.lock()[block].average = average;
    }

    /// Hands over what has come in for a block since the last call, and the average of its input moments if that has moved.
    pub fn take(&self, block: usize) -> Option<(Capture, Option<Tensor>)> {
        let Slot { average, folded, capture } = std::mem::take(&mut self.lock()[block]);
        Some((capture?, average.filter(|_| folded)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes input moments that are whole into their average.
    fn fold(&self, slot: &mut Slot, capture: &mut Capture) -> Result<()> {
        if !capture.whole || self.config.sharing == Sharing::Reduce {
            return Ok(());
        }
        let Some(new) = capture.inputs.take() else { return Ok(()) };
        if slot.folded {
            let name = &self.names[capture.block];
            candle_core::bail!("layer `{name}` was used twice in a pass that was said to use each once")
        }
        let share = inputs_share(capture, self.config.scale);
        let scale = match self.config.scale {
            Scale::Frobenius => share / (share * linalg::norm(&new)? + 1e-12),
            Scale::SpatialMean => share,
        };
        slot.average = Some(fold(slot.average.take(), &new, scale, self.config)?);
        slot.folded = true;
        Ok(())
    }
}

impl Sink for Collector {
    fn receive(&self, mut capture: Capture) -> Result<()> {
        let mut slots = self.lock();
        let slot = &mut slots[capture.block];
        self.fold(slot, &mut capture)?;
        slot.capture = Some(match slot.capture.take() {
            Some(sum) => add(&sum, &capture, self.config.sharing)?,
            None => capture,
        });
        Ok(())
    }
}

/// Two captures of a layer as one: moments add up, rows stand below each other, and examples count where inputs do.
fn add(sum: &Capture, more: &Capture, sharing: Sharing) -> Result<Capture> {
    let join = |a: &Option<Tensor>, b: &Option<Tensor>| match (a, b) {
        (Some(a), Some(b)) if sharing == Sharing::Reduce => Tensor::cat(&[a, b], 0).map(Some),
        (Some(a), Some(b)) => (a + b).map(Some),
        (known, None) | (None, known) => Ok(known.clone()),
    };
    let samples = if sum.inputs.is_some() && more.inputs.is_some() { more.samples } else { 0 };
    Ok(Capture {
        inputs: join(&sum.inputs, &more.inputs)?,
        output_grads: join(&sum.output_grads, &more.output_grads)?,
        samples: sum.samples + samples,
        ..*sum
    })
}

/// `[A, G]` of one capture under a recipe's scaling; with pooled rows the rows of which they are the products.
pub fn scaled(capture: &Capture, config: MomentsConfig) -> Result<[Option<Tensor>; 2]> {
    if config.sharing == Sharing::Reduce {
        return pooled::scaled(capture, config.scale);
    }
    let by = |moments: &Tensor, factor: f64| linalg::scale(factor, moments);
    let share = inputs_share(capture, config.scale);
    let (inputs, output_grads) = (capture.inputs.as_ref(), capture.output_grads.as_ref());
    Ok(match config.scale {
        Scale::Frobenius => [
            inputs.map(|inputs| normalised(&by(inputs, share)?)).transpose()?,
            output_grads.map(normalised).transpose()?,
        ],
        Scale::SpatialMean => [
            inputs.map(|inputs| by(inputs, share)).transpose()?,
            output_grads.map(|grads| by(grads, (capture.samples * capture.positions) as f64)).transpose()?,
        ],
    })
}

/// What input moments are multiplied by, before any norm is taken.
fn inputs_share(capture: &Capture, scale: Scale) -> f64 {
    let (samples, positions) = (capture.samples as f64, capture.positions as f64);
    match scale {
        Scale::Frobenius => 1.0 / (samples * positions),
        Scale::SpatialMean => 1.0 / (samples * positions * positions),
    }
}

/// `M / (‖M‖_F + 1e-12)`.
fn normalised(moments: &Tensor) -> Result<Tensor> {
    linalg::scale(1.0 / (linalg::norm(moments)? + 1e-12), moments)
}

/// `Ā ← αĀ + (1 − α)A`, from zero or from the identity. Where the recipe keeps rows these are the new ones.
pub fn average(average: Option<Tensor>, new: &Tensor, config: MomentsConfig) -> Result<Tensor> {
    let new = &match config.sharing {
        _ if config.keeps_rows() => return Ok(new.clone()),
        Sharing::Reduce => linalg::product(&new.t()?, new)?,
        Sharing::Expand => new.clone(),
    };
    fold(average, new, 1.0, config)
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
