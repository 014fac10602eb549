//! What an optimizer is made of, as an experiment file spells it: every axis a key, every value written out in the presets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An optimizer: an optional preconditioner, and the rule that turns its result into a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The largest norm of all gradients together; a longer one is shortened to it before anything else.
    #[serde(default)]
    pub clip_norm: Option<f64>,
    #[serde(default)]
    pub precondition: Option<Precondition>,
    pub update: Update,
}

/// How gradients are preconditioned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Precondition {
    /// `V = G⁻¹ ∇ A⁻¹` by layer.
    Kfac(KfacConfig),
    /// `V = L^{-1/4} ∇ R^{-1/4}` by layer.
    Shampoo(ShampooConfig),
}

/// The independent axes of KFAC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KfacConfig {
    /// Steps between statistics (`T_stat`, `TCov`).
    pub factor_every: usize,
    /// Steps between refreshes of the inverses (`T_inv`).
    pub inverse_every: usize,
    #[serde(default)]
    pub fisher: Fisher,
    pub moments: MomentsConfig,
    pub damping: Damping,
    pub inverter: InverterConfig,
    #[serde(default)]
    pub eigenvalues: Eigenvalues,
    pub rescale: Rescale,
}

/// What the gradient is divided by in the eigenbasis of both factors; for joint damping.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Eigenvalues {
    /// Products of the factors' eigenvalues, `g aᵀ`.
    #[default]
    Products,
    /// A moving average of the gradient's own squares there, N times those of a batch of N, which starts from the products at every
    /// refresh (EKFAC-ra, George et al. 2018).
    Corrected { decay: f64 },
}

/// Shampoo (Gupta et al. 2018), with the roots of Anil et al. 2020.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShampooConfig {
    /// Steps between statistics.
    pub factor_every: usize,
    /// Steps between roots.
    pub root_every: usize,
    /// α of the moving average `L ← αL + (1 − α)∇∇ᵀ`; with 1 the statistics add up, as in the paper.
    pub decay: f64,
    pub damping: Damping,
    pub rescale: Rescale,
}

/// Whose gradients the output factor `G` is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fisher {
    /// The batch's own labels; costs nothing.
    #[default]
    Empirical,
    /// Labels drawn from the net's softmax; a second backward pass.
    Sampled,
    /// The expectation over all labels; one more backward pass a class.
    Exact,
}

/// How second moments become factors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MomentsConfig {
    pub scale: Scale,
    #[serde(default)]
    pub rows: Rows,
    /// α of the moving average `Ā ← αĀ + (1 − α)A`.
    pub decay: f64,
    pub start: Start,
}

/// What the rows of X and D are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rows {
    /// One for each position of a convolution.
    #[default]
    All,
    /// One for each image: inputs averaged over positions, gradients added up (SKFAC). With a decay of 0 they are kept as they are, and
    /// the factor is the product of the last batch's rows.
    Pooled,
}

impl MomentsConfig {
    /// Whether a factor is kept as rows, m×n, in place of a matrix.
    #[must_use]
    pub fn keeps_rows(&self) -> bool {
        self.rows == Rows::Pooled && self.decay == 0.0
    }
}

/// Scaling of `XᵀX` and `DᵀD` on a batch of N samples with S positions each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// `XᵀX / (N·S)` and `DᵀD`, each divided by its Frobenius norm (NKFAC).
    Frobenius,
    /// `XᵀX / (N·S²)` and `DᵀD · N·S` (KFAC after Grosse & Martens 2016 as in alecwangcq/KFAC-Pytorch).
    SpatialMean,
}

/// Where the moving average starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    Zero,
    Identity,
}

/// What is added to a factor before it is inverted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Damping {
    /// `δ = max(floor, factor · λ_max)`.
    Relative { factor: f64, floor: f64 },
    /// The same for every factor.
    Absolute { value: f64 },
    /// Added to the products of eigenvalues, `a·g + value`, where both factors meet; for the `eigen` inverter.
    Joint { value: f64 },
}

