//! Products, norms and Newton's rounds.

use candle_core::{DType, Device, Result, Tensor};

use super::slices::{Real, by_type, read};
use crate::kernel::newton::{self, Products};
use crate::kernel::product::Matrix;
use crate::kernel::{bf16, matrix, newton_schulz};

/// `a · b`.
pub fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    fn by<T: Real>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let ((rows, inner), columns) = (a.dims2()?, b.dim(1)?);
        let (turned_a, turned_b) = (is_transposed(a)?, is_transposed(b)?);
        let (a, b) = (if turned_a { &a.t()? } else { a }, if turned_b { &b.t()? } else { b });
        let out = read(&[a, b], |slices: &[&[T]]| {
            matrix::product(view(slices[0], rows, inner, turned_a), view(slices[1], inner, columns, turned_b))
        })?;
        Tensor::from_vec(out, (rows, columns), a.device())
    }
    if a.dim(1)? != b.dim(0)? {
        return a.matmul(b);
    }
    by_type!(&[a, b], by::<f32>(a, b), by::<f64>(a, b), a.matmul(b))
}

/// A matrix, given by its numbers or by those of its transpose.
fn view<T>(values: &[T], rows: usize, columns: usize, transposed: bool) -> Matrix<'_, T> {
    if transposed { Matrix::new(values, columns, rows).transposed() } else { Matrix::new(values, rows, columns) }
}

/// Whether a matrix is another one's transpose, so that its numbers need not be moved.
fn is_transposed(matrix: &Tensor) -> Result<bool> {
    Ok(!matrix.is_contiguous() && matrix.t()?.is_contiguous())
}

/// `matrix · v`, `v` a vector.
pub fn times_vector(matrix: &Tensor, v: &Tensor) -> Result<Tensor> {
    fn by<T: Real>(matrix: &Tensor, v: &Tensor) -> Result<Tensor> {
        let out = read(&[matrix, v], |slices| matrix::times_vector::<T>(slices[0], slices[1]))?;
        Tensor::from_vec(out, v.dim(0)?, v.device())
    }
    by_type!(&[matrix, v], by::<f32>(matrix, v), by::<f64>(matrix, v), matrix.matmul(&v.unsqueeze(1)?)?.squeeze(1))
}

/// The Frobenius norm. Squares are taken in float64, where those of every float32 have room.
pub fn norm(tensor: &Tensor) -> Result<f64> {
    by_type!(
        &[tensor],
        read(&[tensor], |slices| matrix::norm::<f32>(slices[0])),
        read(&[tensor], |slices| matrix::norm::<f64>(slices[0])),
        to_f64(&tensor.to_dtype(DType::F64)?.sqr()?.sum_all()?.sqrt()?)
    )
}

/// `⟨a, b⟩`, with products taken in float64.
pub fn inner(a: &Tensor, b: &Tensor) -> Result<f64> {
    by_type!(
        &[a, b],
        read(&[a, b], |slices| matrix::inner::<f32>(slices[0], slices[1])),
        read(&[a, b], |slices| matrix::inner::<f64>(slices[0], slices[1])),
        to_f64(&(a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?)
    )
}

/// `‖I − P‖_F` of a square matrix, with squares taken in float64.
pub fn distance_to_identity(product: &Tensor) -> Result<f64> {
    let order = product.dim(0)?;
    by_type!(
        &[product],
        read(&[product], |slices| matrix::distance::<f32>(slices[0], order, 1.0)),
        read(&[product], |slices| matrix::distance::<f64>(slices[0], order, 1.0)),
        norm(&(Tensor::eye(order, DType::F64, product.device())? - product.to_dtype(DType::F64)?)?)
    )
}

/// One round of Newton's iteration.
#[derive(Debug)]
pub struct Round {
    pub inverse: Tensor,
    /// `‖I − B(A + δI)‖_F` of the inverse that the round started from.
    pub residual: f64,
    /// Whether it was damped, because the residual was 1 or more.
    pub damped: bool,
}

/// With `P = B(A + δI)` and the symmetric `B` of last time: `B ← (2I − P)B`, or `B ← ((1+s)I − sP)B` with `s = 1/‖P‖_F` where
/// `‖I − P‖_F ≥ 1`. `None` if a number ceases to be finite.
pub fn newton_round(precision: Products, factor: &Tensor, damping: f64, inverse: &Tensor) -> Result<Option<Round>> {
    fn by<T: Real>(precision: Products, factor: &Tensor, damping: f64, inverse: &Tensor) -> Result<Option<Round>> {
        let order = factor.dim(0)?;
        let round =
            read(&[factor, inverse], |slices| newton::round::<T>(precision, slices[0], damping, slices[1], order))?;
        round
            .map(|newton::Round { inverse, residual, damped }| {
                Ok(Round { inverse: Tensor::from_vec(inverse, (order, order), factor.device())?, residual, damped })
            })
            .transpose()
    }
    by_type!(
        &[factor, inverse],
        by::<f32>(precision, factor, damping, inverse),
        by::<f64>(precision, factor, damping, inverse),
        portable_round(precision, factor, damping, inverse)
    )
}

fn portable_round(precision: Products, factor: &Tensor, damping: f64, inverse: &Tensor) -> Result<Option<Round>> {
    let product = (rounded(precision, inverse)?.matmul(&rounded(precision, factor)?)? + (inverse * damping)?)?;
    let residual = distance_to_identity(&product)?;
    if !residual.is_finite() {
        return Ok(None);
    }
    let damped = residual >= 1.0;
    let shrink = if damped { 1.0 / norm(&product)? } else { 1.0 };
    let off = (Tensor::eye(product.dim(0)?, product.dtype(), product.device())? - product)?;
    let step = rounded(precision, &off)?.matmul(&rounded(precision, inverse)?)?;
    let inverse = (inverse + (step * shrink)?)?;
    Ok(norm(&inverse)?.is_finite().then_some(Round { inverse, residual, damped }))
}

/// As products of this precision see it.
fn rounded(precision: Products, x: &Tensor) -> Result<Tensor> {
    match precision {
        Products::Full => Ok(x.clone()),
        Products::Bf16 => x.to_dtype(DType::F32)?.to_dtype(DType::BF16)?.to_dtype(x.dtype()),
    }
}

/// `a · b` of square matrices in a precision.
pub fn square_product(precision: Products, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    fn by<T: Real>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let order = a.dim(0)?;
        let out = read(&[a, b], |slices| bf16::product::<T>(slices[0], slices[1], order, bf16::Part::All))?;
        Tensor::from_vec(out, (order, order), a.device())
    }
    if precision == Products::Full {
        return product(a, b);
    }
    let slowly = || rounded(precision, a)?.matmul(&rounded(precision, b)?);
    by_type!(&[a, b], by::<f32>(a, b), by::<f64>(a, b), slowly())
}

