//! Which files are worth reading: a coarse look at name and first bytes, so that pictures never travel.
//!
//! The reviewers decide; this only has to let through everything they may know.

/// Extensions of the languages that `code-review` reads.
const KNOWN: &[(&str, &str)] = &[
    ("rs", "rust"),
    ("py", "python"),
    ("pyi", "python"),
    ("js", "javascript"),
    ("mjs", "javascript"),
    ("cjs", "javascript"),
    ("jsx", "javascript"),
    ("ts", "typescript"),
    ("mts", "typescript"),
    ("cts", "typescript"),
    ("tsx", "tsx"),
    ("go", "go"),
];
/// Interpreters whose scripts may have no extension.
const INTERPRETERS: &[(&str, &str)] = &[("python", "python"), ("node", "javascript")];

/// What a name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByName {
    /// Source of this language.
    Known(&'static str),
    /// Nothing to review.
    Unknown,
    /// The first line has to tell.
    FirstLine,
}

/// Looks at the name.
#[must_use]
pub fn by_name(path: &[u8]) -> ByName {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    // A name that begins with its only dot has no extension.
    let Some(dot @ 1..) = name.iter().rposition(|byte| *byte == b'.') else { return ByName::FirstLine };
    let known = KNOWN.iter().find(|(extension, _)| extension.as_bytes() == &name[dot + 1..]);
    known.map_or(ByName::Unknown, |(_, language)| ByName::Known(language))
}

/// The language of a file whose name tells nothing, by its first line.
#[must_use]
pub fn by_first_line(content: &[u8]) -> Option<&'static str> {
    let line = content.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    // No interpreter line is longer: the kernel itself cuts at 256 bytes.
    let line = String::from_utf8_lossy(&line[..line.len().min(256)]);
    let names = |name: &str| line.split(['/', ' ', '\r']).any(|word| word.starts_with(name));
    INTERPRETERS.iter().find(|(name, _)| names(name)).map(|(_, language)| *language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_tell_and_scripts_are_looked_at() {
        for (path, expect) in [
            ("src/a.rs", ByName::Known("rust")),
            ("web/b.d.ts", ByName::Known("typescript")),
            ("a.png", ByName::Unknown),
            ("README.md", ByName::Unknown),
            ("bin/tool", ByName::FirstLine),
            (".gitignore", ByName::FirstLine),
            ("dir.rs/Makefile", ByName::FirstLine),
        ] {
            assert_eq!(by_name(path.as_bytes()), expect, "{path}");
        }
        assert_eq!(by_first_line(b"#!/usr/bin/env python3\n"), Some("python"));
        assert!(by_first_line(b"#!/bin/sh\n").is_none() && by_first_line(b"all:\n").is_none());
    }
}