/// How a damped factor is inverted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum InverterConfig {
    /// Newton's iteration from the last inverse.
    Newton {
        /// Rounds a refresh, K.
        #[serde(default = "one")]
        steps: usize,
        /// Refreshes, counted from 0, up to and including which the inverse is exact.
        #[serde(default = "two")]
        exact_until: usize,
        /// Every so many refreshes the inverse is exact again.
        #[serde(default = "five_hundred")]
        exact_every: usize,
    },
    /// Newton's iteration without damping.
    NewtonPure {
        /// Rounds a refresh, once there is an inverse to start from.
        #[serde(default = "one")]
        steps: usize,
    },
    /// Newton's iteration with the step that leaves the least residual.
    NewtonOptimal {
        /// Rounds a refresh, once there is an inverse to start from.
        #[serde(default = "one")]
        steps: usize,
    },
    /// Newton's iteration scaled by bounds on the eigenvalues.
    NewtonScaled {
        /// Rounds a refresh.
        #[serde(default = "eight")]
        steps: usize,
    },
    /// The iteration of order p.
    Hyperpower {
        /// Rounds a refresh, once there is an inverse to start from.
        #[serde(default = "one")]
        steps: usize,
        /// p.
        #[serde(default = "three")]
        order: usize,
    },
    /// By `LLᵀ`.
    Cholesky {},
    /// By `LU` with partial pivoting.
    Lu {},
    /// By eigendecomposition.
    Eigen {
        /// Eigenvalues up to this become zero.
        #[serde(default)]
        cutoff: f64,
    },
    /// Through the Gram matrix of a batch's pooled rows.
    Woodbury {},
    /// The diagonal alone.
    Diagonal {},
    /// None.
    Identity {},
}

const fn one() -> usize {
    1
}

const fn two() -> usize {
    2
}

const fn three() -> usize {
    3
}

const fn eight() -> usize {
    8
}

const fn five_hundred() -> usize {
    500
}

/// What brings the length of the preconditioned gradient back into bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rescale {
    None,
    /// Each layer to the norm of its gradient: `V·‖∇‖/(‖V‖ + 1e-12)`.
    GradientNorm,
    /// All layers by `ν = min(1, √(limit / Σ lr²⟨V, ∇⟩))`.
    KlClip {
        limit: f64,
    },
}

/// How a (preconditioned) gradient becomes a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Update {
    /// Heavy-ball momentum without dampening, weight decay added to the gradient.
    Sgd {
        #[serde(default)]
        momentum: f64,
        #[serde(default)]
        nesterov: bool,
        #[serde(default)]
        weight_decay: f64,
        /// The first step with weight decay.
        #[serde(default)]
        decay_from: usize,
    },
    /// Adam with decoupled weight decay.
    Adam {
        #[serde(default = "adam_betas")]
        betas: [f64; 2],
        #[serde(default = "adam_eps")]
        eps: f64,
        #[serde(default)]
        weight_decay: f64,
        #[serde(default)]
        decay: Decay,
    },
    /// Rectified Adam (Liu et al. 2020) with decoupled weight decay.
    Radam {
        #[serde(default = "adam_betas")]
        betas: [f64; 2],
        #[serde(default = "adam_eps")]
        eps: f64,
        #[serde(default)]
        weight_decay: f64,
    },
    /// AdaBelief (Zhuang et al. 2020) with decoupled weight decay.
    Adabelief {
        #[serde(default = "adam_betas")]
        betas: [f64; 2],
        #[serde(default = "adam_eps")]
        eps: f64,
        #[serde(default)]
        weight_decay: f64,
    },
    /// Muon (Jordan et al. 2024) for the weights of linear and convolution layers, Adam for all else; decoupled weight decay.
    Muon {
        momentum: f64,
        nesterov: bool,
        /// Rounds of the Newton–Schulz iteration.
        rounds: usize,
        /// Adam's learning rate is this times `lr`.
        adam_ratio: f64,
        betas: [f64; 2],
        eps: f64,
        weight_decay: f64,
    },
}

const fn adam_betas() -> [f64; 2] {
    [0.9, 0.999]
}

const fn adam_eps() -> f64 {
    1e-8
}

/// What Adam's weight decay is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// `lr` alone (AdamW, Loshchilov & Hutter 2019; PyTorch).
    #[default]
    Decoupled,
    /// `lr/(1 − β₁ᵗ)`, inside the bracket with the first moment's bias correction (AdaNKFAC).
    BiasCorrected,
}
