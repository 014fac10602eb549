//! The rules by which gradients become steps, and their keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Muon (Jordan et al. 2024) for weights of linear and convolution layers, Adam for all else; decoupled weight decay.
    Muon {
        momentum: f64,
        nesterov: bool,
        /// Rounds of the Newton–Schulz iteration.
        rounds: usize,
        #[serde(default)]
        matrices: Matrices,
        #[serde(default)]
        scaling: Scaling,
        #[serde(default)]
        precision: Precision,
        /// Adam's learning rate is this times `lr`.
        adam_ratio: f64,
        betas: [f64; 2],
        eps: f64,
        weight_decay: f64,
    },
    /// Lion (Chen et al. 2023) with decoupled weight decay.
    Lion { betas: [f64; 2], weight_decay: f64 },
    /// NAdam (Dozat 2016) with decoupled weight decay.
    Nadam {
        betas: [f64; 2],
        eps: f64,
        /// ψ: β₁ grows as `1 − ½·0.96^{tψ}`.
        momentum_decay: f64,
        weight_decay: f64,
    },
    /// AdEMAMix (Pagliardini et al. 2024) with decoupled weight decay.
    Ademamix {
        /// β₁, β₂ and β₃.
        betas: [f64; 3],
        eps: f64,
        /// α: how much of the slow average is added.
        alpha: f64,
        /// Steps over which α rises from nothing; 0 for none.
        alpha_warmup: usize,
        /// Steps over which β₃ rises from β₁; 0 for none.
        beta3_warmup: usize,
        weight_decay: f64,
    },
    /// Schedule-Free AdamW (Defazio et al. 2024): evaluated and saved is an average of all steps.
    ScheduleFree {
        betas: [f64; 2],
        eps: f64,
        weight_decay: f64,
        /// Steps over which the learning rate rises.
        warmup_steps: usize,
    },
    /// SOAP (Vyas et al. 2024): Adam in the eigenbasis of Shampoo's factors; weight decay after the step.
    Soap {
        betas: [f64; 2],
        eps: f64,
        /// Steps between refreshes of the bases.
        precondition_every: usize,
        /// The longest axis of a tensor that has a factor.
        largest: usize,
        weight_decay: f64,
    },
    /// KL-Shampoo (Lin et al. 2025) for tensors of two axes or more, Adam for all else; weight decay after the step.
    KlShampoo {
        betas: [f64; 2],
        eps: f64,
        /// Steps between refreshes of the bases.
        precondition_every: usize,
        /// The longest axis of a tensor that has a factor; it keeps a diagonal otherwise.
        largest: usize,
        /// What all eigenvalues are at first.
        start: f64,
        weight_decay: f64,
    },
    /// PSGD with Kronecker factors (Li 2018), decoupled weight decay.
    PsgdKron {
        momentum: f64,
        /// μ: the learning rate of the factors.
        precondition_lr: f64,
        /// The longest axis of a tensor whose factor is triangular; it is diagonal otherwise.
        largest: usize,
        /// Steps on which the factors move for sure.
        certain_steps: usize,
        /// How fast the probability that they move falls behind those: `exp(−decay·steps)`.
        probability_decay: f64,
        /// What it does not fall below.
        least_probability: f64,
        /// Of the probes; the same in every trial.
        seed: u64,
        weight_decay: f64,
    },
}

impl Update {
    /// The name of its kind.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::Adam { .. } => "adam",
            Self::Radam { .. } => "radam",
            Self::Adabelief { .. } => "adabelief",
            Self::Muon { .. } => "muon",
            Self::Lion { .. } => "lion",
            Self::Nadam { .. } => "nadam",
            Self::Ademamix { .. } => "ademamix",
            Self::ScheduleFree { .. } => "schedule-free",
            Self::Soap { .. } => "soap",
            Self::KlShampoo { .. } => "kl-shampoo",
            Self::PsgdKron { .. } => "psgd-kron",
        }
    }
}

const fn adam_betas() -> [f64; 2] {
    [0.9, 0.999]
}

const fn adam_eps() -> f64 {
    1e-8
}

/// Whose weights Muon takes; Adam has the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Matrices {
    /// Those of all linear and convolution layers.
    #[default]
    All,
    /// Those of all but the last, as its authors say.
    Inner,
}

/// What an orthogonal update is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// `√max(1, d_out/d_in)` (Jordan et al. 2024).
    #[default]
    Original,
    /// `0.2·√max(d_out, d_in)`, so that AdamW's learning rate and decay suit it (Liu et al. 2025).
    MatchRmsAdamw,
}

/// What Muon's iteration is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// The net's own precision.
    #[default]
    Net,
    /// bfloat16, as its authors and torch.optim have it, every sum in the order in which PyTorch adds it on a processor with AVX512_BF16.
    Bfloat16,
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
