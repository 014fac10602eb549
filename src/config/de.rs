//! From a tree to a Rust type.
//!
//! serde's derive expects an `enum` as `{ variant = content }`. Here the variant is the table's `kind` and the content its other
//! keys; a bare string names a variant without any. A variant's content is a table, so tuple variants have no form, and a field
//! of a variant cannot be called `kind`.

use std::slice;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Error, Node, Origin, Value};

/// Reads the tree as a `T`.
///
/// # Errors
/// A key is unknown or missing, or a value is none of its type: the error names the line and the path from the root of `value`.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    T::deserialize(value).map_err(|error| error.located(&value.origin))
}

impl Value {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.node {
            Node::Boolean(value) => Unexpected::Bool(*value),
            Node::Integer(value) => Unexpected::Signed(*value),
            Node::Float(value) => Unexpected::Float(*value),
            Node::String(value) => Unexpected::Str(value),
            Node::Array(_) => Unexpected::Seq,
            Node::Table(_) => Unexpected::Map,
        }
    }
}

impl Error {
    /// A value that is no `expected` (`"a number"`, `"an array"`).
    #[must_use]
    pub fn mismatch(found: &Value, expected: &str) -> Self {
        de::Error::invalid_type(found.unexpected(), &expected)
    }
}

impl<'de> Deserializer<'de> for &'de Value {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node {
            Node::Boolean(value) => visitor.visit_bool(*value),
            Node::Integer(value) => visitor.visit_i64(*value),
            Node::Float(value) => visitor.visit_f64(*value),
            Node::String(value) => visitor.visit_borrowed_str(value),
            Node::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Node::Table(entries) => visitor.visit_map(Fields::all(entries)),
        }
    }

    /// TOML has no null: what is there is some.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A visitor of fixed length stops when it has enough, so what is too long is refused here.
    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        match &self.node {
            Node::Array(items) if items.len() > length => {
                Err(de::Error::invalid_length(items.len(), &format!("an array of length {length}").as_str()))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let entries = match &self.node {
            Node::String(name) => {
                return visitor.visit_enum(Variant { name, origin: &self.origin, content: Fields::all(&[]) });
            }
            Node::Table(entries) => entries,
            _ => return Err(Error::mismatch(self, "a name or a table with a `kind`")),
        };
        let Some(kind) = self.get("kind") else {
            let known = variants.join("`, `");
            return Err(Error::missing_key("kind").hint(format!("known kinds are `{known}`")));
        };
        let Some(name) = kind.as_str() else {
            return Err(Error::mismatch(kind, "a name").within("kind").located(&kind.origin));
        };
        visitor.visit_enum(Variant { name, origin: &kind.origin, content: Fields::untagged(entries) })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple_struct
        map struct identifier ignored_any
    }
}

/// The items of an array.
struct Items<'de>(std::iter::Enumerate<slice::Iter<'de, Value>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, item)) = self.0.next() else { return Ok(None) };
        seed.deserialize(item).map(Some).map_err(|error| error.located(&item.origin).within(format!("[{index}]")))
    }
}

/// The entries of a table, or of a variant: those of its table without `kind`.
struct Fields<'de> {
    rest: slice::Iter<'de, (String, Value)>,
    untagged: bool,
    /// The entry whose key has been read and whose value has not.
    open: Option<&'de (String, Value)>,
}

impl<'de> Fields<'de> {
    fn all(entries: &'de [(String, Value)]) -> Self {
        Self { rest: entries.iter(), untagged: false, open: None }
    }

    fn untagged(entries: &'de [(String, Value)]) -> Self {
        Self { rest: entries.iter(), untagged: true, open: None }
    }

    fn advance(&mut self) -> Option<&'de (String, Value)> {
        let untagged = self.untagged;
        self.rest.find(|(key, _)| !(untagged && key == "kind"))
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.open = self.advance();
        let Some((key, value)) = self.open else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(key))
            .map(Some)
            .map_err(|error: Error| error.located(&value.origin))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let Some((key, value)) = self.open.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(value).map_err(|error| error.located(&value.origin).within(key))
    }
}

impl<'de> Deserializer<'de> for Fields<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A variant by its name, and what belongs to it.
struct Variant<'de> {
    name: &'de str,
    origin: &'de Origin,
    content: Fields<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Fields<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        let variant = seed.deserialize(name).map_err(|error| error.located(self.origin))?;
        Ok((variant, self.content))
    }
}

impl<'de> VariantAccess<'de> for Fields<'de> {
    type Error = Error;

    fn unit_variant(mut self) -> Result<(), Error> {
        match self.advance() {
            Some((key, value)) => Err(Error::unknown_key(key, &[]).located(&value.origin)),
            None => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("a tuple variant has no form in TOML"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self)
    }
}
