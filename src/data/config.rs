//! Data as an experiment file names them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::own::Census;
use super::text::{self, Cut, Tokens};
use super::{Augment, Kind, Shape, Target};

/// Data as an experiment file names it. What is not the default of the later keys is not written, so that they changed no name of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    pub kind: Kind,
    /// Your own data: the folder, or the file. A relative path starts from the experiment file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Edge in pixels that your own images are brought to; their own size, if all have the same, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// Share to test on, of your own data that have no test images apart: of every class, or of a text its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<f64>,
    /// What your own text is cut into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// Tokens of a text that a net sees at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// What is learned: the label, or the input itself.
    #[serde(default, skip_serializing_if = "Target::is_label")]
    pub target: Target,
    /// Applied to training images, in this order.
    #[serde(default)]
    pub augment: Vec<Augment>,
    /// Train on this many images only, the same share of every class, or on the first windows of a text.
    #[serde(default)]
    pub train_limit: Option<usize>,
    /// Take this many images out of the training set to validate on, the same share of every class, or the last windows of a text.
    #[serde(default)]
    pub validation: usize,
    /// Leave out image files that cannot be read, and count them, instead of stopping at the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_broken: bool,
    /// What was counted and measured of one's own data.
    #[serde(skip)]
    pub census: Option<Arc<Census>>,
}

impl DataConfig {
    /// All of `kind`, as it is.
    #[must_use]
    pub const fn all(kind: Kind) -> Self {
        Self {
            kind,
            path: None,
            size: None,
            test: None,
            tokens: None,
            context: None,
            target: Target::Label,
            augment: Vec::new(),
            train_limit: None,
            validation: 0,
            skip_broken: false,
            census: None,
        }
    }

    /// What figures and tables call the data: of one's own, what they are called at their path.
    #[must_use]
    pub fn name(&self) -> String {
        let kind = self.kind.name();
        match self.path.as_deref().and_then(Path::file_stem) {
            Some(stem) => format!("{} ({kind})", stem.to_string_lossy().replace(char::is_control, "\u{fffd}")),
            None => kind.to_owned(),
        }
    }

    /// The shape of images as a net sees them, known without reading them.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.census.as_ref().map_or_else(|| self.kind.shape(), |census| census.shape)
    }

    /// How many numbers are to be given for each example; none where classes are told.
    #[must_use]
    pub fn numbers(&self) -> Option<usize> {
        match self.target {
            Target::Input => Some(self.shape().bytes()),
            Target::Label => self.census.as_ref().filter(|census| census.is_regression()).map(|_| self.shape().classes),
        }
    }

    /// The least and the largest number that is to be given.
    #[must_use]
    pub fn range(&self) -> [f32; 2] {
        let of = |census: &Arc<Census>| if self.target.is_label() { census.target_range } else { census.input_range };
        self.census.as_ref().map_or([0.0, 1.0], of)
    }

    /// Tokens of a text that a net sees at once.
    #[must_use]
    pub fn context(&self) -> usize {
        self.cut().context
    }

    /// How a text is cut.
    pub(super) fn cut(&self) -> Cut {
        let cut = Cut::default();
        Cut {
            tokens: self.tokens.unwrap_or(cut.tokens),
            context: self.context.unwrap_or(cut.context),
            test: self.test.unwrap_or(cut.test),
        }
    }

    /// Images, or windows of a text, to train or validate on, before limits.
    #[must_use]
    pub fn available(&self) -> usize {
        if self.kind == Kind::Shakespeare {
            return text::windows(self.kind.train_len(), self.context());
        }
        self.census.as_ref().map_or_else(|| self.kind.train_len(), |census| census.train)
    }

    /// How many images or windows a trial trains on, known without reading them.
    #[must_use]
    pub fn train_len(&self) -> usize {
        let left = self.available().saturating_sub(self.validation);
        self.train_limit.map_or(left, |limit| limit.min(left))
    }
}
