//! Self-attention of several heads: `softmax(Q Kᵀ/√D) V`, with queries, keys and values where one linear layer puts them.
//!
//! Scores are made for a block of queries at a time, used while they are in cache and forgotten; the backward pass makes them again, as
//! Dao et al. 2022 do. There is no T×T matrix, in memory or in the graph.

use faer::linalg::matmul::matmul;
use faer::reborrow::ReborrowMut;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::elementary::Elementary;
use super::simd::widest;
use super::softmax;

/// Queries a block.
const BLOCK: usize = 64;

/// Sizes of a batch of sequences.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub batch: usize,
    /// T.
    pub tokens: usize,
    pub heads: usize,
    /// D, channels a head.
    pub width: usize,
    /// Whether a token sees itself and those before it only.
    pub causal: bool,
}

impl Shape {
    const fn channels(&self) -> usize {
        self.heads * self.width
    }

    /// Blocks of queries: the first, how many, and how many keys any of them sees.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let Self { tokens, causal, .. } = *self;
        (0..tokens).step_by(BLOCK).map(move |first| {
            let count = BLOCK.min(tokens - first);
            (first, count, if causal { first + count } else { tokens })
        })
    }

    /// Softmax of the scores of a block, of which a causal row sees only those up to its own; the others are 0.
    fn weigh<T: Elementary>(&self, first: usize, keys: usize, scores: &mut [T]) {
        widest!({
            for (row, scores) in scores.chunks_exact_mut(keys).enumerate() {
                let (seen, hidden) = scores.split_at_mut(if self.causal { first + row + 1 } else { keys });
                softmax::forward(seen);
                hidden.fill(T::ZERO);
            }
        });
    }
}

/// `N×T×(heads·D)` of `qkv`, `N×T×(3·heads·D)`.
#[must_use]
pub fn forward<T: Elementary>(shape: &Shape, qkv: &[T]) -> Vec<T> {
    let (tokens, width, channels) = (shape.tokens, shape.width, shape.channels());
    let mut out = vec![T::ZERO; shape.batch * tokens * channels];
    let sequences = out.par_chunks_mut(tokens * channels).zip(qkv.par_chunks(3 * tokens * channels));
    sequences.for_each_init(Vec::new, |scores, (out, qkv)| {
        let mut out = MatMut::from_row_major_slice_mut(out, tokens, channels);
        for head in 0..shape.heads {
            let [queries, keys, values] = parts(shape, qkv, head);
            for (first, count, seen) in shape.blocks() {
                scores.resize(count * seen, T::ZERO);
                multiply(scores, queries.subrows(first, count), keys.subrows(0, seen).transpose(), scale(shape));
                shape.weigh(first, seen, scores);
                let weights = MatRef::from_row_major_slice(scores, count, seen);
                let out = out.rb_mut().submatrix_mut(first, head * width, count, width);
                matmul(out, Accum::Replace, weights, values.subrows(0, seen), T::ONE, Par::Seq);
            }
        }
    });
    out
}

/// The gradient by `qkv` of a loss whose gradient by the output is `grad`.
#[must_use]
pub fn backward<T: Elementary>(shape: &Shape, qkv: &[T], grad: &[T]) -> Vec<T> {
    let (tokens, width, channels) = (shape.tokens, shape.width, shape.channels());
    let mut out = vec![T::ZERO; qkv.len()];
    let sequences = out.par_chunks_mut(3 * tokens * channels).zip(qkv.par_chunks(3 * tokens * channels));
    let sequences = sequences.zip(grad.par_chunks(tokens * channels));
    sequences.for_each_init(Default::default, |(scores, grads): &mut (Vec<T>, Vec<T>), ((out, qkv), grad)| {
        let grad = MatRef::from_row_major_slice(grad, tokens, channels);
        let mut out = MatMut::from_row_major_slice_mut(out, tokens, 3 * channels);
        for head in 0..shape.heads {
            let [queries, keys, values] = parts(shape, qkv, head);
            for (first, count, seen) in shape.blocks() {
                let (queries, grad) =
                    (queries.subrows(first, count), grad.submatrix(first, head * width, count, width));
                let (keys, values) = (keys.subrows(0, seen), values.subrows(0, seen));
                scores.resize(count * seen, T::ZERO);
                grads.resize(count * seen, T::ZERO);
                multiply(scores, queries, keys.transpose(), scale(shape));
                shape.weigh(first, seen, scores);
                multiply(grads, grad, values.transpose(), T::ONE);
                let mut add = |part: usize, rows: usize, weights: MatRef<'_, T>, of: MatRef<'_, T>, scale: T| {
                    let start = if part == 0 { first } else { 0 };
                    let out = out.rb_mut().submatrix_mut(start, part * channels + head * width, rows, width);
                    matmul(out, Accum::Add, weights, of, scale, Par::Seq);
                };
                add(2, seen, MatRef::from_row_major_slice(scores, count, seen).transpose(), grad, T::ONE);
                widest!(softmax::backward(scores, grads, seen));
                let grads = MatRef::from_row_major_slice(grads, count, seen);
                add(0, count, grads, keys, scale(shape));
                add(1, seen, grads.transpose(), queries, scale(shape));
            }
        }
    });
    out
}

/// Queries, keys and values of a head, `T×D` each.
fn parts<'a, T: Elementary>(shape: &Shape, qkv: &'a [T], head: usize) -> [MatRef<'a, T>; 3] {
    let rows = MatRef::from_row_major_slice(qkv, shape.tokens, 3 * shape.channels());
    [0, 1, 2].map(|part| rows.subcols(part * shape.channels() + head * shape.width, shape.width))
}

/// 1/√D.
fn scale<T: Elementary>(shape: &Shape) -> T {
    T::real(1.0 / (shape.width as f64).sqrt())
}

/// `out = scale·a·b`.
fn multiply<T: Elementary>(out: &mut [T], a: MatRef<'_, T>, b: MatRef<'_, T>, scale: T) {
    let out = MatMut::from_row_major_slice_mut(out, a.nrows(), b.ncols());
    matmul(out, Accum::Replace, a, b, scale, Par::Seq);
}
