//! What is wrong with a configuration, where, and what was probably meant.

use std::fmt::{self, Display, Write as _};

use serde::de::{self, Expected, Unexpected};

use super::Origin;
use crate::catalog;

/// An error in one value. It prints as `file:line: what is wrong`, and perhaps a second line `hint: …`.
///
/// serde makes it at the innermost value without knowing where that is; the place and the path are added as it unwinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Report>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    fault: Fault,
    hint: Option<String>,
    origin: Option<Origin>,
    /// The keys around the fault, the innermost first.
    path: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// A whole sentence that needs no path.
    Stated(String),
    /// Something that serde or a type says of the value at the path.
    Said(String),
    UnknownKey(String),
    MissingKey(String),
    UnknownName(String),
    Mismatch {
        found: String,
        expected: String,
    },
}

impl Error {
    /// An error at a known place, in the caller's own words.
    #[must_use]
    pub fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self::new(Fault::Stated(message.into()), None).located(origin)
    }

    /// A key that the table around it does not take.
    #[must_use]
    pub fn unknown_key(key: &str, known: &[&str]) -> Self {
        let hint = match known {
            [] => "this table takes no keys".to_owned(),
            _ => did_you_mean(key, known, "keys"),
        };
        Self::new(Fault::UnknownKey(key.to_owned()), Some(hint))
    }

    /// A name that no variant, preset or other choice has.
    #[must_use]
    pub fn unknown_name(name: &str, known: &[&str]) -> Self {
        Self::new(Fault::UnknownName(name.to_owned()), Some(did_you_mean(name, known, "names")))
    }

    /// A table without a key that it must have.
    #[must_use]
    pub fn missing_key(key: &str) -> Self {
        Self::new(Fault::MissingKey(key.to_owned()), None)
    }

    /// The same with a hint in place of the one it may have.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same, placed at `origin` unless an inner value has placed it already.
    #[must_use]
    pub fn located(mut self, origin: &Origin) -> Self {
        self.0.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// The same, seen from the table that holds the value under `key`; `[3]` is the fourth item of an array.
    #[must_use]
    pub fn within(mut self, key: impl Into<String>) -> Self {
        self.0.path.push(key.into());
        self
    }

    /// The dotted path of the key that is missing, if that is what is wrong.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        match &self.0.fault {
            Fault::MissingKey(key) if self.0.path.is_empty() => Some(key.clone()),
            Fault::MissingKey(key) => Some(format!("{}.{key}", self.path())),
            _ => None,
        }
    }

    /// The dotted path of the value that is of another type than its key, if that is what is wrong.
    #[must_use]
    pub fn mistyped(&self) -> Option<String> {
        matches!(self.0.fault, Fault::Mismatch { .. }).then(|| self.path())
    }

    fn new(fault: Fault, hint: Option<String>) -> Self {
        Self(Box::new(Report { fault, hint, origin: None, path: Vec::new() }))
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for key in self.0.path.iter().rev() {
            if !path.is_empty() && !key.starts_with('[') {
                path.push('.');
            }
            path.push_str(key);
        }
        path
    }
}

/// A hint: the nearest of the `known` names, or all of them where none is near. `what` they are: `"keys"`, `"names"`.
#[must_use]
pub fn did_you_mean(wrong: &str, known: &[&str], what: &str) -> String {
    if let Some(name) = catalog::nearest(wrong, known.iter().copied()) {
        return format!("did you mean `{name}`?");
    }
    let mut hint = format!("known {what} are ");
    for (index, name) in known.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        // Writing to a `String` cannot fail.
        let _ = write!(hint, "{separator}`{name}`");
    }
    hint
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { fault, hint, origin, .. } = &*self.0;
        if let Some(origin) = origin {
            write!(f, "{origin}: ")?;
        }
        let path = self.path();
        let place = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
        match fault {
            Fault::Stated(message) => f.write_str(message),
            Fault::Said(message) if path.is_empty() => f.write_str(message),
            Fault::Said(message) => write!(f, "`{path}`: {message}"),
            Fault::UnknownKey(key) => write!(f, "unknown key `{key}`{place}"),
            Fault::MissingKey(key) => write!(f, "missing key `{key}`{place}"),
            Fault::UnknownName(name) => write!(f, "unknown name `{name}`{place}"),
            Fault::Mismatch { found, expected } if path.is_empty() => write!(f, "found {found}, expected {expected}"),
            Fault::Mismatch { found, expected } => write!(f, "`{path}` is {found}, expected {expected}"),
        }?;
        match hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Fault::Said(message.to_string()), None)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Fault::Mismatch { found: describe(found), expected: in_words(&expected.to_string()) }, None)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        let found = format!("an array of length {length}");
        Self::new(Fault::Mismatch { found, expected: in_words(&expected.to_string()) }, None)
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::unknown_name(name, known)
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::unknown_key(key, known)
    }

    fn missing_field(key: &'static str) -> Self {
        Self::missing_key(key)
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::custom(format_args!("the key `{key}` is there twice"))
    }
}

fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("`{value}`"),
        Unexpected::Signed(value) => format!("`{value}`"),
        Unexpected::Float(value) => format!("`{value:?}`"),
        Unexpected::Str(value) => format!("`{value:?}`"),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// serde names what it expects by Rust's types; a user knows TOML's.
fn in_words(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        _ if expected.starts_with("struct ") => "a table".to_owned(),
        _ => expected.to_owned(),
    }
}
