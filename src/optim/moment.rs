//! Factors as moving averages of second moments.

use std::sync::{Mutex, PoisonError};

use candle_core::{Result, Tensor};

use super::{MomentsConfig, Rows, Scale, Start, pooled};
use crate::param::{Capture, Sink};

/// Adds up the captures of one step, by block: shared weights, further backward passes and the parts of a batch sum.
#[derive(Debug)]
pub struct Collector {
    captures: Mutex<Vec<Option<Capture>>>,
    rows: Rows,
}

impl Collector {
    /// Room for the captures of `blocks` layers.
    pub fn new(blocks: usize, rows: Rows) -> Self {
        Self { captures: Mutex::new(vec![None; blocks]), rows }
    }

    /// Hands over what has come in for a block since the last call.
    pub fn take(&self, block: usize) -> Option<Capture> {
        self.captures.lock().unwrap_or_else(PoisonError::into_inner)[block].take()
    }
}

impl Sink for Collector {
    fn receive(&self, capture: Capture) -> Result<()> {
        let mut slots = self.captures.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut slots[capture.block];
        *slot = Some(match slot.take() {
            Some(sum) if self.rows == Rows::Pooled => pooled::add(&sum, &capture)?,
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

/// `[A, G]` of one capture under a recipe's scaling; with pooled rows the rows of which they are the products.
pub fn scaled(capture: &Capture, config: MomentsConfig) -> Result<[Option<Tensor>; 2]> {
    if config.rows == Rows::Pooled {
        return pooled::scaled(capture, config.scale);
    }
    let (samples, positions) = (capture.samples as f64, capture.positions as f64);
    let by = |moments: &Tensor, factor: f64| moments * factor;
    Ok(match config.scale {
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

/// `Ā ← αĀ + (1 − α)A`, from zero or from the identity. Where the recipe keeps rows these are the new ones.
pub fn average(average: Option<&Tensor>, new: &Tensor, config: MomentsConfig) -> Result<Tensor> {
    let new = &match config.rows {
        _ if config.keeps_rows() => return Ok(new.clone()),
        Rows::Pooled => new.t()?.matmul(new)?,
        Rows::All => new.clone(),
    };
    let fresh = (new * (1.0 - config.decay))?;
    match (average, config.start) {
        (Some(average), _) => (average * config.decay)? + fresh,
        (None, Start::Zero) => Ok(fresh),
        (None, Start::Identity) => (Tensor::eye(new.dim(0)?, new.dtype(), new.device())? * config.decay)? + fresh,
    }
}
