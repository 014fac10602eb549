//! Convolution in float32 for processors with AVX2 and FMA, found out at run time: a plain build is as fast as a native one.

mod correlation;
mod direct;
mod tile;
mod tiles;
mod transform;
mod weight;
mod winograd;

use super::Geometry;
use super::engine::Engine;

/// Whether this processor can run what is here.
pub fn is_available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Whether Winograd's way is to be taken: where it fits and is asked for, or wins.
fn by_winograd(engine: Engine, g: &Geometry) -> bool {
    engine != Engine::Direct && winograd::fits(g)
}

/// [`conv::forward`](super::conv::forward) without a bias.
pub fn forward(engine: Engine, g: &Geometry, x: &[f32], weight: &[f32]) -> Vec<f32> {
    if by_winograd(engine, g) { winograd::forward(g, x, weight) } else { direct::forward(g, x, weight) }
}

/// [`conv::grad_input`](super::conv::grad_input).
pub fn grad_input(engine: Engine, g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    if by_winograd(engine, g) { winograd::grad_input(g, dy, weight) } else { direct::grad_input(g, dy, weight) }
}

/// [`conv::grad_weight`](super::conv::grad_weight).
pub fn grad_weight(engine: Engine, g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    // On small maps a transform by F(2×2, 3×3) saves less than its sums over all points cost.
    let by_winograd = by_winograd(engine, g) && (engine == Engine::Winograd || g.height.min(g.width) >= 8);
    if by_winograd { winograd::grad_weight(g, x, dy) } else { weight::gradient(g, x, dy) }
}

/// [`gram::conv`](super::gram::conv) without ones, where a way is known that saves work.
pub fn moments(g: &Geometry, x: &[f32]) -> Option<Vec<f32>> {
    correlation::wins(g).then(|| correlation::moments(g, x))
}
