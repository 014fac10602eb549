//! What a preconditioner measures of itself when asked to, outside of the clock.

use candle_core::{Result, Tensor};

use super::damping::{max_eigenvalue, power_start};
use super::factor::Factor;
use super::invert::{Branch, residual};
use crate::linalg::{self, norm};

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The factor's name; absent where the number is of all layers together.
    pub factor: Option<String>,
    pub quantity: Quantity,
    pub value: f64,
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Which way a refresh went, as its place in [`Branch::ALL`].
    Branch,
    /// `‖I − ÃB‖_F/√n` of a refreshed inverse B.
    Residual,
    /// `‖Ā − Ā'‖_F/‖Ā'‖_F`, Ā' being the statistics of the last refresh; none at the first.
    Drift,
    /// λ̂_max of the statistics.
    MaxEigenvalue,
    /// δ.
    Damping,
    /// `(λ̂_max(Ā) + δ) · λ̂_max(B)`.
    Condition,
    /// Refreshes so far that fell back.
    Fallbacks,
    /// Seconds of damping and inversion.
    Seconds,
    /// The cosine of the angle between the layers' gradient and what it was made into.
    Cosine,
    /// `lr²⟨V, ∇⟩`, twice the change in KL divergence to second order if the factors were the Fisher matrix.
    KlStep,
}

/// What there is to say of a factor that was just refreshed from the `statistics`, with `inverse` the inverse of these, damped: none where
/// the damping is joint, and no factor has an inverse of its own.
///
/// Remembers the statistics for the next refresh's drift.
pub fn factor(
    factor: &mut Factor,
    statistics: &Tensor,
    damping: f64,
    branch: Branch,
    inverse: Option<&Tensor>,
) -> Result<Vec<Note>> {
    let identity = Tensor::eye(factor.order, statistics.dtype(), statistics.device())?;
    let damped = (statistics + (identity * damping)?)?;
    let eigenvalue = |matrix: &Tensor| max_eigenvalue(matrix, &power_start(factor.rows.iter().copied(), matrix)?);
    let largest = eigenvalue(statistics)?;
    let mut numbers = vec![
        (Quantity::Branch, branch as usize as f64),
        (Quantity::MaxEigenvalue, largest),
        (Quantity::Damping, damping),
        (Quantity::Fallbacks, factor.refreshes[Branch::Fallback as usize] as f64),
        (Quantity::Seconds, factor.last_seconds),
    ];
    if let Some(inverse) = inverse {
        numbers.push((Quantity::Residual, residual(&damped, inverse)?));
        numbers.push((Quantity::Condition, (largest + damping) * eigenvalue(inverse)?));
    }
    if let Some(last) = &factor.last_statistics {
        let moved = norm(&(statistics - last)?)?;
        // A dead layer's statistics stay at zero.
        numbers.push((Quantity::Drift, if moved == 0.0 { 0.0 } else { moved / norm(last)? }));
    }
    // The average moves in its own memory.
    factor.last_statistics = Some(statistics.copy()?);
    let name = &factor.name;
    let note = |(quantity, value)| Note { factor: Some(name.clone()), quantity, value };
    Ok(numbers.into_iter().map(note).collect())
}

/// What there is to say of a step: `(∇, V)` by layer, V as it leaves the preconditioner.
pub fn step(changes: &[(Tensor, Tensor)], lr: f64) -> Result<Vec<Note>> {
    let [mut gradients, mut directions, mut inner] = [0.0; 3];
    for (gradient, direction) in changes {
        gradients += norm(gradient)?.powi(2);
        directions += norm(direction)?.powi(2);
        inner += linalg::inner(gradient, direction)?;
    }
    let note = |quantity, value| Note { factor: None, quantity, value };
    let cosine = inner / (gradients * directions).sqrt();
    Ok(vec![note(Quantity::Cosine, cosine), note(Quantity::KlStep, lr * lr * inner)])
}
