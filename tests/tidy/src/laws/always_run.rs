//! A test that exists runs: none is skipped, none passes by panicking.

use crate::rust::has_word;
use crate::{Finding, Tree};

/// Refuses ignored tests and tests that pass by any panic, in code and in doc examples.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.rust() {
        for (line, code) in source.lines() {
            let is_attribute = code.trim_start().starts_with("#[") || code.contains("cfg_attr");
            if is_attribute && has_word(code, "should_panic") {
                found.push(Finding::at(
                    &file.path,
                    line,
                    "check the error or catch_unwind its message; should_panic passes on any panic",
                ));
            } else if is_attribute && has_word(code, "ignore") {
                found.push(Finding::at(
                    &file.path,
                    line,
                    "run the test always, or delete it; an ignored test proves nothing",
                ));
            }
        }
        for comment in &source.comments {
            let Some((_, fence)) = comment.text.split_once("```") else { continue };
            if fence.split(',').any(|word| ["ignore", "should_panic"].contains(&word.trim())) {
                found.push(Finding::at(&file.path, comment.line, "let the example compile, or mark it `text`"));
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
    fn tests_and_examples_that_run_pass() {
        let text =
            "//! A.\n/// ```no_run\n/// ```\n#[test]\nfn ignore_is_a_word() { let should_panic = \"#[ignore]\"; }\n";
        check(law, &[("cli/src/a.rs", text)], &[]);
    }

    #[test]
    fn skipped_and_panicking_tests_are_refused() {
        let text = "//! A.\n#[test]\n#[ignore = \"slow\"]\nfn a() {}\n#[test]\n#[should_panic]\nfn b() {}\n/// ```rust,ignore\n/// ```\n";
        check(law, &[("cli/src/a.rs", text)], &["cli/src/a.rs:3", "cli/src/a.rs:6", "cli/src/a.rs:8"]);
        check(law, &[("cli/src/a.rs", "//! A.\n#[test] #[ignore]\nfn a() {}\n")], &["cli/src/a.rs:2"]);
    }
}
