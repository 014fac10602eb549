//! The CPU loops: plain functions on slices, channel-last, in float32 and float64.
//!
//! This is an island: it knows no tensors and nothing of ours; `unsafe` is allowed here and in `device` alone. Work is split over
//! batch and tiles; what is summed is summed in an order that depends on the number of threads alone.

pub mod attention;
pub mod bf16;
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
pub mod newton;
pub mod newton_schulz;
pub mod norm;
pub mod pool;
pub mod product;
pub mod real;
mod scratch;
mod simd;
mod softmax;
mod tiles;

pub use engine::{Conv, Engine, Simd};
pub use geometry::Geometry;
pub use real::Real;
