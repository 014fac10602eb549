//! Factors as moving averages of second moments.

use std::sync::{Mutex, PoisonError};

use candle_core::{Result, Tensor};

use super::{MomentsConfig, Scale, Start};
use crate::param::{Capture, Sink};

/// Adds up the captures of one step, by block: shared weights and further backward passes sum.
#[derive(Debug)]
pub struct Collector(Mutex<Vec<Option<Capture>>>);

impl Collector {
    /// Room for the captures of `blocks` layers.
    pub fn new(blocks: usize) -> Self {
        Self(Mutex::new(vec![None; blocks]))
    }

    /// Hands over what has come in for a block since the last call.
    pub fn take(&self, block: usize) -> Option<Capture> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[block].take()
    }
}

impl Sink for Collector {
    fn receive(&self, capture: Capture) -> Result<()> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut slots[capture.block];
        *slot = Some(match slot.take() {
            Some(sum) => add(&sum, &capture)?,
            None => capture,
        });
        Ok(())
    }
}

fn add(sum: &Capture, more: &Capture) -> Result<Capture> {
    let output_grads = (&sum.output_grads + &more.output_grads)?;
    let (inputs, samples) = match (&sum.inputs, &more.inputs) {
        (Some(a), Some(b)) => (Some((a + b)?), sum.samples + more.samples),
        (known, None) | (None, known) => (known.clone(), sum.samples),
    };
    Ok(Capture { inputs, output_grads, samples, ..*sum })
}

/// `[A, G]` of one capture under a recipe's scaling.
pub fn scaled(capture: &Capture, scale: Scale) -> Result<[Option<Tensor>; 2]> {
    let (samples, positions) = (capture.samples as f64, capture.positions as f64);
    let by = |moments: &Tensor, factor: f64| moments * factor;
    Ok(match scale {
        Scale::Frobenius => [
            capture.inputs.as_ref().map(|inputs| normalised(&by(inputs, 1.0 / (samples * positions))?)).transpose()?,
            Some(normalised(&capture.output_grads)?),
        ],
        Scale::SpatialMean => [
            capture.inputs.as_ref().map(|inputs| by(inputs, 1.0 / (samples * positions * positions))).transpose()?,
            Some(by(&capture.output_grads, samples * positions)?),
        ],
    })
}

/// `M / (‖M‖_F + 1e-12)`.
fn normalised(moments: &Tensor) -> Result<Tensor> {
    let norm = (moments.sqr()?.sum_all()?.sqrt()? + 1e-12)?;
    moments.broadcast_div(&norm)
}

/// `Ā ← αĀ + (1 − α)A`, from zero or from the identity.
pub fn average(average: Option<&Tensor>, new: &Tensor, config: MomentsConfig) -> Result<Tensor> {
    let fresh = (new * (1.0 - config.decay))?;
    match (average, config.start) {
        (Some(average), _) => (average * config.decay)? + fresh,
        (None, Start::Zero) => Ok(fresh),
        (None, Start::Identity) => (Tensor::eye(new.dim(0)?, new.dtype(), new.device())? * config.decay)? + fresh,
    }
}
