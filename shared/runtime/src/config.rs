//! Layered settings: defaults < TOML file < `NOVA__SECTION__KEY` in the environment < `--set section.key=value`.
//!
//! A section belongs to whoever asks for it; what nobody asked for is refused by [`Settings::finish`]. A `-` in the name
//! of a section is written `_` in the environment. Values from environment and flags are text, and become what the
//! asking type wants: `true`, `8`, `a,b` or `["a", "b"]`, `{ key = 1 }`.

mod dump;
mod error;
mod node;
mod read;
mod text;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::error::ConfigError;
pub use self::node::Origin;
use self::node::{Entry, Node};
use self::read::Reader;

/// The start of every variable that is a setting; a single underscore as in `NOVA_CONFIG` is none.
const ENV_PREFIX: &str = "NOVA__";

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment; what does not begin with `NOVA__` is passed over.
    pub env: Vec<(String, String)>,
    /// The values of `--set`, each `section.key=value`; later ones win.
    pub overrides: Vec<String>,
}

impl Sources {
    /// A file, the environment of this process, and overrides.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, overrides: Vec<String>) -> Self {
        // What is not UTF-8 keeps its name and gets replacement characters, so that its reader refuses it by name.
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .filter(|(name, _)| name.starts_with(ENV_PREFIX))
            .collect();
        Self { file, env, overrides }
    }
}

/// The settings of one process; clones share what was asked for.
#[derive(Clone)]
pub struct Settings {
    layers: Arc<Layers>,
    asked: Arc<Mutex<BTreeMap<String, Asked>>>,
}

struct Layers {
    file: BTreeMap<String, Node>,
    /// Environment, then flags: a later entry wins.
    entries: Vec<Entry>,
}

/// What is known about a section somebody asked for.
#[derive(Default, Clone)]
struct Asked {
    defaults: Option<Node>,
    fields: &'static [&'static str],
}

impl Settings {
    /// Reads all sources; which sections and keys may be there is checked when they are asked for.
    ///
    /// # Errors
    /// When the file cannot be read or is no TOML, or an entry of environment or flags names no section and key.
    pub fn load(sources: Sources) -> Result<Self, ConfigError> {
        let file = sources.file.as_deref().map(node::read_file).transpose()?.unwrap_or_default();
        let mut entries = Vec::new();
        for (variable, value) in sources.env {
            if let Some(path) = variable.strip_prefix(ENV_PREFIX) {
                entries.push(Entry::of_variable(&variable, path, value)?);
            }
        }
        // The environment has no order; two spellings of one key must not take turns.
        entries.sort_by(|a, b| a.origin.cmp(&b.origin));
        for text in &sources.overrides {
            entries.push(Entry::of_flag(text)?);
        }
        Ok(Self { layers: Arc::new(Layers { file, entries }), asked: Arc::default() })
    }

    /// The section `name` as a `T`; an absent section counts as empty.
    ///
    /// # Errors
    /// For a key `T` does not know (with `deny_unknown_fields`), a value it does not take, or one it misses; each names
    /// section, key and where it came from.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, ConfigError> {
        self.read(name, None)
    }

    /// Like [`section`](Self::section), with `T::default()` as the lowest layer, so that the dump shows defaults too.
    ///
    /// # Errors
    /// As [`section`](Self::section).
    pub fn section_with_defaults<T>(&self, name: &str) -> Result<T, ConfigError>
    where
        T: DeserializeOwned + Serialize + Default,
    {
        let defaults = toml::Value::try_from(T::default()).map_err(|error| ConfigError::Section {
            section: name.to_owned(),
            message: format!("its defaults cannot be written as TOML: {error}"),
        })?;
        self.read(name, Some(Node::of_toml(defaults, &Origin::Default)))
    }

    /// Refuses sections that nobody asked for.
    ///
    /// # Errors
    /// [`ConfigError::UnknownSection`] for the first one.
    pub fn finish(&self) -> Result<(), ConfigError> {
        let asked = self.asked();
        let in_file = self.layers.file.iter().find(|(name, _)| !asked.contains_key(*name));
        let in_entries = || self.layers.entries.iter().find(|entry| !asked.keys().any(|name| entry.is_for(name)));
        let unknown = in_file
            .map(|(name, node)| (name.clone(), node.origin().clone()))
            .or_else(|| in_entries().map(|entry| (entry.section.clone(), entry.origin.clone())));
        match unknown {
            None => Ok(()),
            Some((section, origin)) => {
                Err(ConfigError::UnknownSection { section, origin, known: error::list(asked.keys()) })
            }
        }
    }

    /// Everything in effect as TOML, with where it comes from behind each value.
    ///
    /// Call it after all sections were asked for. Secrets are references and show as such; what looks like a secret
    /// written out by mistake is hidden.
    #[must_use]
    pub fn dump(&self) -> String {
        let asked = self.asked();
        let mut names: Vec<&String> = asked.keys().chain(self.layers.file.keys()).collect();
        let unasked = self.layers.entries.iter().filter(|entry| !asked.keys().any(|name| entry.is_for(name)));
        names.extend(unasked.map(|entry| &entry.section));
        names.sort_unstable();
        names.dedup();
        let mut text = String::new();
        for name in names {
            let known = asked.get(name);
            let node = self.effective(name, known.and_then(|asked| asked.defaults.clone()));
            dump::section(&mut text, name, &node, known.map_or(&[], |asked| asked.fields));
        }
        text
    }

    fn read<T: DeserializeOwned>(&self, name: &str, defaults: Option<Node>) -> Result<T, ConfigError> {
        let node = self.effective(name, defaults.clone());
        let fields = Cell::new(&[][..]);
        let value = T::deserialize(Reader::top(node, &fields)).map_err(|fault| fault.in_section(name));
        let mut asked = self.asked();
        let known = asked.entry(name.to_owned()).or_default();
        known.fields = fields.get();
        known.defaults = defaults.or(known.defaults.take());
        value
    }

    /// All layers of one section, laid over each other.
    fn effective(&self, name: &str, defaults: Option<Node>) -> Node {
        let mut node = defaults.unwrap_or_else(|| Node::empty(Origin::Default));
        if let Some(from_file) = self.layers.file.get(name) {
            node.lay_over(from_file.clone());
        }
        for entry in self.layers.entries.iter().filter(|entry| entry.is_for(name)) {
            node.set(&entry.path, &entry.value, &entry.origin);
        }
        node
    }

    fn asked(&self) -> MutexGuard<'_, BTreeMap<String, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("sections", &self.layers.file.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
