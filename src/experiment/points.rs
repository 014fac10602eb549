//! Points of the unit interval, for each searched key: chance, or Halton's sequence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::random::Random;

/// How points of the unit cube are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Independent and uniform.
    Random,
    /// Halton's sequence under a random shift: as even in the single key, and more even over all of them together.
    Halton,
}

/// The first `count` points of [0, 1) for a key.
pub fn points(kind: Kind, seed: u64, path: &str, base: usize, count: usize) -> Vec<f64> {
    let mut random = Random::new(seed, &format!("search/{path}"));
    match kind {
        Kind::Random => (0..count).map(|_| random.uniform()).collect(),
        Kind::Halton => {
            // Cranley and Patterson 1976: shifted, every single point is uniform.
            let shift = random.uniform();
            (1..=count).map(|index| (radical_inverse(index, base) + shift).fract()).collect()
        }
    }
}

/// The digits of `index` mirrored at the point: Halton 1960.
fn radical_inverse(mut index: usize, base: usize) -> f64 {
    let (mut inverse, mut unit) = (0.0, 1.0);
    while index > 0 {
        unit /= base as f64;
        inverse += unit * (index % base) as f64;
        index /= base;
    }
    inverse
}

pub fn primes() -> impl Iterator<Item = usize> {
    (2..).filter(|&number: &usize| (2..number).all(|divisor| !number.is_multiple_of(divisor)))
}

#[cfg(test)]
mod tests {
    use super::{Kind, points, primes, radical_inverse};

    #[test]
    fn halton_is_what_its_paper_says() {
        assert_eq!((1..=4).map(|index| radical_inverse(index, 2)).collect::<Vec<_>>(), [0.5, 0.25, 0.75, 0.125]);
        let thirds: Vec<f64> = (1..=4).map(|index| 9.0 * radical_inverse(index, 3)).collect();
        assert!(thirds.iter().zip([3.0, 6.0, 1.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{thirds:?}");
        assert_eq!(primes().take(6).collect::<Vec<_>>(), [2, 3, 5, 7, 11, 13]);
    }

    /// The star discrepancy of points of the square, over boxes with corners on a grid.
    fn discrepancy(kind: Kind, seed: u64, count: usize) -> f64 {
        let (x, y) = (points(kind, seed, "x", 2, count), points(kind, seed, "y", 3, count));
        let grid = || (1..=32).map(|corner| f64::from(corner) / 32.0);
        let share = |right: f64, top: f64| {
            x.iter().zip(&y).filter(|&(&x, &y)| x < right && y < top).count() as f64 / count as f64
        };
        grid()
            .flat_map(|right| grid().map(move |top| (right, top)))
            .fold(0.0, |worst: f64, (right, top)| worst.max((share(right, top) - right * top).abs()))
    }

    #[test]
    fn halton_is_more_even_than_chance_whatever_the_seed() {
        let mean = |kind, count| (1..=20).map(|seed| discrepancy(kind, seed, count)).sum::<f64>() / 20.0;
        // Its discrepancy falls about as 1/n, that of chance as 1/√n.
        let [few, many] = [20, 320].map(|count| (mean(Kind::Halton, count), mean(Kind::Random, count)));
        assert!(few.0 < 0.8 * few.1, "{few:?}");
        assert!(many.0 < 0.3 * many.1, "{many:?}");
        assert!(many.1 > few.1 / 6.0, "the control must not be as even: {few:?} {many:?}");
    }

    #[test]
    fn a_longer_search_begins_with_the_shorter_one_and_seeds_and_keys_differ() {
        for kind in [Kind::Random, Kind::Halton] {
            let draw = |seed, path, count| points(kind, seed, path, 2, count);
            assert_eq!(draw(1, "x", 40)[..20], draw(1, "x", 20));
            assert_ne!(draw(1, "x", 20), draw(2, "x", 20));
            assert_ne!(draw(1, "x", 20), draw(1, "y", 20));
            assert!(draw(3, "x", 1000).iter().all(|point| (0.0..1.0).contains(point)));
        }
    }
}
