//! Benchmarks of the parts that experiments are made of: one training step, and one inverse.

mod inverse;
mod step;

pub use inverse::{InverseRow, inverse};
pub use step::{StepSettings, StepTimes, step};

/// The middle of some seconds; of an even number the upper one. NaN of none.
fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
