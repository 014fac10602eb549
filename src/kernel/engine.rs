//! Ways to compute the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A way to compute a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The fastest for the geometry and the processor.
    #[default]
    Auto,
    /// Loops over an indirect product; float32 with AVX2, else as `Portable`.
    Direct,
    /// Winograd's transforms wherever they fit, else as `Direct`.
    Winograd,
    /// Any processor and number type.
    Portable,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Direct, Self::Winograd, Self::Portable];

    /// The name in an experiment file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Direct => "direct",
            Self::Winograd => "winograd",
            Self::Portable => "portable",
        }
    }

    /// Whether hand-made loops may be used where the processor can run them.
    pub(super) fn is_fast(self) -> bool {
        self != Self::Portable
    }
}
