//! What may stand at the top level.

use crate::{Finding, Tree};

const FOLDERS: &[&str] = &[
    ".ci",
    "cli",
    "coordinator",
    "dashboard",
    "deploy",
    "docs",
    "editors",
    "nats",
    "sdks",
    "shared",
    "tests",
    "workers",
];

const FILES: &[&str] = &[
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "deny.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
];

/// Refuses new top-level entries: the layout is part of the design.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let is_known = |path: &str| is_in_known_folder(path) || FILES.contains(&path);
    let strange = tree.files.iter().filter(|file| !is_known(&file.path));
    strange
        .map(|file| Finding::at(&file.path, 1, "not part of the layout; move it below the folder it belongs to"))
        .collect()
}

/// Tells whether a path lies below a top-level folder of the layout.
pub(crate) fn is_in_known_folder(path: &str) -> bool {
    path.split_once('/').is_some_and(|(folder, _)| FOLDERS.contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    #[test]
    fn the_layout_passes() {
        check(law, &[("Cargo.toml", ""), (".ci/run", ""), ("workers/echo/README.md", "")], &[]);
    }

    #[test]
    fn anything_else_is_refused() {
        check(
            law,
            &[("scripts/a.sh", ""), ("notes.md", ""), ("shared", "")],
            &["scripts/a.sh:1", "notes.md:1", "shared:1"],
        );
    }
}
