//! The tree, and how TOML becomes one.
//!
//! Keys keep the order of the file. Dates are refused: nothing that is configured is one.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Error, Origin};
use crate::text;

/// A value and the place where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    pub origin: Origin,
    pub node: Node,
}

/// What a value is. Two values that differ only in their origins have equal [JSON](Value::to_json).
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    String(String),
    Array(Vec<Value>),
    /// Keys are unique and in the order in which they were written.
    Table(Vec<(String, Value)>),
}

impl Value {
    /// Reads a TOML document; `source` is what errors call it.
    ///
    /// # Errors
    /// The text is not TOML, or holds a date or an integer that does not fit 64 bits.
    pub fn parse(source: &str, text: &str) -> Result<Self, Error> {
        let reader = Reader::new(source, text);
        let document = DeTable::parse(text).map_err(|error| reader.syntax(&error))?;
        let origin = Origin { source: reader.source.clone(), line: None };
        Ok(Self { origin, node: reader.table(document.get_ref())? })
    }

    /// Reads one TOML value, as written behind an equals sign on the command line; a bare word is a string.
    ///
    /// # Errors
    /// The text is neither a TOML value nor a word of letters, digits and `-_./`.
    pub fn parse_argument(source: &str, text: &str) -> Result<Self, Error> {
        let reader = Reader::new(source, text);
        let origin = Origin { source: reader.source.clone(), line: None };
        let node = match DeValue::parse(text) {
            Ok(value) => reader.node(value.get_ref(), &origin)?,
            Err(_) if is_word(text) => Node::String(text.to_owned()),
            Err(error) => return Err(Error::at(&origin, format!("`{text}` is not a TOML value: {}", error.message()))),
        };
        Ok(Self { origin, node })
    }

    /// The value at a dotted path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, Self::child)
    }

    /// The keys and values of a table; none of anything else.
    #[must_use]
    pub fn entries(&self) -> &[(String, Self)] {
        match &self.node {
            Node::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The same table without one key.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let entries = self.entries().iter().filter(|(name, _)| name != key).cloned().collect();
        Self { origin: self.origin.clone(), node: Node::Table(entries) }
    }

    /// The same table with another value under a key that it has.
    #[must_use]
    pub fn replace(mut self, key: &str, value: Self) -> Self {
        if let Node::Table(entries) = &mut self.node
            && let Some((_, old)) = entries.iter_mut().find(|(name, _)| name == key)
        {
            *old = value;
        }
        self
    }

    /// Where the value at a dotted path was written, or else the innermost table around it: a default was written nowhere.
    #[must_use]
    pub fn locate(&self, path: &str) -> &Origin {
        let mut here = self;
        for key in path.split('.') {
            match here.child(key) {
                Some(child) => here = child,
                None => break,
            }
        }
        &here.origin
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.node {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// The same without origins. JSON has no infinities and no NaN: they become `null`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.node {
            Node::Boolean(value) => (*value).into(),
            Node::Integer(value) => (*value).into(),
            Node::Float(value) => (*value).into(),
            Node::String(value) => value.as_str().into(),
            Node::Array(items) => items.iter().map(Self::to_json).collect(),
            Node::Table(entries) => entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect(),
        }
    }

    fn child(&self, key: &str) -> Option<&Self> {
        match &self.node {
            Node::Table(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_./".contains(c))
}

/// Turns byte offsets into lines.
struct Reader {
    source: Arc<str>,
    /// The offset of each line break.
    breaks: Vec<usize>,
}

impl Reader {
    fn new(source: &str, text: &str) -> Self {
        Self { source: source.into(), breaks: text.match_indices('\n').map(|(offset, _)| offset).collect() }
    }

    fn origin(&self, offset: usize) -> Origin {
        let line = self.breaks.partition_point(|&end| end < offset) + 1;
        Origin { source: self.source.clone(), line: Some(line) }
    }

    fn syntax(&self, error: &toml::de::Error) -> Error {
        let origin = match error.span() {
            Some(span) => self.origin(span.start),
            None => Origin { source: self.source.clone(), line: None },
        };
        Error::at(&origin, error.message().replace('\n', ", "))
    }

    /// A value that has a key is where its key is: a table's own span may begin at a later header.
    fn table(&self, table: &DeTable<'_>) -> Result<Node, Error> {
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let origin = self.origin(key.span().start);
            let key: &std::borrow::Cow<'_, str> = key.get_ref();
            if !key.chars().all(text::is_plain) {
                return Err(Error::at(&origin, format!("the key `{}` has a control character", text::spelled(key))));
            }
            Ok((key.to_string(), Value { node: self.node(value.get_ref(), &origin)?, origin }))
        };
        table.iter().map(entry).collect::<Result<_, _>>().map(Node::Table)
    }

    fn node(&self, value: &DeValue<'_>, origin: &Origin) -> Result<Node, Error> {
        Ok(match value {
            DeValue::Boolean(value) => Node::Boolean(*value),
            DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
                Ok(value) => Node::Integer(value),
                Err(_) => return Err(Error::at(origin, format!("the integer `{value}` does not fit 64 bits"))),
            },
            DeValue::Float(value) => match value.as_str().parse() {
                Ok(value) => Node::Float(value),
                Err(_) => return Err(Error::at(origin, format!("`{value}` is not a number"))),
            },
            DeValue::String(value) => Node::String(value.to_string()),
            DeValue::Datetime(value) => {
                return Err(
                    Error::at(origin, format!("`{value}` is a date, and nothing here is one")).hint("quote a string")
                );
            }
            DeValue::Array(items) => {
                let item = |item: &Spanned<DeValue<'_>>| {
                    let origin = self.origin(item.span().start);
                    Ok(Value { node: self.node(item.get_ref(), &origin)?, origin })
                };
                Node::Array(items.iter().map(item).collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => self.table(table)?,
        })
    }
}
