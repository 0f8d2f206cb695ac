//! Crates that decide do no I/O, read no clock and roll no dice.

use crate::manifest;
use crate::rust::has_word;
use crate::{Finding, Tree};

const PURE: &[&str] = &["shared/types", "shared/wire", "shared/workflow", "coordinator/engine"];

/// The engine's only outside crates; with types it holds all state machines, so even a harmless-looking crate is asked about.
const ENGINE_MAY_USE: &[&str] = &["nova-types", "nova-workflow", "serde", "serde_json", "thiserror"];

/// Crates whose very presence means I/O, time or chance.
const IMPURE_CRATES: &[&str] = &[
    "tokio",
    "tokio-util",
    "futures-util",
    "fastrand",
    "rand",
    "uuid",
    "rustix",
    "axum",
    "hyper",
    "tracing",
    "anyhow",
];

/// What such code would have to write, as whole words.
const IMPURE_CALLS: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "thread::sleep",
    "thread::spawn",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "tokio",
    "async fn",
    "fastrand",
    "println",
    "eprintln",
];

/// Refuses I/O, clocks and randomness in the pure crates.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in manifest::crates(tree).iter().filter(|one| PURE.contains(&one.folder)) {
        for to in one.dependencies.iter().filter(|to| !to.for_tests) {
            let is_engine = one.folder == "coordinator/engine";
            if IMPURE_CRATES.contains(&to.name.as_str()) || is_engine && !ENGINE_MAY_USE.contains(&to.name.as_str()) {
                let advice = format!(
                    "{} is a pure crate and may not use {}; do that in the caller and pass the value",
                    one.name, to.name
                );
                found.push(Finding::at(&one.file.path, to.line, advice));
            }
        }
    }
    let is_pure =
        |path: &str| PURE.iter().any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with("/src/")));
    for (file, source) in tree.rust().filter(|(file, _)| is_pure(&file.path)) {
        for (line, code) in source.lines() {
            for call in IMPURE_CALLS.iter().filter(|call| has_word(code, call)) {
                let advice = format!("`{call}` in a pure crate; take the value as an argument (`now`, bytes, a seed)");
                found.push(Finding::at(&file.path, line, advice));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    #[test]
    fn values_come_in_as_arguments() {
        let files = [
            (
                "coordinator/engine/Cargo.toml",
                "[package]\nname = \"nova-engine\"\n[dependencies]\nnova-types = { workspace = true }\n",
            ),
            ("coordinator/engine/src/lib.rs", "//! Never calls `Instant::now`.\nfn step(now: Timestamp) {}\n"),
            ("shared/broker/src/a.rs", "//! A.\nlet a = Instant::now();\n"),
        ];
        check(law, &files, &[]);
    }

    #[test]
    fn clocks_and_crates_are_refused() {
        let files = [
            ("coordinator/engine/Cargo.toml", "[package]\nname = \"nova-engine\"\n[dependencies]\nregex = \"1\"\n"),
            ("shared/wire/Cargo.toml", "[package]\nname = \"nova-wire\"\n[dependencies]\ntokio = \"1\"\n"),
            ("coordinator/engine/src/lib.rs", "//! A.\nlet a = std::time::SystemTime::now();\n"),
            ("shared/types/src/id.rs", "//! A.\nasync fn a() {}\n"),
        ];
        let places = [
            "coordinator/engine/Cargo.toml:4",
            "shared/wire/Cargo.toml:4",
            "coordinator/engine/src/lib.rs:2",
            "shared/types/src/id.rs:2",
        ];
        check(law, &files, &places);
    }
}