/// Rounds of the Newton–Schulz iteration with these coefficients in bfloat16, sum by sum as torch.optim takes them, of a matrix that PyTorch
/// keeps as its transpose. The work is done on the CPU.
pub fn newton_schulz(matrix: &Tensor, rounds: usize, coefficients: [f64; 3]) -> Result<Tensor> {
    let (rows, columns) = matrix.dims2()?;
    let is_wide = rows < columns;
    let wide = if is_wide { matrix.clone() } else { matrix.t()? }
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F32)?
        .contiguous()?;
    let iterate =
        |slices: &[&[f32]]| newton_schulz::iterate(slices[0], rows.min(columns), rounds, is_wide, coefficients);
    let x = read(&[&wide], iterate)?;
    let x = Tensor::from_vec(x, wide.shape(), matrix.device())?.to_dtype(matrix.dtype())?;
    if is_wide { Ok(x) } else { x.t()?.contiguous() }
}

fn to_f64(scalar: &Tensor) -> Result<f64> {
    scalar.to_dtype(DType::F64)?.to_scalar()
}

#[cfg(test)]
mod tests {
    use super::{Products, newton_round, norm, portable_round, product};
    use candle_core::{Device, Result, Tensor};
    use proptest::prelude::*;

    /// Numbers without a pattern, the same every time.
    fn random(rows: usize, columns: usize) -> Tensor {
        let values: Vec<f64> =
            (0..rows * columns).map(|i| 2.0 * (i as f64 * 1.7 + (i * i) as f64 * 0.37).sin()).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    fn off(a: &Tensor, b: &Tensor) -> Result<f64> {
        Ok(norm(&(a - b)?)? / norm(b)?)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Near the inverse, where the round is pure, and far from it, where it is damped; in both precisions.
        #[test]
        fn a_round_agrees_with_candle_operations(
            order in 1usize..90, start in prop_oneof![Just(0.02), Just(3.0)],
            precision in prop_oneof![Just(Products::Full), Just(Products::Bf16)],
        ) {
            let x = random(order, order);
            let gram = (product(&x, &x.t().unwrap()).unwrap() / order as f64).unwrap();
            let identity = Tensor::eye(order, gram.dtype(), gram.device()).unwrap();
            let factor = ((gram * 0.01).unwrap() + &identity).unwrap();
            let inverse = (identity * (1.0 + start)).unwrap();
            let ours = newton_round(precision, &factor, 0.01, &inverse).unwrap().unwrap();
            let theirs = portable_round(precision, &factor, 0.01, &inverse).unwrap().unwrap();
            prop_assert_eq!(ours.damped, theirs.damped);
            prop_assert_eq!(ours.damped, start > 1.0);
            prop_assert!((ours.residual - theirs.residual).abs() < 1e-10 * theirs.residual);
            prop_assert!(off(&ours.inverse, &theirs.inverse).unwrap() < 1e-12);
            // Control: another damping gives another inverse.
            let other = newton_round(precision, &factor, 0.5, &inverse).unwrap().unwrap();
            prop_assert!(off(&other.inverse, &theirs.inverse).unwrap() > 1e-4);
        }

        #[test]
        fn norms_agree_with_candle_operations(rows in 1usize..300, columns in 1usize..300) {
            let x = random(rows, columns);
            let theirs: f64 = x.sqr().unwrap().sum_all().unwrap().sqrt().unwrap().to_scalar().unwrap();
            prop_assert!((norm(&x).unwrap() - theirs).abs() < 1e-10 * theirs);
        }
    }
}
