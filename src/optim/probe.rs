//! What a preconditioner measures of itself when asked to, outside of the clock.

use candle_core::{DType, Result, Tensor};

use super::damping::{max_eigenvalue, power_start};
use super::factor::Factor;
use super::invert::{Branch, residual};
use crate::linalg::{self, norm};
use crate::param::Params;

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The factor's name; absent where the number is of all layers together.
    pub factor: Option<String>,
    pub quantity: Quantity,
    pub value: f64,
}

/// What was measured since it was last asked for; absent unless probed.
pub type Notes = Option<Vec<Note>>;

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Which way a refresh went, as its place in [`Branch::ALL`].
    Branch,
    /// `‖I − ÃB‖_F/√n` of a refreshed inverse B.
    Residual,
    /// The same of the inverse that the refresh replaces: how far off it had become.
    StaleResidual,
    /// `‖Ā − Ā'‖_F/‖Ā'‖_F`, Ā' being the statistics of the last refresh; none at the first, nor behind an Ā' of zero that is left.
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
    /// The cosine of the angle between the layers' gradient and what it was made into; none where either is zero.
    Cosine,
    /// `‖QᵀLQ − diag(QᵀLQ)‖_F/‖L‖_F` of a factor L when its basis Q is about to be refreshed; none where L is zero.
    OffDiagonal,
    /// The least and the largest singular value of what Muon's iteration made of a weight's momentum.
    SmallestSingularValue,
    LargestSingularValue,
    /// `‖x − y‖/‖y‖` of the weights x that are evaluated and the weights y that are trained.
    Distance,
    /// `lr²⟨V, ∇⟩`, twice the change in KL divergence to second order if the factors were the Fisher matrix.
    KlStep,
}

/// Steps between measurements of what no refresh goes with.
pub const EVERY: usize = 20;

/// What there is to say of a factor that was just refreshed from the `statistics`, with `inverse` the inverse of these, damped: none where
/// the damping is joint, and no factor has an inverse of its own.
///
/// Remembers statistics and inverse for what the next refresh says of them.
pub fn factor(
    factor: &mut Factor,
    statistics: &Tensor,
    damping: f64,
    branch: Branch,
    inverse: Option<Tensor>,
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
    if let Some(inverse) = &inverse {
        numbers.push((Quantity::Residual, residual(&damped, inverse)?));
        numbers.push((Quantity::Condition, (largest + damping) * eigenvalue(inverse)?));
    }
    if let Some(last) = &factor.last_inverse {
        numbers.push((Quantity::StaleResidual, residual(&damped, last)?));
    }
    if let Some(last) = &factor.last_statistics {
        let (moved, size) = (norm(&(statistics - last)?)?, norm(last)?);
        // A dead layer's statistics stay at zero; on coming to life they have moved by no multiple of that.
        if moved == 0.0 || size != 0.0 {
            numbers.push((Quantity::Drift, if moved == 0.0 { 0.0 } else { moved / size }));
        }
    }
    // The average moves in its own memory.
    factor.last_statistics = Some(statistics.copy()?);
    factor.last_inverse = inverse;
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
    let mut notes = vec![note(Quantity::KlStep, lr * lr * inner)];
    let sizes = gradients.sqrt() * directions.sqrt();
    // There is no angle to a gradient of zero.
    if sizes != 0.0 {
        notes.push(note(Quantity::Cosine, inner / sizes));
    }
    Ok(notes)
}

/// How far a tensor's factor along an axis is from diagonal in its basis.
pub fn off_diagonal(name: &str, axis: usize, factor: &Tensor, basis: &Tensor) -> Result<Option<Note>> {
    let size = norm(factor)?;
    if size == 0.0 {
        return Ok(None);
    }
    let turned = linalg::product(&basis.t()?, &linalg::product(factor, basis)?)?;
    let others = (1.0 - Tensor::eye(turned.dim(0)?, turned.dtype(), turned.device())?)?;
    let value = norm(&(turned * others)?)? / size;
    Ok(Some(Note { factor: Some(format!("{name}/{axis}")), quantity: Quantity::OffDiagonal, value }))
}

/// Singular values of an update that should be orthogonal; none where a number is not finite.
pub fn singular_values(name: &str, update: &Tensor) -> Result<Vec<Note>> {
    let (rows, columns) = update.dims2()?;
    let wide = if rows > columns { update.t()?.contiguous()? } else { update.clone() }.to_dtype(DType::F64)?;
    let Some((squares, _)) = linalg::eigen(&linalg::product(&wide, &wide.t()?)?)? else { return Ok(Vec::new()) };
    let ends = [(Quantity::SmallestSingularValue, squares.first()), (Quantity::LargestSingularValue, squares.last())];
    let note = |(quantity, square): (Quantity, Option<&f64>)| {
        Some(Note { factor: Some(name.to_owned()), quantity, value: square?.max(0.0).sqrt() })
    };
    Ok(ends.into_iter().filter_map(note).collect())
}

/// How far the evaluated point is from the weights.
pub fn distance(point: &[Tensor], params: &Params) -> Result<Note> {
    let [mut apart, mut size] = [0.0; 2];
    for (x, param) in point.iter().zip(&params.params) {
        let y = param.var.as_detached_tensor();
        apart += norm(&(x - &y)?)?.powi(2);
        size += norm(&y)?.powi(2);
    }
    Ok(Note { factor: None, quantity: Quantity::Distance, value: (apart / size).sqrt() })
}
