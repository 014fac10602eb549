//! The CPU loops: plain functions on slices, channel-last, in float32 and float64.
//!
//! This is an island: it knows no tensors and nothing of ours, and is the only place where `unsafe` is allowed. Work is split over
//! batch and tiles; what is summed is summed in an order that depends on the number of threads alone.

pub mod conv;
pub mod depthwise;
mod direct;
pub mod elementary;
pub mod elementwise;
pub mod gelu;
pub mod geometry;
pub mod gram;
pub mod layer_norm;
pub mod norm;
pub mod pool;
pub mod product;
pub mod real;
pub mod softmax;
mod tiles;
mod weight;
mod winograd;

pub use geometry::Geometry;
pub use real::Real;
