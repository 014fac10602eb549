//! Channels side by side, and apart again.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Real;
use super::fresh::{filled, put};

/// Rows a task.
const BLOCK: usize = 256;

/// Rows made of the rows of each part, one after the other; `channels` are those of the parts.
#[must_use]
pub fn concat<T: Real>(parts: &[&[T]], channels: &[usize]) -> Vec<T> {
    let total: usize = channels.iter().sum();
    let rows = parts.first().map_or(0, |part| part.len() / channels[0]);
    let write = |out: &mut [MaybeUninit<T>]| {
        out.par_chunks_mut(BLOCK * total).enumerate().for_each(|(block, out)| {
            for (i, mut out) in out.chunks_exact_mut(total).enumerate() {
                for (part, &channels) in parts.iter().zip(channels) {
                    let (here, rest) = out.split_at_mut(channels);
                    put(here, &part[(block * BLOCK + i) * channels..][..channels]);
                    out = rest;
                }
            }
        });
    };
    // SAFETY: the channels of the parts add up to those of a row.
    #[allow(unsafe_code)]
    unsafe {
        filled(rows * total, write)
    }
}

/// `count` channels of each row of `total`, from `first` on.
#[must_use]
pub fn narrow<T: Real>(x: &[T], total: usize, first: usize, count: usize) -> Vec<T> {
    let write = |out: &mut [MaybeUninit<T>]| {
        out.par_chunks_mut(BLOCK * count).zip(x.par_chunks(BLOCK * total)).for_each(|(out, x)| {
            for (out, x) in out.chunks_exact_mut(count).zip(x.chunks_exact(total)) {
                put(out, &x[first..first + count]);
            }
        });
    };
    // SAFETY: every row is as long as what is put there.
    #[allow(unsafe_code)]
    unsafe {
        filled(x.len() / total * count, write)
    }
}
