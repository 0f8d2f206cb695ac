//! Subjects are built and parsed in shared/wire only.

use crate::{Finding, Tree};

/// The second word of every subject of the contract.
const KINDS: &[&str] = &[
    "task", "outcome", "attempt", "schedule", "due", "control", "dead", "run", "snap", "event", "done", "reply", "call",
];

/// Refuses subject literals outside shared/wire and the asset definitions; tests may spell out what they expect.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.rust() {
        if file.is_test() || file.path.starts_with("shared/wire/") || file.path.starts_with("nats/") {
            continue;
        }
        for text in source.strings.iter().filter(|text| is_subject(&text.text) && !source.is_test_line(text.line)) {
            let advice = format!("\"{}\" spells a subject; build or parse it with shared/wire", text.text);
            found.push(Finding::at(&file.path, text.line, advice));
        }
    }
    found
}

fn is_subject(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("nova.") else { return false };
    KINDS.iter().any(|kind| rest.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    const BUILT: &str = "//! A.\n\nfn a() { let s = format!(\"nova.task.{skill}\"); }\n";

    #[test]
    fn wire_assets_tests_and_help_may_name_subjects() {
        let files = [
            ("shared/wire/src/a.rs", BUILT),
            ("nats/provision/src/a.rs", BUILT),
            ("tests/e2e/tests/a.rs", BUILT),
            (
                "cli/src/a.rs",
                "//! A.\n/// Publishes to \"nova.task.echo\".\n#[cfg(test)]\nmod tests {\n    const A: &str = \"nova.task.echo\";\n}\n",
            ),
            (
                "cli/src/b.rs",
                "//! B.\nconst A: &str = \"nova.toml\";\nconst B: &str = \"try nova.task.echo\";\nconst C: &str = \"nova.tasks\";\n",
            ),
        ];
        check(law, &files, &[]);
    }

    #[test]
    fn others_may_not_spell_them() {
        check(law, &[("shared/client/src/a.rs", BUILT)], &["shared/client/src/a.rs:3"]);
        check(law, &[("cli/src/a.rs", "//! A.\nconst A: &str = r\"nova.outcome\";\n")], &["cli/src/a.rs:2"]);
    }
}
