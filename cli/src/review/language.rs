//! Which files are worth sending: a coarse look at name and first bytes, so that pictures never travel.
//!
//! The workers decide; this only has to let through everything they may know.

/// Extensions of the languages that `code-review` reads.
const KNOWN: &[&str] = &["rs", "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "go"];
/// Interpreters whose scripts may have no extension.
const INTERPRETERS: &[&str] = &["python", "node"];

/// What a name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByName {
    /// Source of a known language.
    Known,
    /// Nothing to review.
    Unknown,
    /// The first line has to tell.
    FirstLine,
}

/// Looks at the name.
pub(crate) fn by_name(path: &[u8]) -> ByName {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    // A name that begins with its only dot has no extension.
    match name.iter().rposition(|byte| *byte == b'.') {
        None | Some(0) => ByName::FirstLine,
        Some(dot) if KNOWN.iter().any(|known| known.as_bytes() == &name[dot + 1..]) => ByName::Known,
        Some(_) => ByName::Unknown,
    }
}

/// Looks at the first line of a file whose name tells nothing.
pub(crate) fn by_first_line(content: &[u8]) -> bool {
    let Some(rest) = content.strip_prefix(b"#!") else { return false };
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(256)]).into_owned();
    INTERPRETERS.iter().any(|name| line.split(['/', ' ']).any(|word| word.starts_with(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_tell_and_scripts_are_looked_at() {
        for (path, expect) in [
            ("src/a.rs", ByName::Known),
            ("web/b.d.ts", ByName::Known),
            ("a.png", ByName::Unknown),
            ("README.md", ByName::Unknown),
            ("bin/tool", ByName::FirstLine),
            (".gitignore", ByName::FirstLine),
            ("dir.rs/Makefile", ByName::FirstLine),
        ] {
            assert_eq!(by_name(path.as_bytes()), expect, "{path}");
        }
        assert!(by_first_line(b"#!/usr/bin/env python3\n"));
        assert!(!by_first_line(b"#!/bin/sh\n") && !by_first_line(b"all:\n"));
    }
}
