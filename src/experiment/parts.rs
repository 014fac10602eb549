//! What a file is made of.

use crate::config::{self, Origin, Value};

/// A variant of the base.
pub struct Arm {
    pub name: String,
    /// The base overlaid by the arm and by the command line; presets not expanded yet.
    pub value: Value,
}

/// A key and the values that it takes in turn.
pub struct Axis {
    pub path: String,
    pub values: Vec<Value>,
    /// The arms that it is for; all if empty.
    pub arms: Vec<String>,
    pub origin: Origin,
}

impl Axis {
    /// Whether it is for this arm.
    pub fn is_for(&self, arm: &str) -> bool {
        self.arms.is_empty() || self.arms.iter().any(|name| name == arm)
    }
}

/// What the trials of a file do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Train a net.
    Train,
    /// Invert random matrices.
    Inverse,
}

/// The text under a key.
pub fn text_of<'a>(value: &'a Value, key: &str) -> Result<&'a str, config::Error> {
    value.as_str().ok_or_else(|| config::Error::mismatch(value, "a string").within(key).located(&value.origin))
}
