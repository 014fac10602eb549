//! What an optimizer is made of, as an experiment file spells it: every axis a key, every value written out in the presets.

mod update;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::linalg::Products;

pub use update::{Decay, Matrices, Precision, Scaling, Update};

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
    /// Only where the update goes against the gradient, and there by as much more (Liang et al. 2024).
    #[serde(default)]
    pub cautious: bool,
    /// The net is evaluated and saved at a moving average of its weights.
    #[serde(default)]
    pub average: Option<AverageConfig>,
    /// Parameters with a learning rate or a decay of their own; each belongs to the first group that takes it.
    #[serde(default)]
    pub groups: Vec<Group>,
}

/// A moving average of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AverageConfig {
    /// What is kept of it in a step, `min(decay, (1 + t)/(10 + t))`.
    pub decay: f64,
}

/// Some of the parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What they are; anything if absent.
    #[serde(default)]
    pub of: Vec<Kind>,
    /// What they are called, with `*` for anything: `h.*.attn.*`; any name if absent.
    #[serde(default)]
    pub names: Vec<String>,
    /// The learning rate is multiplied by this.
    #[serde(default = "unchanged")]
    pub lr: f64,
    /// The weight decay is multiplied by this.
    #[serde(default = "unchanged")]
    pub decay: f64,
}

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Of a linear or convolution layer.
    Weights,
    Biases,
    /// Scales and shifts of normalisation.
    Norms,
    /// Of tokens and positions.
    Embeddings,
}

const fn unchanged() -> f64 {
    1.0
}

/// How gradients are preconditioned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Precondition {
    /// `V = G⁻¹ ∇ A⁻¹` by layer.
    Kfac(KfacConfig),
    /// `V = L^{-1/p} ∇ R^{-1/p}` by layer.
    Shampoo(ShampooConfig),
}

/// The independent axes of KFAC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KfacConfig {
    /// Steps between statistics (`T_stat`, `TCov`).
    pub factor_every: usize,
    /// Which factors stand beside the gradient.
    #[serde(default)]
    pub sides: Sides,
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

/// Which of a layer's two factors are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    #[default]
    Both,
    /// That of the inputs, A, alone (FOOF, Benzing 2022).
    Inputs,
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
    /// p of the inverse roots `L^{-1/p}` and `R^{-1/p}`, 4 or 2.
    #[serde(default = "four")]
    pub root: usize,
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
    /// The expectation over all labels; one more backward pass per class.
    Exact,
}

/// How second moments become factors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MomentsConfig {
    pub scale: Scale,
    #[serde(default, alias = "rows")]
    pub sharing: Sharing,
    /// α of the moving average `Ā ← αĀ + (1 − α)A`.
    pub decay: f64,
    pub start: Start,
}

/// What the rows of X and D are where an example uses a weight more than once: at every position of a convolution, for every token
/// (Eschenhagen et al. 2023).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// One for each use.
    #[default]
    #[serde(alias = "all")]
    Expand,
    /// One for each example: inputs averaged over its uses, gradients added up. With a decay of 0 they are kept as they are, and the factor
    /// is the product of the last batch's rows (SKFAC).
    #[serde(alias = "pooled")]
    Reduce,
}

impl MomentsConfig {
    /// Whether a factor is kept as rows, m×n, in place of a matrix.
    #[must_use]
    pub fn keeps_rows(&self) -> bool {
        self.sharing == Sharing::Reduce && self.decay == 0.0
    }
}

/// Scaling of `XᵀX` and `DᵀD` on a batch of N samples with S positions each; the rows of a linear layer are samples. Where the sharing is
/// `reduce` there is a row an example: S is 1, and N the number of the loss's terms in `DᵀD · N`.
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
        /// What products are computed in: `full`, the net's own type, or `bf16`, inputs rounded to bfloat16 and sums in float32.
        #[serde(default, skip_serializing_if = "is_full")]
        precision: Products,
    },
    /// Newton's iteration without damping.
    NewtonPure {
        /// Rounds a refresh, once there is an inverse to start from.
        #[serde(default = "one")]
        steps: usize,
        /// What products are computed in: `full`, the net's own type, or `bf16`, inputs rounded to bfloat16 and sums in float32.
        #[serde(default, skip_serializing_if = "is_full")]
        precision: Products,
    },
    /// Newton's iteration with the step that leaves the least residual.
    NewtonOptimal {
        /// Rounds a refresh, once there is an inverse to start from.
        #[serde(default = "one")]
        steps: usize,
        /// What products are computed in: `full`, the net's own type, or `bf16`, inputs rounded to bfloat16 and sums in float32.
        #[serde(default, skip_serializing_if = "is_full")]
        precision: Products,
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

fn is_full(precision: &Products) -> bool {
    *precision == Products::Full
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

const fn four() -> usize {
    4
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
    /// Each layer to the norm of the step that Adam would take of its gradient (grafting, Agarwal et al. 2020).
    Adam {
        betas: [f64; 2],
        eps: f64,
    },
    /// All layers by `ν = min(1, √(limit / Σ lr²⟨V, ∇⟩))`.
    KlClip {
        limit: f64,
    },
}
