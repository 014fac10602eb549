//! Seeded random numbers that are the same on every machine and in every version of this program.
//!
//! A [`Random`] is named by a seed and a purpose, so that streams are independent of the order in which they are opened:
//! adding a layer, a data set or an optimizer never shifts anybody else's numbers. ChaCha8 is reproducible by specification;
//! the distributions are spelled out here because those of a library may change with its version.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// A stream of random numbers.
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream for one `purpose` (`"init/conv1.weight"`, `"order/3"`) under a trial's `seed`.
    #[must_use]
    pub fn new(seed: u64, purpose: &str) -> Self {
        let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(purpose).finalize();
        Self(ChaCha8Rng::from_seed(digest.into()))
    }

    /// A number in [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A standard normal number (Box–Muller, the cosine branch).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A whole number below `bound`, by multiplication: its bias is at most `bound`/2⁶⁴.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A seed for streams of their own.
    pub fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Permutes `items` (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn streams_are_reproducible_and_independent() {
        let draw = |seed, purpose| {
            let mut random = Random::new(seed, purpose);
            [random.uniform(), random.normal()]
        };
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

    #[test]
    fn normal_numbers_have_unit_variance() {
        let mut random = Random::new(7, "normal");
        let squares: f64 = (0..100_000).map(|_| random.normal().powi(2)).sum();
        assert!((squares / 1e5 - 1.0).abs() < 0.02, "variance {}", squares / 1e5);
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        Random::new(3, "shuffle").shuffle(&mut items);
        assert!(items.iter().enumerate().any(|(i, &item)| i != item));
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
