//! The names of what is measured. Scripts rely on them: a name once published keeps its meaning.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// What a number measures. The name ends in the unit where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean over images or tokens, in nats: in training as it was minimised, label smoothing included, elsewhere without.
    Loss,
    /// Share of images whose label has the largest logit, in [0, 1].
    Accuracy,
    /// The loss of a text in bits: `loss / ln 2`; where tokens are bytes, bits a byte.
    BitsPerCharacter,
    /// Mean over examples and numbers to be given of the squared error.
    SquaredError,
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
    /// The inverse that was asked for failed or went astray, and another way was taken.
    RefreshesFallback,
    /// No inverse was asked for: a control.
    RefreshesApproximate,
    PeakRssBytes,
    /// Wall-clock seconds of a trial's processes: loading, evaluation and checkpoints included.
    WallSeconds,
    /// Other trials that ran on the machine at the start or at the end.
    Neighbours,
    /// Seconds that the process's threads ran, added up.
    CpuSeconds,
    /// Seconds that they were ready to run and had no processor.
    WaitSeconds,
    /// Seconds that other processes ran on the machine, added up over its processors.
    OthersSeconds,
    /// Seconds in which the processor was too hot for its clock.
    ThrottledSeconds,
    /// How many images a trial learned from.
    TrainImages,
    /// How many image files could not be decoded and were left out, of training, validation and test images together.
    BrokenImages,
    /// How many numbers are trained.
    Parameters,
    /// Rows of a factor.
    FactorSize,
    /// Seconds of damping and inverting one factor, over the whole trial.
    InversionSeconds,
    /// How often a factor was inverted.
    Refreshes,
    /// What the experiment wants to be reached on the test set, in the metric that the trial is judged by.
    Target,
    /// Which way a refresh went: 0 exact, 1 Newton, 2 Newton damped, 3 fallback, 4 approximate.
    Branch,
    /// `‖I − ÃB‖_F/√n` of a refreshed inverse.
    Residual,
    /// The same of the inverse that the refresh replaces, with the statistics and damping of the refresh.
    StaleResidual,
    /// Relative change of the statistics since the last refresh, in the Frobenius norm.
    Drift,
    /// An estimate of the largest eigenvalue of the statistics.
    MaxEigenvalue,
    /// What was added to the diagonal.
    Damping,
    /// An estimate of the damped factor's condition number.
    Condition,
    /// A factor's refreshes so far that fell back.
    Fallbacks,
    /// Seconds of damping and inverting one factor in one refresh.
    RefreshSeconds,
    /// The cosine of the angle between the layers' gradient and what the preconditioner made of it.
    Cosine,
    /// `lr²⟨V, ∇⟩`.
    KlStep,
    /// Share of a factor that is off the diagonal in its basis, in the Frobenius norm, when the basis is about to be refreshed.
    OffDiagonal,
    /// The least singular value of an update that is made orthogonal.
    SmallestSingularValue,
    /// The largest singular value of an update that is made orthogonal.
    LargestSingularValue,
    /// How far the weights that are evaluated are from those that are trained, as a share of the latter's norm.
    EvaluatedDistance,
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

    /// Refreshes by the way they went, over all factors.
    pub const REFRESHES: [Self; 5] = [
        Self::RefreshesExact,
        Self::RefreshesNewton,
        Self::RefreshesNewtonDamped,
        Self::RefreshesFallback,
        Self::RefreshesApproximate,
    ];

    /// The name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::BitsPerCharacter => "bits_per_character",
            Self::SquaredError => "squared_error",
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
            Self::RefreshesFallback => "refreshes_fallback",
            Self::RefreshesApproximate => "refreshes_approximate",
            Self::PeakRssBytes => "peak_rss_bytes",
            Self::WallSeconds => "wall_seconds",
            Self::Neighbours => "neighbours",
            Self::CpuSeconds => "cpu_seconds",
            Self::WaitSeconds => "wait_seconds",
            Self::OthersSeconds => "others_seconds",
            Self::ThrottledSeconds => "throttled_seconds",
            Self::TrainImages => "train_images",
            Self::BrokenImages => "broken_images",
            Self::Parameters => "parameters",
            Self::FactorSize => "factor_size",
            Self::InversionSeconds => "inversion_seconds",
            Self::Refreshes => "refreshes",
            Self::Target => "target",
            Self::Branch => "branch",
            Self::Residual => "residual",
            Self::StaleResidual => "stale_residual",
            Self::Drift => "drift",
            Self::MaxEigenvalue => "max_eigenvalue",
            Self::Damping => "damping",
            Self::Condition => "condition",
            Self::Fallbacks => "fallbacks",
            Self::RefreshSeconds => "refresh_seconds",
            Self::Cosine => "cosine",
            Self::KlStep => "kl_step",
            Self::OffDiagonal => "off_diagonal",
            Self::SmallestSingularValue => "smallest_singular_value",
            Self::LargestSingularValue => "largest_singular_value",
            Self::EvaluatedDistance => "evaluated_distance",
        }
    }
}

impl Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
