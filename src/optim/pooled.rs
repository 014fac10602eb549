//! Factors of few rows, one an image (SKFAC, Tang et al. 2021): `A = RᵀR` with `R` of m×n.
//!
//! Our reading: both factors are of the current batch, a convolution's input rows are averaged over the image's positions and its gradient
//! rows added up there, so that the product is that of a per-image gradient.

use candle_core::{DType, Result, Tensor};

use super::Scale;
use crate::linalg;
use crate::param::Capture;

/// Rows of two captures, one below the other.
pub fn add(sum: &Capture, more: &Capture) -> Result<Capture> {
    let output_grads = Tensor::cat(&[&sum.output_grads, &more.output_grads], 0)?;
    let (inputs, samples) = match (&sum.inputs, &more.inputs) {
        (Some(a), Some(b)) => (Some(Tensor::cat(&[a, b], 0)?), sum.samples + more.samples),
        (known, None) | (None, known) => (known.clone(), sum.samples),
    };
    Ok(Capture { inputs, output_grads, samples, ..*sum })
}

/// Rows whose products are `[A, G]`: `A = X̄ᵀX̄/N`, `G = N·D̄ᵀD̄`, under [`Scale::Frobenius`] each divided by its norm.
pub fn scaled(capture: &Capture, scale: Scale) -> Result<[Option<Tensor>; 2]> {
    let root = (capture.samples as f64).sqrt();
    let rows = [capture.inputs.as_ref().map(|rows| rows / root).transpose()?, Some((&capture.output_grads * root)?)];
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
    let unit = (rows.to_dtype(DType::F64)? / size)?.to_dtype(rows.dtype())?;
    let product = if rows.dim(0)? < rows.dim(1)? { unit.matmul(&unit.t()?)? } else { unit.t()?.matmul(&unit)? };
    // `‖RᵀR‖_F = s²·‖UᵀU‖_F` with `R = sU`.
    unit * (linalg::norm(&product)? + 1e-12 / size.powi(2)).sqrt().recip()
}
