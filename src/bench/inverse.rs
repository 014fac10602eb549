//! The time of one inverse, by size and inverter.

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use serde::Serialize;

use super::median;
use crate::optim::InverterConfig;
use crate::optim::invert::{Curvature, Inverse, Problem, inverter};
use crate::random::Random;

/// One inverter at one size.
#[derive(Debug, Clone, Serialize)]
pub struct InverseRow {
    /// The order of the matrix.
    pub n: usize,
    /// As it was asked for.
    pub inverter: String,
    /// The median; `None` if there was no inverse to be found.
    pub seconds: Option<f64>,
    /// 2n³ operations, an inverse by the textbook, over the seconds: comparable between inverters, whatever each of them does.
    pub gflops: Option<f64>,
    /// ‖I − B(A + δI)‖_F / √n of the inverse B that was found.
    pub residual: Option<f64>,
}

/// Inverts a factor such as NKFAC's, `A/‖A‖_F` of random second moments plus 10⁻³, `repeats` times.
///
/// What starts from the last inverse starts from that of a factor which is 2 % away.
///
/// # Errors
/// Those of candle.
pub fn inverse(n: usize, name: &str, config: InverterConfig, repeats: usize, device: &Device) -> Result<InverseRow> {
    const DAMPING: f64 = 1e-3;
    let first = factor(n, 0, device)?;
    let drifted = ((&first * 0.98)? + (factor(n, 1, device)? * 0.02)?)?;
    let chosen = inverter(config);
    let exact = inverter(InverterConfig::Cholesky {});
    let problem =
        |factor, previous, refresh| Problem { factor: Curvature::Matrix(factor), damping: DAMPING, previous, refresh };
    let Some(start) = exact.invert(&problem(&first, None, 0))? else {
        candle_core::bail!("a random factor of order {n} is not positive definite")
    };
    let mut seconds = Vec::with_capacity(repeats);
    let mut found: Option<Inverse> = None;
    // A refresh that no inverter takes for one of its first or regular exact ones.
    let refresh = 1_000_003;
    for repeat in 0..=repeats {
        let clock = Instant::now();
        let refreshed = chosen.invert(&problem(&drifted, Some(&start.inverse), refresh))?;
        device.synchronize()?;
        if repeat > 0 {
            seconds.push(clock.elapsed().as_secs_f64());
        }
        found = refreshed.map(|refreshed| refreshed.inverse);
    }
    let identity = Tensor::eye(n, DType::F32, device)?;
    let damped = (&drifted + (&identity * DAMPING)?)?;
    let residual = |inverse: &Inverse| -> Result<f64> {
        let off = (&identity - inverse.apply(&damped)?)?.sqr()?.sum_all()?.sqrt()?;
        Ok(f64::from(off.to_scalar::<f32>()?) / (n as f64).sqrt())
    };
    let seconds = found.is_some().then(|| median(seconds));
    Ok(InverseRow {
        n,
        inverter: name.to_owned(),
        seconds,
        gflops: seconds.map(|seconds| 2.0 * (n as f64).powi(3) / seconds / 1e9),
        residual: found.as_ref().map(residual).transpose()?,
    })
}

/// `XᵀX` of `2n` normal rows, over its Frobenius norm.
fn factor(n: usize, which: u64, device: &Device) -> Result<Tensor> {
    let mut random = Random::new(which, "bench/factor");
    let values: Vec<f32> = (0..2 * n * n).map(|_| random.normal() as f32).collect();
    let gram = Tensor::from_vec(crate::kernel::gram::rows(&values, n), (n, n), device)?;
    let norm = gram.sqr()?.sum_all()?.sqrt()?;
    gram.broadcast_div(&norm)
}
