//! Newton's iteration for the inverse, one round at a time.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::product::Matrix;
use super::{Real, bf16, elementwise, matrix};

/// What products are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Products {
    /// The numbers' own type.
    #[default]
    Full,
    /// Inputs rounded to bfloat16, sums in float32.
    Bf16,
}

/// A round's result.
pub struct Round<T> {
    pub inverse: Vec<T>,
    /// `‖I − B(A + δI)‖_F` of the inverse that the round started from.
    pub residual: f64,
    /// Whether it was damped, because the residual was 1 or more.
    pub damped: bool,
}

/// With `P = B(A + δI)` and symmetric `A` and `B`: `(2I − P)B`, or `((1+s)I − sP)B` with `s = 1/‖P‖_F` where `‖I − P‖_F ≥ 1`. `None` if a
/// number ceases to be finite.
#[must_use]
pub fn round<T: Real>(
    precision: Products,
    factor: &[T],
    damping: f64,
    inverse: &[T],
    order: usize,
) -> Option<Round<T>> {
    let view = |values| Matrix::new(values, order, order);
    let mut p = match precision {
        Products::Full => matrix::product(view(inverse), view(factor)),
        Products::Bf16 => bf16::product(inverse, factor, order, bf16::Part::All),
    };
    elementwise::add_scaled(1.0, &mut p, damping, inverse);
    let residual = matrix::distance(&p, order, T::ONE);
    if !residual.is_finite() {
        return None;
    }
    let damped = residual >= 1.0;
    let shrink = if damped { 1.0 / matrix::norm(&p) } else { 1.0 };
    // PB is symmetric because A and B are.
    let next = match precision {
        Products::Full => {
            let mut next = matrix::symmetric_product(view(&p), view(inverse));
            elementwise::add_scaled(-shrink, &mut next, 1.0 + shrink, inverse);
            next
        }
        // As B + s(I − P)B: what is rounded is near zero then, not near the identity.
        Products::Bf16 => {
            p.par_chunks_mut(order).enumerate().for_each(|(i, row)| {
                row.iter_mut().for_each(|p| *p = T::ZERO - *p);
                row[i] += T::ONE;
            });
            let mut next = bf16::product(&p, inverse, order, bf16::Part::Lower);
            elementwise::add_scaled(shrink, &mut next, 1.0, inverse);
            next
        }
    };
    matrix::norm(&next).is_finite().then_some(Round { inverse: next, residual, damped })
}
