//! Whose gradients the output factors are made of: the further backward passes of the sampled and the exact Fisher.

use candle_core::{D, Result, Tensor};

use super::Task;
use crate::clock::{Clock, Phase};
use crate::nn::backward;
use crate::optim::Fisher;
use crate::param::{Demand, Tap};
use crate::random::Random;

/// Makes the captures of one statistics step, or leaves the tap open for the loss's own backward pass to make them.
///
/// All three kinds capture rows of the gradient of a *mean* over the `batch` examples of the step, and over the tokens of each, so that
/// their factors are scaled alike; these logits, `N×K` or `N×T×K`, may be a part of the step's.
pub fn capture(
    task: Task,
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
            let targets = task.sample(logits, random)?;
            let share = logits.dim(0)? as f64 / batch as f64;
            let loss = task.loss(logits, &targets, 0.0)?;
            backward(&if share == 1.0 { loss } else { (loss * share)? })?;
        }
        Fisher::Exact => {
            let outputs = logits.dim(D::Minus1)?;
            let tokens = logits.elem_count() / (logits.dim(0)? * outputs);
            for class in 0..outputs {
                let column = (task.root(logits, class)? / (batch * tokens) as f64)?;
                // What one token's loss does to another token's row must not meet in one row with what its own does.
                for token in 0..tokens {
                    let (logits, column) = match logits.rank() {
                        2 => (logits.clone(), column.clone()),
                        _ => (logits.narrow(1, token, 1)?, column.narrow(1, token, 1)?),
                    };
                    (logits * column)?.sum_all()?.backward()?;
                    tap.set(Demand::OutputGrads);
                }
            }
        }
    }
    tap.set(Demand::Nothing);
    Ok(())
}
