//! What nets take and give.

/// What a net takes, and how many numbers it gives: for each example, or for each token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub input: Input,
    pub outputs: usize,
}

/// What a net takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// `N×H×W×C`.
    Images { channels: usize, height: usize, width: usize },
    /// `N×D`.
    Vectors { size: usize },
    /// `N×T` whole numbers below `vocabulary`, T up to `context`.
    Tokens { vocabulary: usize, context: usize },
}

impl Input {
    /// How many numbers an example has.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Images { channels, height, width } => channels * height * width,
            Self::Vectors { size } => size,
            Self::Tokens { context, .. } => context,
        }
    }

    /// The kind, as messages and docs name it.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Images { .. } => "images",
            Self::Vectors { .. } => "vectors",
            Self::Tokens { .. } => "tokens",
        }
    }
}

/// Images and the classes they fall into, for nets that take nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Images {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub classes: usize,
}

impl From<Images> for Shape {
    fn from(Images { channels, height, width, classes }: Images) -> Self {
        Self { input: Input::Images { channels, height, width }, outputs: classes }
    }
}

impl Shape {
    /// As images; `None` of anything else.
    #[must_use]
    pub const fn images(self) -> Option<Images> {
        match self.input {
            Input::Images { channels, height, width } => {
                Some(Images { channels, height, width, classes: self.outputs })
            }
            Input::Vectors { .. } | Input::Tokens { .. } => None,
        }
    }
}
