//! What is counted and measured of somebody's own data, once.

use serde::{Deserialize, Serialize};

use crate::data::files::Broken;
use crate::data::kind::{Normalisation, Shape};
use crate::text::Shown;

/// What is known of own data before a trial starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Census {
    /// `sha256:…` of names and contents: what a trial is named after in place of the path.
    pub sum: String,
    pub shape: Shape,
    /// Images to train on, and to test on.
    pub train: usize,
    pub test: usize,
    /// Their names, in the order of the labels; none where numbers are to be given.
    pub classes: Vec<String>,
    /// Of each channel, over the training images.
    pub mean: Vec<f32>,
    pub deviation: Vec<f32>,
    /// The least and the largest value of an input, and of the numbers to be given; bytes and classes are from 0 to 1.
    pub input_range: [f32; 2],
    pub target_range: [f32; 2],
    /// Image files that cannot be decoded.
    pub broken: Vec<Broken>,
    /// Files that are no data, in words.
    pub passed: Option<String>,
    /// What is worth saying beside that, a line each.
    pub(super) remarks: Vec<String>,
    /// What the files looked like, if they had not been changed a moment before.
    pub(super) stamp: Option<String>,
}

impl Census {
    /// Whether numbers are to be given, and no classes told.
    pub(in crate::data) const fn is_regression(&self) -> bool {
        self.classes.is_empty()
    }

    /// What images are normalised with.
    pub(in crate::data) fn normalisation(&self) -> Normalisation {
        Normalisation { mean: self.mean.clone().into(), deviation: self.deviation.clone().into() }
    }

    /// What is worth saying, a line each.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let broken = self.broken.first().map(|Broken { path, reason }| {
            let (count, path) = (self.broken.len(), path.shown());
            format!("images that cannot be decoded are left out: {count}, the first `{path}` ({reason})")
        });
        self.remarks.iter().cloned().chain(broken).collect()
    }

    /// `100 training and 20 test images of 3 classes, 64×64×3; 2 files passed over (2 hidden)`.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { train, test, classes, shape, passed, .. } = self;
        let Shape { channels, height, width, classes: outputs } = shape;
        let each =
            if shape.is_vector() { format!("vectors of {channels}") } else { format!("{height}×{width}×{channels}") };
        let passed = passed.as_ref().map(|passed| format!("; {passed}")).unwrap_or_default();
        let classes = classes.len();
        if *channels == 0 {
            return format!("{train} training and {test} test windows of a text of {classes} tokens");
        }
        if self.is_regression() {
            let numbers = if *outputs == 1 { "a number".to_owned() } else { format!("{outputs} numbers") };
            return format!("{train} training and {test} test examples, {each}, {numbers} to give for each");
        }
        // Without labels all are of one.
        let of = if classes == 1 { String::new() } else { format!(" of {classes} classes") };
        format!("{train} training and {test} test examples{of}, {each}{passed}")
    }
}
