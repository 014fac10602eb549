//! Convolution in float32 for processors with AVX2 and FMA, found out at run time: a plain build is as fast as a native one.

mod correlation;
mod direct;
mod narrow;
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

/// The ways to convolve.
enum Way {
    Narrow,
    Winograd,
    Direct,
}

/// The way to be taken: the one that is asked for, where it fits, or wins.
fn way(engine: Engine, g: &Geometry) -> Way {
    match engine {
        Engine::Auto if narrow::wins(g) => Way::Narrow,
        Engine::Auto | Engine::Winograd if winograd::fits(g) => Way::Winograd,
        _ => Way::Direct,
    }
}

/// [`conv::forward`](super::conv::forward) without a bias.
pub fn forward(engine: Engine, g: &Geometry, x: &[f32], weight: &[f32]) -> Vec<f32> {
    match way(engine, g) {
        Way::Narrow => narrow::forward(g, x, weight),
        Way::Winograd => winograd::forward(g, x, weight),
        Way::Direct => direct::forward(g, x, weight),
    }
}

/// [`conv::grad_input`](super::conv::grad_input).
pub fn grad_input(engine: Engine, g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    match way(engine, g) {
        Way::Narrow => narrow::grad_input(g, dy, weight),
        Way::Winograd => winograd::grad_input(g, dy, weight),
        Way::Direct => direct::grad_input(g, dy, weight),
    }
}

/// [`conv::grad_weight`](super::conv::grad_weight).
pub fn grad_weight(engine: Engine, g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    match way(engine, g) {
        Way::Narrow => narrow::grad_weight(g, x, dy),
        // On small maps a transform by F(2×2, 3×3) saves less than its sums over all points cost.
        Way::Winograd if engine == Engine::Winograd || g.height.min(g.width) >= 8 => winograd::grad_weight(g, x, dy),
        // Its products pack inputs as well: unpacked, one channel of many pixels falls on few places of the cache.
        _ if engine == Engine::Auto && g.kernel == 1 => super::tiles::grad_weight(g, x, dy),
        _ => weight::gradient(g, x, dy),
    }
}

/// [`gram::conv`](super::gram::conv) without ones, where a way is known that saves work.
pub fn moments(g: &Geometry, x: &[f32]) -> Option<Vec<f32>> {
    correlation::wins(g).then(|| correlation::moments(g, x))
}
