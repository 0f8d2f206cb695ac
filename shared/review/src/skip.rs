//! Why a file was not reviewed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a file was not reviewed: the reasons of who reads it first, then those of who reviews it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// A symbolic link: never followed.
    Symlink,
    /// Another repository.
    Submodule,
    /// Its name is no text.
    NonUtf8Name,
    /// Tracked, but not in the work tree.
    Missing,
    /// Something else stands where git knows a file.
    NotAFile,
    /// The system does not let us read it.
    Unreadable,
    /// Larger than the limit.
    TooLarge,
    /// Holds NUL bytes.
    Binary,
    /// No parser for its language.
    UnsupportedLanguage,
    /// Text, but not in UTF-8.
    NotUtf8,
    /// Written by a machine for a machine.
    Minified,
    /// Says of itself that a program wrote it.
    Generated,
    /// Nested too deeply.
    TooComplex,
    /// A reason that a newer worker knows.
    #[serde(other)]
    Other,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symlink => "symbolic link",
            Self::Submodule => "submodule",
            Self::NonUtf8Name => "name is not UTF-8",
            Self::Missing => "not in the work tree",
            Self::NotAFile => "not a file",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too large",
            Self::Binary => "binary",
            Self::UnsupportedLanguage => "no supported language",
            Self::NotUtf8 => "not UTF-8",
            Self::Minified => "minified",
            Self::Generated => "generated",
            Self::TooComplex => "too deeply nested",
            Self::Other => "another reason",
        })
    }
}
