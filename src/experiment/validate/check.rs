//! Problems as they are found.

use crate::config::{self, Value};

/// What is wrong with one key.
#[derive(Debug)]
pub struct Problem {
    pub path: String,
    /// Follows the path: `must be at least 1 (got 0)`.
    pub message: String,
    pub hint: Option<String>,
}

impl Problem {
    /// As an error at the place in `value` where the key was written.
    pub fn at(self, value: &Value) -> config::Error {
        let error = config::Error::at(value.locate(&self.path), format!("`{}` {}", self.path, self.message));
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// Collects problems.
#[derive(Default)]
pub struct Check(Vec<Problem>);

impl Check {
    pub fn fail(&mut self, path: &str, message: String) {
        self.0.push(Problem { path: path.to_owned(), message, hint: None });
    }

    pub fn hint(&mut self, hint: &str) {
        if let Some(problem) = self.0.last_mut() {
            problem.hint = Some(hint.to_owned());
        }
    }

    pub fn at_least_one(&mut self, path: &str, value: usize) {
        if value == 0 {
            self.fail(path, "must be at least 1 (got 0)".into());
        }
    }

    /// From 1 to `most`: further out numbers overflow before they make sense.
    pub fn count(&mut self, path: &str, value: usize, most: usize) {
        if value > most {
            self.fail(path, format!("must be at most {most} (got {value})"));
        }
        self.at_least_one(path, value);
    }

    pub fn positive(&mut self, path: &str, value: f64) {
        if !(value > 0.0 && value.is_finite()) {
            self.fail(path, format!("must be greater than 0 (got {value})"));
        }
    }

    pub fn not_negative(&mut self, path: &str, value: f64) {
        if !(value >= 0.0 && value.is_finite()) {
            self.fail(path, format!("must be at least 0 (got {value})"));
        }
    }

    /// In [0, 1).
    pub fn share(&mut self, path: &str, value: f64) {
        if !(0.0..1.0).contains(&value) {
            self.fail(path, format!("must be at least 0 and below 1 (got {value})"));
        }
    }

    /// The first problem that was found.
    pub fn first(self) -> Option<Problem> {
        self.0.into_iter().next()
    }

    /// Whether none was.
    pub fn is_clean(&self) -> bool {
        self.0.is_empty()
    }
}
