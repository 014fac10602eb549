//! Dense linear algebra on tensors, where candle lacks it or takes longer than the machine allows.
//!
//! Matrices are candle tensors in float32 or float64. On the CPU the kernels compute on their numbers, with the same library and threads
//! for products as for factorisations, so that their times can be compared; elsewhere candle's operations do, and factorisations go to
//! the CPU and back.

mod factor;
mod product;
mod slices;
mod update;

pub use factor::{cholesky_inverse, eigen, lu_inverse};
pub use product::{Round, distance_to_identity, inner, newton_round, norm, product, times_vector};
pub use slices::{Real, read};
pub use update::{adam, average_in_place, combine, scale, subtract_in_place};
