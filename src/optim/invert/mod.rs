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
use crate::state::State;

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
            Self::Dense(inverse) => inverse.matmul(matrix),
            Self::Eigen { vectors, values, damping } => {
                let turned = vectors.t()?.matmul(matrix)?;
                vectors.matmul(&turned.broadcast_div(&(values + *damping)?.unsqueeze(1)?)?)
            }
        }
    }

    /// The same in memory in the order of its rows, so that one read from a checkpoint is multiplied by the same path, to the same bits.
    pub(super) fn contiguous(&self) -> Result<Self> {
        Ok(match self {
            Self::Dense(inverse) => Self::Dense(inverse.contiguous()?),
            Self::Eigen { vectors, values, damping } => {
                Self::Eigen { vectors: vectors.contiguous()?, values: values.contiguous()?, damping: *damping }
            }
        })
    }

    /// For checkpoints.
    pub(super) fn state(&self) -> State {
        let mut state = State::new();
        match self {
            Self::Dense(inverse) => state.put("dense", inverse),
            Self::Eigen { vectors, values, damping } => {
                state.put("vectors", vectors);
                state.put("values", values);
                state.put_number("damping", *damping);
            }
        }
        state
    }

    /// What [`Inverse::state`] gave away; nothing if there was no inverse.
    pub(super) fn load(mut state: State) -> Result<Option<Self>> {
        let inverse = match (state.take("dense"), state.take("vectors"), state.take("values")) {
            (None, None, None) => None,
            (Some(inverse), None, None) => Some(Self::Dense(inverse)),
            (None, Some(vectors), Some(values)) => {
                Some(Self::Eigen { vectors, values, damping: state.take_number("damping")? })
            }
            _ => candle_core::bail!("an inverse is incomplete"),
        };
        state.finish()?;
        Ok(inverse)
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
