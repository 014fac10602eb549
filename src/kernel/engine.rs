//! Ways to compute the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::simd::Instance;

/// How the CPU computes in float32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// How convolutions and linear layers, their gradients and their moments are computed in float32.
    #[serde(default)]
    pub conv: Conv,
    /// The vectors that hand-made loops compute with.
    #[serde(default, skip_serializing_if = "Simd::is_auto")]
    pub simd: Simd,
}

/// A way to compute a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Conv {
    /// The fastest for the geometry and the processor.
    #[default]
    Auto,
    /// Loops over an indirect product; float32 where the processor has vectors for it, else as `Portable`.
    Direct,
    /// Winograd's transforms wherever they fit, else as `Direct`.
    Winograd,
    /// Any processor and number type.
    Portable,
}

/// Vectors of float32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Simd {
    /// The longest that the processor has.
    #[default]
    Auto,
    /// Sixteen numbers.
    Avx512,
    /// Eight numbers.
    Avx2,
    /// None: what any processor has.
    Portable,
}

impl Engine {
    /// The fastest of all.
    pub const AUTO: Self = Self { conv: Conv::Auto, simd: Simd::Auto };
    /// What any processor can run, in any number type.
    pub const PORTABLE: Self = Self { conv: Conv::Portable, simd: Simd::Portable };

    /// Every way to convolve by hand with every kind of vectors that this processor has, and the portable one.
    pub fn all() -> impl Iterator<Item = Self> {
        let vectors = [Simd::Avx512, Simd::Avx2].into_iter().filter(|simd| simd.is_available());
        let by_hand = |simd| [Conv::Auto, Conv::Direct, Conv::Winograd].map(|conv| Self { conv, simd });
        vectors.flat_map(by_hand).chain([Self::PORTABLE])
    }

    /// Whether it is what a file need not say.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        *self == Self::AUTO
    }

    /// Whether it leads to hand-made loops on this processor.
    #[must_use]
    pub fn is_by_hand(self) -> bool {
        self.instance().is_some()
    }

    /// The vectors for hand-made loops, where they may be used and the processor has them.
    pub(super) fn instance(self) -> Option<Instance> {
        if self.conv == Conv::Portable { None } else { self.simd.instance() }
    }
}

impl Conv {
    /// Every way.
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
}

impl Simd {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Avx512, Self::Avx2, Self::Portable];

    /// The name in an experiment file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// What is meant on this processor, never `Auto`.
    #[must_use]
    pub fn resolved(self) -> Self {
        let widest = || [Self::Avx512, Self::Avx2].into_iter().find(|simd| simd.is_available());
        if self == Self::Auto { widest().unwrap_or(Self::Portable) } else { self }
    }

    /// What this processor lacks to run it, as a line.
    pub fn check(self) -> Result<(), String> {
        if self.is_available() {
            return Ok(());
        }
        let (name, widest) = (self.name(), Self::Auto.resolved().name());
        Err(format!("this processor has no {name}; found: {widest}"))
    }

    /// Whether this processor can run it.
    #[must_use]
    pub fn is_available(self) -> bool {
        matches!(self, Self::Auto | Self::Portable) || self.instance().is_some()
    }

    fn instance(self) -> Option<Instance> {
        match self {
            Self::Auto => Instance::avx512().or_else(Instance::avx2),
            Self::Avx512 => Instance::avx512(),
            Self::Avx2 => Instance::avx2(),
            Self::Portable => None,
        }
    }

    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

#[cfg(test)]
mod tests {
    use super::{Conv, Engine, Simd};

    #[expect(clippy::print_stderr, reason = "says what was not tested")]
    #[test]
    fn every_kind_of_vectors_is_tested_or_said_to_be_missing() {
        for simd in [Simd::Avx512, Simd::Avx2] {
            let tested = Engine::all().any(|engine| engine == Engine { conv: Conv::Direct, simd });
            match simd.check() {
                Ok(()) => assert!(tested),
                Err(why) => {
                    assert!(!tested && why.contains(simd.name()));
                    eprintln!("skipped in all tests of kernels: {why}");
                }
            }
        }
        assert!(Simd::Auto.resolved().check().is_ok() && Simd::Auto.resolved() != Simd::Auto);
        assert!(!Engine::PORTABLE.is_by_hand());
    }
}
