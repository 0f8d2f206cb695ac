//! Reads a tree of settings into any serde type, and says which key failed and where it came from.

use std::cell::Cell;
use std::collections::{BTreeMap, btree_map};
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Unexpected, Visitor};

use super::error::{self, ConfigError};
use super::node::{Node, Origin};
use super::text;

/// What went wrong, gathered from the inside out.
#[derive(Debug)]
pub(super) struct Fault {
    what: What,
    /// The keys on the way to it, innermost first.
    path: Vec<String>,
    origin: Option<Origin>,
}

#[derive(Debug)]
enum What {
    Unknown { key: String, allowed: &'static [&'static str] },
    Missing(&'static str),
    Other(String),
}

impl Fault {
    fn new(what: What) -> Self {
        Self { what, path: Vec::new(), origin: None }
    }

    /// Adds a key that the fault lies under; the innermost origin is kept.
    fn under(mut self, key: &str, origin: &Origin) -> Self {
        self.path.push(key.to_owned());
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    pub(super) fn in_section(self, section: &str) -> ConfigError {
        let Self { what, path, origin } = self;
        let section = section.to_owned();
        let key_with =
            |last: Option<&str>| path.iter().rev().map(String::as_str).chain(last).collect::<Vec<_>>().join(".");
        let origin = origin.unwrap_or(Origin::Default);
        match what {
            What::Unknown { key, allowed } => {
                ConfigError::UnknownKey { key: key_with(Some(&key)), section, origin, allowed: error::list(allowed) }
            }
            What::Missing(key) => {
                let key = key_with(Some(key));
                let variable = format!("NOVA__{section}__{key}").replace('.', "__").replace('-', "_").to_uppercase();
                ConfigError::MissingKey { section, key, variable }
            }
            What::Other(message) if path.is_empty() => ConfigError::Section { section, message },
            What::Other(message) => ConfigError::WrongValue { key: key_with(None), section, origin, message },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Unknown { key, .. } => write!(f, "unknown key `{key}`"),
            What::Missing(key) => write!(f, "missing key `{key}`"),
            What::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(What::Other(message.to_string()))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(What::Unknown { key: field.to_owned(), allowed: expected })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(What::Missing(field))
    }
}

/// Reads one node.
pub(super) struct Reader<'a> {
    node: Node,
    /// Told the fields of the section's type, at the top only.
    fields: Option<&'a Cell<&'static [&'static str]>>,
}

impl<'a> Reader<'a> {
    pub(super) fn top(node: Node, fields: &'a Cell<&'static [&'static str]>) -> Self {
        Self { node, fields: Some(fields) }
    }

    fn of(node: Node) -> Self {
        Self { node, fields: None }
    }
}

impl IntoDeserializer<'_, Fault> for Reader<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Text that must be a number: parsed wide, and narrowed by the asking type, which knows its range.
macro_rules! numbers {
    ($($method:ident $wide:ty => $visit:ident,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match &self.node {
                Node::Text(text, _) => match text.trim().parse::<$wide>() {
                    Ok(number) => visitor.$visit(number),
                    Err(_) => Err(de::Error::invalid_value(Unexpected::Str(text), &visitor)),
                },
                _ => self.deserialize_any(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node {
            Node::Table(entries, _) => visitor.visit_map(Entries::of(entries)),
            Node::Typed(value, _) => value.deserialize_any(visitor).map_err(of_toml),
            Node::Text(text, _) => text::guess(&text).deserialize_any(visitor).map_err(of_toml),
        }
    }

    numbers! {
        deserialize_i8 i64 => visit_i64,
        deserialize_i16 i64 => visit_i64,
        deserialize_i32 i64 => visit_i64,
        deserialize_i64 i64 => visit_i64,
        deserialize_i128 i128 => visit_i128,
        deserialize_u8 u64 => visit_u64,
        deserialize_u16 u64 => visit_u64,
        deserialize_u32 u64 => visit_u64,
        deserialize_u64 u64 => visit_u64,
        deserialize_u128 u128 => visit_u128,
        deserialize_f32 f64 => visit_f64,
        deserialize_f64 f64 => visit_f64,
        deserialize_bool bool => visit_bool,
        deserialize_char char => visit_char,
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node {
            Node::Text(text, _) => visitor.visit_string(text),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node {
            Node::Text(text, origin) => match text::bracketed(&text, '[') {
                Some(array) => Reader::of(Node::of_toml(array, &origin)).deserialize_seq(visitor),
                None => {
                    let items = text::items(&text).into_iter().map(|item| Reader::of(Node::Text(item, origin.clone())));
                    visitor.visit_seq(SeqDeserializer::new(items))
                }
            },
            Node::Typed(toml::Value::Array(items), origin) => {
                let items = items.into_iter().map(|item| Reader::of(Node::of_toml(item, &origin)));
                visitor.visit_seq(SeqDeserializer::new(items))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if let Some(told) = self.fields {
            told.set(fields);
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node {
            Node::Text(text, origin) => match text::bracketed(&text, '{') {
                Some(table) => Reader::of(Node::of_toml(table, &origin)).deserialize_any(visitor),
                None => Err(de::Error::invalid_type(Unexpected::Str(&text), &visitor)),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.node {
            Node::Text(text, _) | Node::Typed(toml::Value::String(text), _) => {
                visitor.visit_enum(text.into_deserializer())
            }
            Node::Table(entries, _) => visitor.visit_enum(MapAccessDeserializer::new(Entries::of(entries))),
            Node::Typed(value, _) => Err(de::Error::invalid_type(Unexpected::Other(value.type_str()), &visitor)),
        }
    }

    serde::forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct identifier ignored_any
    }
}

/// The keys of a table, each error marked with the key it lies under.
struct Entries {
    rest: btree_map::IntoIter<String, Node>,
    value: Option<(String, Node)>,
}

impl Entries {
    fn of(entries: BTreeMap<String, Node>) -> Self {
        Self { rest: entries.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, node)) = self.rest.next() else { return Ok(None) };
        // A key nobody knows is told here, and its fault already has its name: only the origin is missing.
        let read = seed.deserialize(key.as_str().into_deserializer()).map_err(|mut fault: Fault| {
            fault.origin = Some(node.innermost_origin().clone());
            fault
        })?;
        self.value = Some((key, node));
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.value.take().expect("serde asks for a value only after its key");
        let origin = node.origin().clone();
        seed.deserialize(Reader::of(node)).map_err(|fault| fault.under(&key, &origin))
    }
}

/// A fault inside a TOML value, whose own type of error has no keys of ours.
fn of_toml(error: toml::de::Error) -> Fault {
    de::Error::custom(error.message())
}
