//! Dense linear algebra on tensors, where candle lacks it or takes longer than the machine allows.
//!
//! Matrices are candle tensors in float32 or float64. On the CPU the kernels compute on their numbers, with the same library and threads
//! for products as for factorisations, so that their times can be compared; elsewhere candle's operations do, and of the factorisations
//! all but Cholesky's inverse and eigenvectors go to the CPU and back.

mod bounds;
mod factor;
mod product;
mod root;
mod slices;
mod update;

pub use crate::kernel::elementwise::Adam;
pub use crate::kernel::newton::Products;
pub use bounds::{clip, kl_clip, to_norm_of, unit};
pub use factor::{UNSURE, cholesky_inverse, eigen, lu_inverse, orthogonal, precision, resolves};
pub use product::{
    Round, distance_to_identity, inner, newton_round, newton_schulz, norm, product, square_product, times_vector,
};
pub use root::{over_root, root_of_average};
pub use slices::{Real, has_kernels, read, turn_kernels_off};
pub use update::{adam, average_in_place, combine, scale, subtract_in_place};
