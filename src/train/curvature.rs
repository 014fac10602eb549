//! Whose gradients the output factors are made of: the further backward passes of the sampled and the exact Fisher.

use candle_core::{Result, Tensor};

use crate::clock::{Clock, Phase};
use crate::nn::{backward, cross_entropy, softmax};
use crate::optim::Fisher;
use crate::param::{Demand, Tap};
use crate::random::Random;

/// Makes the captures of one statistics step, or leaves the tap open for the loss's own backward pass to make them.
///
/// All three kinds capture rows of the gradient of a *mean* over the `batch` images of the step, of which these logits may be a part, so
/// that their factors are scaled alike.
pub fn capture(
    tap: &Tap,
    fisher: Fisher,
    logits: &Tensor,
    batch: usize,
    random: &mut Random,
    clock: &Clock,
) -> Result<()> {
    let _moments = clock.phase(Phase::Moments);
    tap.set(Demand::Moments);
    match fisher {
        Fisher::Empirical => return Ok(()),
        Fisher::Sampled => {
            let labels = sample(&softmax(logits)?, random)?;
            let share = logits.dim(0)? as f64 / batch as f64;
            let loss = cross_entropy(logits, &labels, 0.0)?;
            backward(&if share == 1.0 { loss } else { (loss * share)? })?;
        }
        Fisher::Exact => {
            let classes = logits.dim(1)?;
            let probabilities = softmax(logits)?;
            for class in 0..classes {
                let column = (output_root(&probabilities, class)? / batch as f64)?;
                (logits * column)?.sum_all()?.backward()?;
                tap.set(Demand::OutputGrads);
            }
        }
    }
    tap.set(Demand::Nothing);
    Ok(())
}

/// One label a row, drawn from its probabilities.
fn sample(probabilities: &Tensor, random: &mut Random) -> Result<Tensor> {
    let rows = probabilities.to_dtype(candle_core::DType::F64)?.to_vec2::<f64>()?;
    let draw = |row: &Vec<f64>| {
        let mut left = random.uniform();
        let class = row.iter().position(|probability| {
            left -= probability;
            left < 0.0
        });
        class.unwrap_or(row.len() - 1) as u32
    };
    Tensor::new(rows.iter().map(draw).collect::<Vec<u32>>(), probabilities.device())
}

/// Column `class` of S with `S Sᵀ = diag(p) − ppᵀ`, the Hessian of the loss by the logits, a row a sample: `√p_c (e_c − p)`.
fn output_root(probabilities: &Tensor, class: usize) -> Result<Tensor> {
    let (batch, classes) = probabilities.dims2()?;
    let label = Tensor::full(class as u32, batch, probabilities.device())?;
    let unit = crate::nn::op::loss::one_hot(&label, classes, probabilities)?;
    (unit - probabilities)?.broadcast_mul(&probabilities.narrow(1, class, 1)?.sqrt()?)
}
