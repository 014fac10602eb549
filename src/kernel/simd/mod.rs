//! Convolution in float32 for processors with vectors, found out at run time: a plain build is as fast as a native one.
//!
//! Everything here is written once for vectors of any length; see [`instance`].

mod correlation;
mod direct;
mod instance;
mod narrow;
pub mod pairs;
mod tile;
mod tiles;
mod transform;
mod weight;
mod winograd;

pub(in crate::kernel) use instance::widest;
pub use instance::{Instance, with_widest};

use super::Geometry;
use super::engine::Conv;

/// The ways to convolve.
enum Way {
    Narrow,
    Winograd,
    Direct,
    /// As any processor does: patches of one pixel are the input as it is, and a product of the library's.
    Plain,
}

/// The way to be taken: the one that is asked for, where it fits, or wins.
fn way(conv: Conv, g: &Geometry) -> Way {
    match conv {
        Conv::Auto if narrow::wins(g) => Way::Narrow,
        Conv::Auto if g.kernel == 1 => Way::Plain,
        Conv::Auto | Conv::Winograd if winograd::fits(g) => Way::Winograd,
        _ => Way::Direct,
    }
}

/// [`conv::forward`](super::conv::forward) without a bias.
pub fn forward(instance: Instance, conv: Conv, g: &Geometry, x: &[f32], weight: &[f32]) -> Vec<f32> {
    match way(conv, g) {
        Way::Narrow => narrow::forward(instance, g, x, weight),
        Way::Winograd => winograd::forward(instance, g, x, weight),
        Way::Direct => direct::forward(instance, g, x, weight),
        Way::Plain => super::tiles::forward(g, x, weight),
    }
}

/// [`conv::grad_input`](super::conv::grad_input).
pub fn grad_input(instance: Instance, conv: Conv, g: &Geometry, dy: &[f32], weight: &[f32]) -> Vec<f32> {
    match way(conv, g) {
        Way::Narrow => narrow::grad_input(instance, g, dy, weight),
        Way::Winograd => winograd::grad_input(instance, g, dy, weight),
        Way::Direct => direct::grad_input(instance, g, dy, weight),
        Way::Plain => super::tiles::grad_input(g, dy, weight),
    }
}

/// [`conv::grad_weight`](super::conv::grad_weight).
pub fn grad_weight(instance: Instance, conv: Conv, g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    match way(conv, g) {
        Way::Narrow => narrow::grad_weight(instance, g, x, dy),
        // On small maps a transform by F(2×2, 3×3) saves less than its sums over all points cost.
        Way::Winograd if conv == Conv::Winograd || g.height.min(g.width) >= 8 => {
            winograd::grad_weight(instance, g, x, dy)
        }
        Way::Plain => super::tiles::grad_weight(g, x, dy),
        _ => weight::gradient(instance, g, x, dy),
    }
}

/// [`gram::conv`](super::gram::conv) without ones, where a way is known that saves work.
pub fn moments(instance: Instance, g: &Geometry, x: &[f32]) -> Option<Vec<f32>> {
    correlation::wins(g).then(|| correlation::moments(instance, g, x))
}
