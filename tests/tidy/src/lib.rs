//! Repository laws as pure functions: a tree of files in, findings out.
//!
//! Each law lives in one file under `laws/`, with the cases it must refuse and the cases it must let pass. The driver in
//! `tests/repository.rs` reads the checkout once and runs them all.

pub mod laws;
mod manifest;
mod markdown;
mod rust;
mod tree;

use std::fmt;

pub use tree::{File, Tree};

/// One broken law: where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the root of the checkout.
    pub path: String,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub advice: String,
}

impl Finding {
    /// Notes a broken law at a line of a file.
    pub fn at(path: impl Into<String>, line: usize, advice: impl Into<String>) -> Self {
        Self { path: path.into(), line, advice: advice.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.advice)
    }
}

/// Runs one law over made-up files and compares the places it finds.
#[cfg(test)]
fn check(law: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], places: &[&str]) {
    let findings = law(&Tree::of(files));
    let found: Vec<String> = findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect();
    assert_eq!(found, places, "{findings:#?}");
}
