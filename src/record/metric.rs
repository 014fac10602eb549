//! The names of what is measured. Scripts rely on them: a name once published keeps its meaning.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// What a number measures. The name ends in the unit where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean over images, in nats: in training as it was minimised, label smoothing included, elsewhere without.
    Loss,
    /// Share of images whose label has the largest logit, in [0, 1].
    Accuracy,
    /// The learning rate at the end of the epoch.
    Lr,
    PhaseData,
    PhaseForward,
    PhaseBackward,
    PhaseMoments,
    PhaseDamping,
    PhaseInversion,
    PhasePreconditioning,
    PhaseUpdate,
    PhaseOther,
    EpochSeconds,
    StepSeconds,
    StepSecondsP50,
    StepSecondsP95,
    StepSecondsP99,
    RefreshesExact,
    RefreshesNewton,
    RefreshesNewtonDamped,
    PeakRssBytes,
    /// How many images a trial learned from.
    TrainImages,
    /// How many numbers are trained.
    Parameters,
    /// Rows of a factor.
    FactorSize,
    /// Seconds of damping and inverting one factor, over the whole trial.
    InversionSeconds,
    /// How often a factor was inverted.
    Refreshes,
}

impl Metric {
    /// Seconds of an epoch by phase, in the order of a step. They add up to [`Metric::EpochSeconds`].
    pub const PHASES: [Self; 9] = [
        Self::PhaseData,
        Self::PhaseForward,
        Self::PhaseBackward,
        Self::PhaseMoments,
        Self::PhaseDamping,
        Self::PhaseInversion,
        Self::PhasePreconditioning,
        Self::PhaseUpdate,
        Self::PhaseOther,
    ];

    /// The name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::Lr => "lr",
            Self::PhaseData => "phase_data",
            Self::PhaseForward => "phase_forward",
            Self::PhaseBackward => "phase_backward",
            Self::PhaseMoments => "phase_moments",
            Self::PhaseDamping => "phase_damping",
            Self::PhaseInversion => "phase_inversion",
            Self::PhasePreconditioning => "phase_preconditioning",
            Self::PhaseUpdate => "phase_update",
            Self::PhaseOther => "phase_other",
            Self::EpochSeconds => "epoch_seconds",
            Self::StepSeconds => "step_seconds",
            Self::StepSecondsP50 => "step_seconds_p50",
            Self::StepSecondsP95 => "step_seconds_p95",
            Self::StepSecondsP99 => "step_seconds_p99",
            Self::RefreshesExact => "refreshes_exact",
            Self::RefreshesNewton => "refreshes_newton",
            Self::RefreshesNewtonDamped => "refreshes_newton_damped",
            Self::PeakRssBytes => "peak_rss_bytes",
            Self::TrainImages => "train_images",
            Self::Parameters => "parameters",
            Self::FactorSize => "factor_size",
            Self::InversionSeconds => "inversion_seconds",
            Self::Refreshes => "refreshes",
        }
    }
}

impl Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
