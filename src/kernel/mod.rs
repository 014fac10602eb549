//! The CPU loops: plain functions on slices, channel-last, in float32 and float64.
//!
//! This is an island: it knows no tensors and nothing of ours, and is the only place where `unsafe` is allowed. Work is split over
//! batch and tiles; what is summed is summed in an order that depends on the number of threads alone.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(not(target_arch = "x86_64"))]
#[path = "no_avx2.rs"]
mod avx2;
pub mod concat;
pub mod conv;
mod depthwise;
pub mod elementary;
pub mod elementwise;
mod engine;
mod fresh;
pub mod gelu;
pub mod geometry;
pub mod gram;
pub mod grouped;
pub mod layer_norm;
pub mod matrix;
pub mod memory;
pub mod norm;
pub mod pool;
pub mod product;
pub mod real;
mod scratch;
pub mod softmax;
mod tiles;

pub use geometry::Geometry;
pub use real::Real;
