//! A worker is one folder with a short main, a README and a catalogue line; a catalogue line has its worker.

use std::collections::BTreeMap;

use crate::{File, Finding, Tree};

const CATALOGUE: &str = "nats/skills.toml";

/// A worker's main only names its skill; from here on it does more.
const MAIN_BELOW: usize = 20;

/// Refuses workers that are not in the catalogue, catalogue lines without a worker, and workers of another shape.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let folders: Vec<&str> = tree
        .ending("/Cargo.toml")
        .filter_map(|file| file.path.strip_prefix("workers/")?.strip_suffix("/Cargo.toml"))
        .filter(|name| !name.contains('/'))
        .collect();
    let mut found = Vec::new();
    for name in &folders {
        let manifest = format!("workers/{name}/Cargo.toml");
        let package = format!("name = \"nova-{name}\"");
        if !tree.file(&manifest).is_some_and(|file| file.text.contains(&package)) {
            found.push(Finding::at(&manifest, 1, format!("call the package nova-{name}, after its folder")));
        }
        match tree.file(&format!("workers/{name}/src/main.rs")) {
            None => {
                found.push(Finding::at(&manifest, 1, format!("add workers/{name}/src/main.rs: a worker is a program")))
            }
            Some(main) if main.text.lines().count() >= MAIN_BELOW => {
                let advice = format!("keep main below {MAIN_BELOW} lines; move the rest into the skill");
                found.push(Finding::at(&main.path, MAIN_BELOW, advice));
            }
            Some(_) => {}
        }
        if tree.file(&format!("workers/{name}/README.md")).is_none() {
            found.push(Finding::at(
                &manifest,
                1,
                format!("add workers/{name}/README.md: what the skill does, takes and gives"),
            ));
        }
    }
    let Some(catalogue) = tree.file(CATALOGUE) else {
        if !folders.is_empty() {
            found.push(Finding::at(CATALOGUE, 1, "the catalogue of skills is missing"));
        }
        return found;
    };
    let skills = skills(catalogue);
    for name in folders.iter().filter(|name| !skills.contains_key(**name)) {
        found.push(Finding::at(CATALOGUE, 1, format!("add the skill of workers/{name}, or no queue exists for it")));
    }
    for (name, line) in skills.iter().filter(|(name, _)| !folders.contains(&name.as_str())) {
        found.push(Finding::at(
            CATALOGUE,
            *line,
            format!("no workers/{name} exists; add the worker or delete the entry"),
        ));
    }
    found
}

/// Reads the names of the catalogue, each with its line: one table per skill.
fn skills(catalogue: &File) -> BTreeMap<String, usize> {
    let table: toml::Table = catalogue.text.parse().unwrap_or_default();
    let line_of = |name: &str| {
        let is_here = |line: &str| {
            line.trim_start_matches('[').strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '=', ']']))
        };
        catalogue.text.lines().position(is_here).map_or(1, |index| index + 1)
    };
    table.iter().filter(|(_, value)| value.is_table()).map(|(name, _)| (name.clone(), line_of(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    const MANIFEST: (&str, &str) = ("workers/echo/Cargo.toml", "[package]\nname = \"nova-echo\"\n");
    const MAIN: (&str, &str) = ("workers/echo/src/main.rs", "//! Runs echo.\nfn main() {}\n");
    const README: (&str, &str) = ("workers/echo/README.md", "# echo\n");

    #[test]
    fn a_worker_with_its_line_passes() {
        for catalogue in ["echo = { lease = \"10s\" }\n", "[echo]\nlease = \"10s\"\n"] {
            check(law, &[MANIFEST, MAIN, README, (CATALOGUE, catalogue)], &[]);
        }
    }

    #[test]
    fn catalogue_and_folders_must_agree() {
        let catalogue = "# echo was here\n\nothers = 1\nother = {}\n";
        check(law, &[MANIFEST, MAIN, README, (CATALOGUE, catalogue)], &["nats/skills.toml:1", "nats/skills.toml:4"]);
        check(law, &[MANIFEST, MAIN, README], &["nats/skills.toml:1"]);
    }

    #[test]
    fn the_shape_of_a_worker_is_asked_for() {
        let catalogue = (CATALOGUE, "[echo]\n");
        check(law, &[MANIFEST, catalogue], &["workers/echo/Cargo.toml:1", "workers/echo/Cargo.toml:1"]);
        let long = format!("//! Runs echo.\n{}", "// more\n".repeat(19));
        check(law, &[MANIFEST, (MAIN.0, &long), README, catalogue], &["workers/echo/src/main.rs:20"]);
        let misnamed = (MANIFEST.0, "[package]\nname = \"nova-other\"\n");
        check(law, &[misnamed, MAIN, README, catalogue], &["workers/echo/Cargo.toml:1"]);
    }
}
