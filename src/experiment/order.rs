//! In which order trials are run.

use super::Trial;
use crate::random::Random;

/// In which order trials are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// That of the file: arms, then axes, seeds innermost.
    File,
    /// Seed by seed, and for each seed in a random order, so that a machine that slows down favours no arm.
    Interleaved,
}

impl Order {
    /// The trials in this order.
    pub fn arrange(self, trials: Vec<Trial>) -> Vec<Trial> {
        match self {
            Self::File => trials,
            Self::Interleaved => interleaved(trials),
        }
    }
}

/// Seed by seed in the order in which seeds first come, the trials of a seed in a random order, the same every time.
fn interleaved(trials: Vec<Trial>) -> Vec<Trial> {
    let mut blocks: Vec<(u64, Vec<Trial>)> = Vec::new();
    for trial in trials {
        let seed = trial.config.seed;
        match blocks.iter_mut().find(|(known, _)| *known == seed) {
            Some((_, block)) => block.push(trial),
            None => blocks.push((seed, vec![trial])),
        }
    }
    for (seed, block) in &mut blocks {
        Random::new(*seed, "order of trials").shuffle(block);
    }
    blocks.into_iter().flat_map(|(_, block)| block).collect()
}
