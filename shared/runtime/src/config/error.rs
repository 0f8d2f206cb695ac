//! What can be wrong with settings; every message names the place, and none shows the content of a file.

use std::path::PathBuf;

use super::node::Origin;

/// Why settings could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read settings file {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("settings file {} is no TOML at line {line}: {message}", path.display())]
    ParseFile {
        /// The file.
        path: PathBuf,
        /// The line of the fault, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A key of the file stands outside any section.
    #[error("key `{key}` in settings file {} stands outside any section", path.display())]
    OutsideSection {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A variable that begins as a setting names no section and key.
    #[error("environment variable {variable} names no setting; write NOVA__SECTION__KEY")]
    Variable {
        /// The variable.
        variable: String,
    },
    /// A `--set` names no section and key.
    #[error("--set `{start}` names no setting; write --set section.key=value")]
    Flag {
        /// The part before the value.
        start: String,
    },
    /// Nobody knows this key.
    #[error("unknown key `{key}` in section `{section}`, from {origin}; allowed are {allowed}")]
    UnknownKey {
        /// The section.
        section: String,
        /// The key, with those it is nested in.
        key: String,
        /// Where it came from.
        origin: Origin,
        /// The keys that may stand there.
        allowed: String,
    },
    /// A key has a value that is not taken.
    #[error("wrong value of key `{key}` in section `{section}`, from {origin}: {message}")]
    WrongValue {
        /// The section.
        section: String,
        /// The key, with those it is nested in.
        key: String,
        /// Where it came from.
        origin: Origin,
        /// What is wrong with it.
        message: String,
    },
    /// A key that has no default is missing.
    #[error("section `{section}` lacks key `{key}`; set it in the file, by {variable} or by --set {section}.{key}=...")]
    MissingKey {
        /// The section.
        section: String,
        /// The key, with those it is nested in.
        key: String,
        /// The variable that would set it.
        variable: String,
    },
    /// A section as a whole is not taken.
    #[error("wrong section `{section}`: {message}")]
    Section {
        /// The section.
        section: String,
        /// What is wrong with it.
        message: String,
    },
    /// Nobody knows this section.
    #[error("unknown section `{section}`, from {origin}; allowed are {known}")]
    UnknownSection {
        /// The section.
        section: String,
        /// Where it came from.
        origin: Origin,
        /// The sections that may be there.
        known: String,
    },
}

impl ConfigError {
    /// Whether trying again may help: never, someone must change something.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        false
    }
}

/// Names for a message: `` `a`, `b` ``.
pub(super) fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
