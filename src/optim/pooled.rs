//! Factors of few rows, one an example (KFAC-reduce, Eschenhagen et al. 2023; SKFAC, Tang et al. 2021): `A = RᵀR` with `R` of m×n.
//!
//! Input rows are averaged over the positions or tokens of an example and gradient rows added up there, so that the product is that of a
//! gradient by example. Our reading of SKFAC: both factors are of the current batch.

use candle_core::{Result, Tensor};

use super::Scale;
use crate::linalg;
use crate::param::Capture;

/// Rows whose products are `[A, G]`: `A = X̄ᵀX̄/N`, `G = M·D̄ᵀD̄` with M terms of the loss, under [`Scale::Frobenius`] each divided by its
/// norm.
pub fn scaled(capture: &Capture, scale: Scale) -> Result<[Option<Tensor>; 2]> {
    let (examples, terms) = (capture.samples as f64, (capture.samples * capture.terms) as f64);
    let inputs = capture.inputs.as_ref().map(|rows| rows / examples.sqrt()).transpose()?;
    let output_grads = capture.output_grads.as_ref().map(|rows| rows * terms.sqrt()).transpose()?;
    let rows = [inputs, output_grads];
    match scale {
        Scale::SpatialMean => Ok(rows),
        Scale::Frobenius => {
            let [inputs, output_grads] = rows.map(|rows| rows.map(|rows| normalised(&rows)).transpose());
            Ok([inputs?, output_grads?])
        }
    }
}

/// `R / √(‖RᵀR‖_F + 1e-12)`; `RRᵀ` has the same norm.
///
/// The product is taken of `R/‖R‖_F`, so that it need not fit.
fn normalised(rows: &Tensor) -> Result<Tensor> {
    let size = linalg::norm(rows)?;
    if size == 0.0 {
        return Ok(rows.clone());
    }
    let unit = linalg::scale(1.0 / size, rows)?;
    let product = if rows.dim(0)? < rows.dim(1)? { unit.matmul(&unit.t()?)? } else { unit.t()?.matmul(&unit)? };
    // `‖RᵀR‖_F = s²·‖UᵀU‖_F` with `R = sU`.
    linalg::scale((linalg::norm(&product)? + 1e-12 / size.powi(2)).sqrt().recip(), &unit)
}
