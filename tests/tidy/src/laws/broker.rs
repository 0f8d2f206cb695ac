//! Only shared/broker sees the NATS client: in manifests, in the lock file and in code.

use crate::manifest;
use crate::rust::has_word;
use crate::{Finding, Tree};

const DOOR: &str = "shared/broker";
const ADVICE: &str = "only shared/broker may use async-nats; use its ports, or add what is missing to them";

/// Refuses the NATS client outside its one crate.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in manifest::crates(tree).iter().filter(|one| one.folder != DOOR) {
        let direct = one.dependencies.iter().filter(|to| to.name == "async-nats");
        found.extend(direct.map(|to| Finding::at(&one.file.path, to.line, ADVICE)));
    }
    for (file, source) in tree.rust().filter(|(file, _)| !file.path.starts_with("shared/broker/")) {
        let uses = source.lines().filter(|(_, line)| has_word(line, "async_nats"));
        found.extend(uses.map(|(line, _)| Finding::at(&file.path, line, ADVICE)));
    }
    if let Some(lock) = tree.file("Cargo.lock") {
        found.extend(locked(&lock.text));
    }
    found
}

/// Finds packages of the lock file, ours or not, that bring the client in by another way.
fn locked(text: &str) -> Vec<Finding> {
    let mut name = "";
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(rest) = line.strip_prefix("name = ") {
            name = rest.trim_matches('"');
        }
        let is_client = line.trim().trim_start_matches('"').starts_with("async-nats") && line.starts_with(' ');
        if is_client && name != "nova-broker" {
            found.push(Finding::at("Cargo.lock", index + 1, format!("{name} depends on async-nats; {ADVICE}")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    #[test]
    fn the_broker_crate_may() {
        let files = [
            (
                "shared/broker/Cargo.toml",
                "[package]\nname = \"nova-broker\"\n[dependencies]\nasync-nats = { workspace = true }\n",
            ),
            ("shared/broker/src/a.rs", "//! A.\nuse async_nats::Client;\n"),
            ("cli/src/a.rs", "//! Nothing of async_nats here.\n"),
            (
                "Cargo.lock",
                "[[package]]\nname = \"async-nats\"\n\n[[package]]\nname = \"nova-broker\"\ndependencies = [\n \"async-nats\",\n]\n",
            ),
        ];
        check(law, &files, &[]);
    }

    #[test]
    fn nobody_else_may() {
        let files = [
            ("cli/Cargo.toml", "[package]\nname = \"nova-cli\"\n[dev-dependencies]\nasync-nats = \"1\"\n"),
            ("cli/src/a.rs", "//! A.\nuse async_nats::Client;\n"),
            ("Cargo.lock", "[[package]]\nname = \"x\"\ndependencies = [\n \"async-nats\",\n]\n"),
        ];
        check(law, &files, &["cli/Cargo.toml:4", "cli/src/a.rs:2", "Cargo.lock:4"]);
    }
}
