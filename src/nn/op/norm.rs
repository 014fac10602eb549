//! Batch normalisation in training: batch statistics over all axes but the last, with a backward pass in three reductions.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Error, Result, Tensor};

use super::{Operation, apply};

/// Mean and biased variance of a batch, one number a channel.
#[derive(Debug, Clone)]
pub struct Statistics {
    pub mean: Tensor,
    pub variance: Tensor,
}

/// `γ·(x − mean)/√(variance + ε) + β` with the statistics of the batch, which are returned too. `x` is `…×C`.
pub fn batch_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, epsilon: f64) -> Result<(Tensor, Statistics)> {
    let saved = Arc::new(Mutex::new(None));
    let y = apply(BatchNorm { epsilon, saved: saved.clone() }, &[x, gamma, beta])?;
    Ok((y, read(&saved)?))
}

struct BatchNorm {
    epsilon: f64,
    /// Written by the forward pass, read by the backward pass.
    saved: Arc<Mutex<Option<Statistics>>>,
}

impl BatchNorm {
    /// Rows of `x` less the mean, and 1/√(variance + ε).
    fn centre(&self, x: &Tensor, statistics: &Statistics) -> Result<(Tensor, Tensor)> {
        let centred = x.reshape(((), statistics.mean.elem_count()))?.broadcast_sub(&statistics.mean)?;
        let scale = (&statistics.variance + self.epsilon)?.sqrt()?.recip()?;
        Ok((centred, scale))
    }
}

impl Operation for BatchNorm {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn forward(&self, args: &[Tensor]) -> Result<Tensor> {
        let (x, gamma, beta) = (&args[0], &args[1], &args[2]);
        let rows = x.reshape(((), gamma.elem_count()))?;
        let mean = rows.mean(0)?;
        let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(0)?;
        let statistics = Statistics { mean, variance };
        let (centred, scale) = self.centre(x, &statistics)?;
        *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(statistics);
        centred.broadcast_mul(&(scale * gamma)?)?.broadcast_add(beta)?.reshape(x.shape())
    }

    fn backward(&self, args: &[&Tensor], _output: &Tensor, grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (x, gamma) = (args[0].detach(), args[1].detach());
        let (centred, scale) = self.centre(&x, &read(&self.saved)?)?;
        let normed = centred.broadcast_mul(&scale)?;
        let grad = grad.reshape(normed.shape())?;
        let grad_beta = grad.sum(0)?;
        let grad_gamma = (&grad * &normed)?.sum(0)?;
        let grad_x = if args[0].track_op() {
            let count = normed.dim(0)? as f64;
            let pull = normed.broadcast_mul(&(&grad_gamma / count)?)?.broadcast_add(&(&grad_beta / count)?)?;
            Some((grad - pull)?.broadcast_mul(&(scale * gamma)?)?.reshape(x.shape())?)
        } else {
            None
        };
        Ok(vec![
            grad_x,
            args[1].track_op().then_some(grad_gamma),
            args[2].track_op().then_some(grad_beta),
        ])
    }
}

fn read(saved: &Mutex<Option<Statistics>>) -> Result<Statistics> {
    let statistics = saved.lock().unwrap_or_else(PoisonError::into_inner).clone();
    statistics.ok_or_else(|| Error::Msg("batch-norm: no statistics before the forward pass".into()))
}
