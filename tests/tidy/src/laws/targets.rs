//! Every `make` command shown in a document is one the Makefile knows.

use crate::{Finding, Tree, markdown};

/// Refuses documents that name make targets which do not exist.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let Some(makefile) = tree.file("Makefile") else { return Vec::new() };
    let known: Vec<&str> = makefile
        .text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| is_target(name))
        .collect();
    let mut found = Vec::new();
    for file in tree.ending(".md") {
        for line in markdown::lines(&file.text) {
            for name in line.code.iter().flat_map(|code| named(code)).filter(|name| !known.contains(name)) {
                let advice = format!("the Makefile has no target `{name}`; `make help` lists those it has");
                found.push(Finding::at(&file.path, line.number, advice));
            }
        }
    }
    found
}

/// Picks the targets of a command line, which may hold several commands.
fn named(code: &str) -> Vec<&str> {
    let commands = code.split(['#']).next().unwrap_or_default().split([';', '&', '|', '(']);
    commands
        .filter_map(|command| {
            let words: Vec<&str> = command.trim().trim_start_matches("$ ").split_whitespace().collect();
            let start = words.iter().position(|word| !word.contains('='))?;
            (words.get(start) == Some(&"make")).then(|| words[start + 1..].to_vec())
        })
        .flatten()
        .filter(|word| is_target(word))
        .collect()
}

fn is_target(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    const MAKEFILE: (&str, &str) =
        ("Makefile", ".PHONY: test\nREPO = .\ntest: build ## run\nnew-worker:\n\tcargo x: y\n");

    #[test]
    fn known_targets_and_prose_pass() {
        let text = "make sure to run `make test` or `make new-worker NAME=x`\n```sh\n$ A=1 make -j4 test && echo make nothing # make no\n```\n";
        check(law, &[MAKEFILE, ("README.md", text)], &[]);
    }

    #[test]
    fn unknown_targets_are_refused() {
        let text = "`make tests`\n```\ncd x && make install\n```\n";
        check(law, &[MAKEFILE, ("docs/a.md", text)], &["docs/a.md:1", "docs/a.md:3"]);
    }
}
