//! Inverters: from a damped factor to its inverse.
//!
//! An inverter sees one factor, its damping and last time's inverse, and keeps no state. All exact ones agree, which is a
//! property that the tests hold over the [`CATALOG`].

mod inverse;
mod problem;

mod iteration;

mod cholesky;
mod diagonal;
mod eigen;
mod hyperpower;
mod identity;
mod lu;
mod newton;
mod optimal;
mod pure;
mod scaled;
mod woodbury;

use candle_core::{Result, Tensor};

use cholesky::Cholesky;
use eigen::Eigen;
pub use inverse::Inverse;
pub use newton::newton_rounds;
pub use problem::{Curvature, Problem};

use super::InverterConfig;
use crate::catalog::Entry;
use crate::linalg;

/// Which way a refresh went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    Exact,
    /// All rounds were those of the iteration that was asked for.
    Newton,
    /// At least one round was damped, because the start was too far off.
    NewtonDamped,
    /// What was asked for failed or went astray, and another way was taken.
    Fallback,
    /// No inverse was asked for: a control.
    Approximate,
}

impl Branch {
    /// Every branch, in the order of its number in records.
    pub const ALL: [Self; 5] = [Self::Exact, Self::Newton, Self::NewtonDamped, Self::Fallback, Self::Approximate];
}

/// A refreshed inverse.
#[derive(Debug)]
pub struct Refreshed {
    pub inverse: Inverse,
    pub branch: Branch,
}

impl Refreshed {
    fn fallen_back(self) -> Self {
        Self { branch: Branch::Fallback, ..self }
    }
}

/// The exact inverse in place of one that went astray.
fn fallback(problem: &Problem<'_>) -> Result<Option<Refreshed>> {
    Ok(Cholesky.invert(problem)?.map(Refreshed::fallen_back))
}

/// `‖I − ÃB‖_F/√n` of a damped factor and what should be its inverse: 0 for the inverse, 1 for zero.
pub fn residual(factor: &Tensor, inverse: &Tensor) -> Result<f64> {
    let off = linalg::distance_to_identity(&linalg::product(factor, inverse)?)?;
    Ok(off / (factor.dim(0)? as f64).sqrt())
}

/// A way to invert.
pub trait Inverter: Send {
    /// The inverse of `factor + δI`; `None` if there is none to be found in these numbers (NaN).
    fn invert(&self, problem: &Problem<'_>) -> Result<Option<Refreshed>>;
}

/// Every inverter there is.
pub const CATALOG: &[Entry] = &[
    Entry {
        name: "newton",
        help: "Newton's iteration from the last inverse (NKFAC): 2 products a round",
        example: r#"inverter = { kind = "newton", steps = 1, exact_until = 2, exact_every = 500 }"#,
    },
    Entry {
        name: "newton-pure",
        help: "Newton's iteration without damping, from last time's inverse or from I/λ_max: 2 products a round",
        example: r#"inverter = { kind = "newton-pure", steps = 1 }"#,
    },
    Entry {
        name: "newton-optimal",
        help: "Newton's iteration with the step that leaves the least residual (the paper's supplement): 3 products a round",
        example: r#"inverter = { kind = "newton-optimal", steps = 1 }"#,
    },
    Entry {
        name: "newton-scaled",
        help: "Newton's iteration scaled by the damping's bounds, from I/λ_max each time: 2 products a round",
        example: r#"inverter = { kind = "newton-scaled", steps = 8 }"#,
    },
    Entry {
        name: "hyperpower",
        help: "the iteration of order p, from last time's inverse or from I/λ_max: p products a round",
        example: r#"inverter = { kind = "hyperpower", steps = 1, order = 3 }"#,
    },
    Entry { name: "cholesky", help: "exact, by LLᵀ: n³ operations", example: r#"inverter = { kind = "cholesky" }"# },
    Entry { name: "lu", help: "exact, by LU: 2n³ operations", example: r#"inverter = { kind = "lu" }"# },
    Entry {
        name: "eigen",
        help: "exact, by eigendecomposition; allows joint damping: some ten times Cholesky's time",
        example: r#"inverter = { kind = "eigen", cutoff = 1e-10 }"#,
    },
    Entry {
        name: "woodbury",
        help: "exact, through the Gram matrix of a batch's pooled rows, as the preset skfac keeps them: n·m² operations",
        example: r#"inverter = { kind = "woodbury" }"#,
    },
    Entry {
        name: "diagonal",
        help: "a control: the inverse of the diagonal",
        example: r#"inverter = { kind = "diagonal" }"#,
    },
    Entry { name: "identity", help: "a control: no inverse", example: r#"inverter = { kind = "identity" }"# },
];

/// The inverter that `config` names.
#[must_use]
pub fn inverter(config: InverterConfig) -> Box<dyn Inverter> {
    match config {
        InverterConfig::Newton { steps, exact_until, exact_every, precision } => {
            Box::new(newton::Newton { steps, exact_until, exact_every, precision })
        }
        InverterConfig::NewtonPure { steps, precision } => Box::new(pure::NewtonPure { steps, precision }),
        InverterConfig::NewtonOptimal { steps, precision } => Box::new(optimal::NewtonOptimal { steps, precision }),
        InverterConfig::NewtonScaled { steps } => Box::new(scaled::NewtonScaled { steps }),
        InverterConfig::Hyperpower { steps, order } => Box::new(hyperpower::Hyperpower { steps, order }),
        InverterConfig::Cholesky {} => Box::new(Cholesky),
        InverterConfig::Lu {} => Box::new(lu::Lu),
        InverterConfig::Eigen { cutoff } => Box::new(Eigen { cutoff }),
        InverterConfig::Woodbury {} => Box::new(woodbury::Woodbury),
        InverterConfig::Diagonal {} => Box::new(diagonal::Diagonal),
        InverterConfig::Identity {} => Box::new(identity::Identity),
    }
}

impl InverterConfig {
    /// The name in the [`CATALOG`].
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Newton { .. } => "newton",
            Self::NewtonPure { .. } => "newton-pure",
            Self::NewtonOptimal { .. } => "newton-optimal",
            Self::NewtonScaled { .. } => "newton-scaled",
            Self::Hyperpower { .. } => "hyperpower",
            Self::Cholesky {} => "cholesky",
            Self::Lu {} => "lu",
            Self::Eigen { .. } => "eigen",
            Self::Woodbury {} => "woodbury",
            Self::Diagonal {} => "diagonal",
            Self::Identity {} => "identity",
        }
    }
}
