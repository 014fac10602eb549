//! Made-up images in the shape of CIFAR: each class is a grating of its own direction and colour, moved at random and drowned in
//! noise. They can be learned, need no files, and are the same everywhere.

use super::{Images, Kind, Pixels, Targets};
use crate::random::Random;

/// Standard deviation of the noise, and height of the waves, in levels of 255.
const NOISE: f64 = 40.0;
const WAVES: f64 = 30.0;

/// Training and test images.
pub fn make() -> (Images, Images) {
    (images(Kind::Synthetic.train_len(), "train"), images(Kind::Synthetic.test_len(), "test"))
}

fn images(count: usize, purpose: &str) -> Images {
    let shape = Kind::Synthetic.shape();
    let mut random = Random::new(0, &format!("synthetic/{purpose}"));
    let mut pixels = Vec::with_capacity(count * shape.bytes());
    let labels: Vec<u16> = (0..count).map(|i| (i % shape.classes) as u16).collect();
    for &label in &labels {
        let angle = f64::from(label) * std::f64::consts::PI / shape.classes as f64;
        let (dx, dy, phase) = (angle.cos() * 0.7, angle.sin() * 0.7, random.uniform() * std::f64::consts::TAU);
        for y in 0..shape.height {
            for x in 0..shape.width {
                let wave = (x as f64 * dx + y as f64 * dy + phase).sin();
                for channel in 0..shape.channels {
                    let tint = (f64::from(label) + channel as f64 * 2.0).cos();
                    let level = 127.5 + WAVES * wave * tint + NOISE * random.normal();
                    pixels.push(level.round().clamp(0.0, 255.0) as u8);
                }
            }
        }
    }
    Images {
        pixels: Pixels::Memory(pixels),
        labels,
        targets: Targets::Classes,
        shape,
        normalisation: Kind::Synthetic.normalisation(),
    }
}
