//! The tree of settings: values that remember where they came from, and how one layer covers another.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::ConfigError;

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The settings file.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// A `--set`, by what stands before its value.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(variable) => write!(f, "environment {variable}"),
            Self::Flag(start) => write!(f, "flag --set {start}"),
        }
    }
}

/// A setting, or a table of them.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Table(BTreeMap<String, Self>, Origin),
    /// A value that TOML gave a type.
    Typed(toml::Value, Origin),
    /// A value whose type is the asking one's to choose.
    Text(String, Origin),
}

impl Node {
    pub(super) fn empty(origin: Origin) -> Self {
        Self::Table(BTreeMap::new(), origin)
    }

    pub(super) fn of_toml(value: toml::Value, origin: &Origin) -> Self {
        match value {
            toml::Value::Table(table) => {
                let entries = table.into_iter().map(|(key, value)| (key, Self::of_toml(value, origin)));
                Self::Table(entries.collect(), origin.clone())
            }
            value => Self::Typed(value, origin.clone()),
        }
    }

    pub(super) fn origin(&self) -> &Origin {
        match self {
            Self::Table(_, origin) | Self::Typed(_, origin) | Self::Text(_, origin) => origin,
        }
    }

    /// The origin of the first value inside: a table may be laid together from many layers.
    pub(super) fn innermost_origin(&self) -> &Origin {
        match self {
            Self::Table(entries, origin) => entries.values().next().map_or(origin, Self::innermost_origin),
            _ => self.origin(),
        }
    }

    /// Covers this node with `upper`: tables merge key by key, all else is replaced.
    pub(super) fn lay_over(&mut self, upper: Self) {
        match (self, upper) {
            (Self::Table(lower, origin), Self::Table(upper, upper_origin)) => {
                *origin = upper_origin;
                for (key, node) in upper {
                    match lower.get_mut(&key) {
                        Some(covered) => covered.lay_over(node),
                        None => drop(lower.insert(key, node)),
                    }
                }
            }
            (lower, upper) => *lower = upper,
        }
    }

    /// Sets the text at `path`; a key already there is found with `-` and `_` taken as the same.
    pub(super) fn set(&mut self, path: &[String], text: &str, origin: &Origin) {
        let Some((key, rest)) = path.split_first() else {
            *self = Self::Text(text.to_owned(), origin.clone());
            return;
        };
        if !matches!(self, Self::Table(..)) {
            *self = Self::empty(origin.clone());
        }
        if let Self::Table(entries, _) = self {
            let known = entries.keys().find(|known| folded(known) == folded(key)).unwrap_or(key).clone();
            entries.entry(known).or_insert_with(|| Self::empty(origin.clone())).set(rest, text, origin);
        }
    }
}

/// One setting from environment or flags.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) path: Vec<String>,
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl Entry {
    /// `path` is what follows the prefix, as in `SECTION__KEY`.
    pub(super) fn of_variable(variable: &str, path: &str, value: String) -> Result<Self, ConfigError> {
        let names = path.split("__").map(str::to_ascii_lowercase).collect();
        Self::new(names, value, Origin::Env(variable.to_owned()))
            .ok_or_else(|| ConfigError::Variable { variable: variable.to_owned() })
    }

    /// `text` is `section.key=value`.
    pub(super) fn of_flag(text: &str) -> Result<Self, ConfigError> {
        let (start, value) = text.split_once('=').unwrap_or((text, ""));
        let refused = || ConfigError::Flag { start: start.to_owned() };
        if !text.contains('=') {
            return Err(refused());
        }
        let names = start.trim().split('.').map(str::to_owned).collect();
        Self::new(names, value.to_owned(), Origin::Flag(start.trim().to_owned())).ok_or_else(refused)
    }

    fn new(names: Vec<String>, value: String, origin: Origin) -> Option<Self> {
        if names.len() < 2 || names.iter().any(String::is_empty) {
            return None;
        }
        let mut names = names.into_iter();
        Some(Self { section: names.next()?, path: names.collect(), value, origin })
    }

    /// Whether this entry belongs to the section `name`.
    pub(super) fn is_for(&self, name: &str) -> bool {
        folded(&self.section) == folded(name)
    }
}

/// Names as the environment can write them.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// The sections of a TOML file.
pub(super) fn read_file(path: &Path) -> Result<BTreeMap<String, Node>, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::ReadFile { path: path.to_owned(), source })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // The error's own display quotes the line, which may hold what nobody should see.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        ConfigError::ParseFile { path: path.to_owned(), line, message: error.message().to_owned() }
    })?;
    let origin = Origin::File(path.to_owned());
    let section = |(key, value): (String, toml::Value)| match value {
        toml::Value::Table(_) => Ok((key, Node::of_toml(value, &origin))),
        _ => Err(ConfigError::OutsideSection { path: path.to_owned(), key }),
    };
    table.into_iter().map(section).collect()
}
