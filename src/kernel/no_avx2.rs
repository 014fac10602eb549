//! What stands in for the AVX2 kernels on other architectures: nothing of it is ever called.

use super::Geometry;
use super::engine::Engine;

pub const fn is_available() -> bool {
    false
}

pub fn forward(_: Engine, _: &Geometry, _: &[f32], _: &[f32]) -> Vec<f32> {
    Vec::new()
}

pub fn grad_input(_: Engine, _: &Geometry, _: &[f32], _: &[f32]) -> Vec<f32> {
    Vec::new()
}

pub fn grad_weight(_: Engine, _: &Geometry, _: &[f32], _: &[f32]) -> Vec<f32> {
    Vec::new()
}

pub fn moments(_: &Geometry, _: &[f32]) -> Option<Vec<f32>> {
    None
}
