//! One number of one trial.

use super::Metric;

/// A number, with where in training it was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Epochs finished, counted from 1; for a step the epoch it is part of.
    pub epoch: u32,
    /// Steps taken since the start.
    pub step: u64,
    /// Training seconds so far.
    pub seconds: f64,
    pub scope: Scope,
    pub metric: Metric,
    pub value: f64,
}

/// What a number is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    Train,
    Validation,
    Test,
    Step,
    /// What the preconditioner measures of all layers together.
    Probe,
    /// One factor of one layer: `layer1.0.conv1/a`.
    Factor(String),
}

impl Scope {
    /// The scope that has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "train" => Self::Train,
            "validation" => Self::Validation,
            "test" => Self::Test,
            "step" => Self::Step,
            "probe" => Self::Probe,
            factor => Self::Factor(factor.to_owned()),
        }
    }

    /// The name in records.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Step => "step",
            Self::Probe => "probe",
            Self::Factor(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn a_scope_comes_back_from_its_name() {
        let scopes = [Scope::Train, Scope::Validation, Scope::Test, Scope::Step, Scope::Probe];
        for scope in scopes.into_iter().chain([Scope::Factor("layer1.0.conv1/a".into())]) {
            assert_eq!(Scope::from_name(scope.name()), scope);
        }
    }
}
