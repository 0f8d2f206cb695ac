//! Rust files say what they are for and stay small.

use super::generated::GENERATED;
use crate::{Finding, Tree};

/// Above this many lines a file has to say why it is one.
const ASK_ABOVE: usize = 400;

/// Above this many lines no reason helps.
const REFUSE_ABOVE: usize = 1000;

const REASON: &str = "Why one file:";

/// Refuses files without a `//!` first line, `mod.rs`, and files that are too long.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, _) in tree.rust() {
        let first = file.text.lines().next().unwrap_or_default();
        if first.strip_prefix("//!").is_none_or(|rest| rest.trim().is_empty()) {
            found.push(Finding::at(&file.path, 1, "begin with a `//!` line that says what the file is for"));
        }
        if file.path.ends_with("/mod.rs") {
            found.push(Finding::at(
                &file.path,
                1,
                "move this to `<module>.rs` beside its folder; there is no mod.rs here",
            ));
        }
        let lines = file.text.lines().count();
        if GENERATED.iter().any(|generated| generated.file == file.path) {
            continue;
        }
        let is_explained =
            file.text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains(REASON));
        if lines > REFUSE_ABOVE {
            found.push(Finding::at(
                &file.path,
                REFUSE_ABOVE,
                format!("{lines} lines; split it by command, event or idea"),
            ));
        } else if lines > ASK_ABOVE && !is_explained {
            let advice = format!("{lines} lines; two ideas? split it, or say `{REASON} ...` in its `//!` text");
            found.push(Finding::at(&file.path, ASK_ABOVE, advice));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    fn long(head: &str, lines: usize) -> String {
        format!("{head}\n{}", "// line\n".repeat(lines - 1))
    }

    #[test]
    fn a_short_file_with_a_purpose_passes() {
        check(law, &[("cli/src/a.rs", &long("//! A.", 400))], &[]);
        check(law, &[("cli/src/a.rs", &long("//! A. Why one file: a table.", 1000))], &[]);
        check(law, &[("workers/x/tests/fixtures/long.rs", &long("fn a() {}", 2000))], &[]);
    }

    #[test]
    fn purpose_name_and_size_are_asked_for() {
        check(law, &[("cli/src/a.rs", "fn a() {}\n")], &["cli/src/a.rs:1"]);
        check(law, &[("cli/src/a.rs", "//!\nfn a() {}\n")], &["cli/src/a.rs:1"]);
        check(law, &[("cli/src/a/mod.rs", "//! A.\n")], &["cli/src/a/mod.rs:1"]);
        check(law, &[("cli/src/a.rs", &long("//! A.", 401))], &["cli/src/a.rs:400"]);
        check(law, &[("cli/src/a.rs", &long("//! A. Why one file: a table.", 1001))], &["cli/src/a.rs:1000"]);
    }
}
