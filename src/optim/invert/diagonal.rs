//! The inverse of the damped factor's diagonal: a control that keeps each coordinate's scale and no more.

use candle_core::{DType, Result, Tensor};

use super::{Branch, Inverse, Inverter, Problem, Refreshed};

/// `1/(A_ii + δ)`, if all of it are numbers above 0 of the factor's type.
pub struct Diagonal;

impl Inverter for Diagonal {
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>> {
        let diagonal = (problem.factor.diagonal()? + problem.damping)?;
        let like = problem.factor.tensor();
        let [damped, inverse] = [diagonal.clone(), diagonal.recip()?].map(|values| values.to_dtype(like.dtype()));
        let (damped, inverse) = (damped?, inverse?);
        // Beyond the type's range 1/∞ = 0 would still a coordinate, and nobody would know.
        let has_one = numbers(&damped)?.chain(numbers(&inverse)?).all(|value| value > 0.0 && value.is_finite());
        Ok(has_one.then_some(Refreshed { inverse: Inverse::Diagonal(inverse), branch: Branch::Approximate }))
    }
}

fn numbers(vector: &Tensor) -> Result<impl Iterator<Item = f64>> {
    Ok(vector.to_dtype(DType::F64)?.to_vec1::<f64>()?.into_iter())
}
