//! Inverters: from a damped factor to its inverse.
//!
//! An inverter sees one factor, its damping and last time's inverse, and keeps no state. All exact ones agree, which is a
//! property that the tests hold over the [`CATALOG`].

mod eigen;
mod exact;
mod newton;

use candle_core::{Result, Tensor};
pub use newton::iterate as newton_rounds;

use super::InverterConfig;
use crate::catalog::Entry;
use crate::linalg;

/// A factor to be inverted.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// Symmetric, not damped yet.
    pub factor: &'a Tensor,
    /// δ, to be added to the diagonal.
    pub damping: f64,
    /// The inverse of the last refresh.
    pub previous: Option<&'a Inverse>,
    /// This refresh's number, from 0.
    pub refresh: usize,
}

impl Problem<'_> {
    /// `A + δI`.
    fn damped(&self) -> Result<Tensor> {
        let identity = Tensor::eye(self.factor.dim(0)?, self.factor.dtype(), self.factor.device())?;
        self.factor + (identity * self.damping)?
    }
}

/// The inverse of a damped factor, in the form that the inverter found it.
#[derive(Debug, Clone)]
pub enum Inverse {
    Dense(Tensor),
    /// `Q diag(1/(values + δ)) Qᵀ`; eigenvectors in the columns of `vectors`.
    Eigen {
        vectors: Tensor,
        values: Tensor,
        damping: f64,
    },
}

impl Inverse {
    /// The inverse times `matrix`.
    pub fn apply(&self, matrix: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(inverse) => linalg::product(inverse, matrix),
            Self::Eigen { vectors, values, damping } => {
                let turned = linalg::product(&vectors.t()?, matrix)?;
                linalg::product(vectors, &turned.broadcast_div(&(values + *damping)?.unsqueeze(1)?)?)
            }
        }
    }

    /// `matrix` times the inverse, which is symmetric.
    pub fn apply_right(&self, matrix: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(inverse) => linalg::product(matrix, inverse),
            Self::Eigen { vectors, values, damping } => {
                let turned = linalg::product(matrix, vectors)?;
                linalg::product(&turned.broadcast_div(&(values + *damping)?)?, &vectors.t()?)
            }
        }
    }

    /// The inverse as a matrix.
    pub fn dense(&self) -> Result<Tensor> {
        match self {
            Self::Dense(inverse) => Ok(inverse.clone()),
            Self::Eigen { vectors, .. } => {
                self.apply(&Tensor::eye(vectors.dim(0)?, vectors.dtype(), vectors.device())?)
            }
        }
    }
}

/// Which way a refresh went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    Exact,
    /// All rounds were pure Newton.
    Newton,
    /// At least one round was damped, because the start was too far off.
    NewtonDamped,
}

/// A refreshed inverse.
#[derive(Debug)]
pub struct Refreshed {
    pub inverse: Inverse,
    pub branch: Branch,
}

/// A way to invert.
pub trait Inverter: Send {
    /// The inverse of `factor + δI`; `None` if there is none to be found in these numbers (NaN, or not positive definite).
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>>;
}

/// Every inverter there is.
pub const CATALOG: &[Entry] = &[
    Entry {
        name: "newton",
        help: "Newton's iteration from the last inverse (NKFAC): 2 products a round",
        example: r#"inverter = { kind = "newton", steps = 1, exact_until = 2, exact_every = 500 }"#,
    },
    Entry { name: "cholesky", help: "exact, by LLᵀ: n³ operations", example: r#"inverter = { kind = "cholesky" }"# },
    Entry { name: "lu", help: "exact, by LU: 2n³ operations", example: r#"inverter = { kind = "lu" }"# },
    Entry {
        name: "eigen",
        help: "exact, by eigendecomposition; allows joint damping: some ten times Cholesky's time",
        example: r#"inverter = { kind = "eigen", cutoff = 1e-10 }"#,
    },
];

/// The inverter that `config` names.
#[must_use]
pub fn inverter(config: InverterConfig) -> Box<dyn Inverter> {
    match config {
        InverterConfig::Newton { steps, exact_until, exact_every } => {
            Box::new(newton::Newton { steps, exact_until, exact_every })
        }
        InverterConfig::Cholesky {} => Box::new(exact::Cholesky),
        InverterConfig::Lu {} => Box::new(exact::Lu),
        InverterConfig::Eigen { cutoff } => Box::new(eigen::Eigen { cutoff }),
    }
}

impl InverterConfig {
    /// The name in the [`CATALOG`].
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Newton { .. } => "newton",
            Self::Cholesky {} => "cholesky",
            Self::Lu {} => "lu",
            Self::Eigen { .. } => "eigen",
        }
    }
}
