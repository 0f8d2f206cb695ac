//! The languages the skill understands, and how one is recognised from a path, a name or a first line.

use std::path::Path;

use ast_grep_language::SupportLang;
use serde::Serialize;

/// A language whose files can be reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust.
    Rust,
    /// Python 3.
    Python,
    /// JavaScript, with JSX.
    JavaScript,
    /// TypeScript without JSX.
    TypeScript,
    /// TypeScript with JSX.
    Tsx,
    /// Go.
    Go,
}

impl Language {
    /// Every language, in the order of their indexes.
    pub const ALL: [Self; 6] = [Self::Rust, Self::Python, Self::JavaScript, Self::TypeScript, Self::Tsx, Self::Go];

    /// Position in [`Language::ALL`], for tables with one slot per language.
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The lower-case name used in task inputs and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Tsx => "tsx",
            Self::Go => "go",
        }
    }

    /// Finds a language by name or common short name, ignoring case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_support(name.parse().ok()?)
    }

    /// Guesses the language from the extension, and for files without one from a `#!` line.
    pub fn detect(path: &str, content: &[u8]) -> Option<Self> {
        match Path::new(path).extension().and_then(|extension| extension.to_str()) {
            Some("rs") => Some(Self::Rust),
            Some("py" | "pyi") => Some(Self::Python),
            Some("js" | "mjs" | "cjs" | "jsx") => Some(Self::JavaScript),
            Some("ts" | "mts" | "cts") => Some(Self::TypeScript),
            Some("tsx") => Some(Self::Tsx),
            Some("go") => Some(Self::Go),
            Some(_) => None,
            None => Self::from_shebang(content),
        }
    }

    fn from_shebang(content: &[u8]) -> Option<Self> {
        let line = content.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
        // No interpreter line is longer: the kernel itself cuts at 256 bytes.
        let line = std::str::from_utf8(&line[..line.len().min(256)]).ok()?;
        let is = |name: &str| line.split(['/', ' ', '\r']).any(|word| word.starts_with(name));
        if is("python") {
            Some(Self::Python)
        } else if is("node") {
            Some(Self::JavaScript)
        } else {
            None
        }
    }

    pub(crate) fn from_support(support: SupportLang) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.support() == support)
    }

    pub(crate) fn support(self) -> SupportLang {
        match self {
            Self::Rust => SupportLang::Rust,
            Self::Python => SupportLang::Python,
            Self::JavaScript => SupportLang::JavaScript,
            Self::TypeScript => SupportLang::TypeScript,
            Self::Tsx => SupportLang::Tsx,
            Self::Go => SupportLang::Go,
        }
    }

    /// The languages a rule written for this one is applied to.
    ///
    /// TypeScript grew out of JavaScript, so a JavaScript rule holds in all three of them.
    pub(crate) fn dialects(self) -> &'static [Self] {
        match self {
            Self::JavaScript => &[Self::JavaScript, Self::TypeScript, Self::Tsx],
            Self::TypeScript => &[Self::TypeScript, Self::Tsx],
            Self::Rust => &[Self::Rust],
            Self::Python => &[Self::Python],
            Self::Tsx => &[Self::Tsx],
            Self::Go => &[Self::Go],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extension_decides_before_the_first_line() {
        assert_eq!(Language::detect("src/a.rs", b"#!/usr/bin/env python3\n"), Some(Language::Rust));
        assert_eq!(Language::detect("web/App.tsx", b""), Some(Language::Tsx));
        assert_eq!(Language::detect("types.d.ts", b""), Some(Language::TypeScript));
        assert_eq!(Language::detect("notes.txt", b"#!/usr/bin/env python3\n"), None);
    }

    #[test]
    fn interpreter_line_decides_when_there_is_no_extension() {
        assert_eq!(Language::detect("bin/tool", b"#!/usr/bin/env python3\nprint()"), Some(Language::Python));
        assert_eq!(Language::detect("bin/tool", b"#!/usr/local/bin/node\n"), Some(Language::JavaScript));
        assert_eq!(Language::detect("bin/tool", b"#!/bin/sh\n"), None);
        assert_eq!(Language::detect("Makefile", b"all:\n"), None);
    }

    #[test]
    fn names_round_trip_and_languages_without_a_parser_are_unknown() {
        for (index, language) in Language::ALL.into_iter().enumerate() {
            assert_eq!(language.index(), index);
            assert_eq!(Language::from_name(language.name()), Some(language));
        }
        assert_eq!(Language::from_name("TS"), Some(Language::TypeScript));
        assert_eq!(Language::from_name("kotlin"), None);
        assert_eq!(Language::from_name("cobol"), None);
    }
}
