//! Which crate may know which.

use crate::manifest::{self, Crate, Dependency};
use crate::{Finding, Tree};

/// What a crate may depend on, by folder. A crate may also name what its own dependencies name.
const EDGES: &[(&str, &[&str])] = &[
    ("shared/types", &[]),
    ("shared/wire", &["nova-types"]),
    ("shared/workflow", &["nova-types"]),
    // What the workers of a review and the command that shows it speak of.
    ("shared/review", &[]),
    ("shared/broker", &["nova-types", "nova-wire"]),
    ("shared/runtime", &["nova-types", "nova-broker"]),
    ("shared/worker", &["nova-types", "nova-wire", "nova-broker", "nova-runtime"]),
    ("shared/client", &["nova-types", "nova-wire", "nova-workflow", "nova-broker"]),
    ("shared/testkit", &["nova-types", "nova-wire", "nova-broker"]),
    ("coordinator/engine", &["nova-types", "nova-workflow"]),
    ("coordinator/server", &["nova-types", "nova-wire", "nova-workflow", "nova-broker", "nova-runtime", "nova-engine"]),
    ("nats/provision", &["nova-types", "nova-wire", "nova-broker"]),
    // Replaying a stored run is pure, so the command does it itself.
    (
        "cli",
        &[
            "nova-types",
            "nova-wire",
            "nova-workflow",
            "nova-review",
            "nova-engine",
            "nova-broker",
            "nova-client",
            "nova-provision",
        ],
    ),
    ("dashboard", &["nova-types", "nova-wire", "nova-broker", "nova-client"]),
    // A skill sees tasks and verdicts, never the broker: that is what makes it testable without one.
    ("workers/*", &["nova-types", "nova-worker", "nova-review"]),
];

/// Crates whose tests, too, are held to the edges: nothing with I/O may reach them.
const PURE: &[&str] = &["shared/types", "shared/wire", "shared/workflow", "coordinator/engine"];

/// Tests that look into programs: what these parse is fuzzed, what they decide is simulated, without their processes.
const LOOK_INSIDE: &[&str] = &["tests/fuzz", "tests/simulation"];

const TESTKIT: &str = "nova-testkit";

/// Refuses dependencies against the direction of the design.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let crates = manifest::crates(tree);
    crates
        .iter()
        .flat_map(|from| from.dependencies.iter().filter_map(|to| judge(&crates, from, to)))
        .chain(crates.iter().filter(|one| edges(one.folder).is_none() && !is_test(one.folder)).map(|one| {
            Finding::at(&one.file.path, 1, "no edges are set for this crate; add its folder to EDGES in tests/tidy")
        }))
        .collect()
}

fn judge(crates: &[Crate<'_>], from: &Crate<'_>, to: &Dependency) -> Option<Finding> {
    let target = crates.iter().find(|one| one.name == to.name)?;
    let refuse = |why: String| Some(Finding::at(&from.file.path, to.line, why));
    if is_binary(target.folder) && !LOOK_INSIDE.contains(&from.folder) {
        return refuse(format!(
            "{} is a program; move what is shared into a library crate, or run the program",
            to.name
        ));
    }
    if is_test(target.folder) {
        return refuse(format!("{} belongs to the tests; nothing imports it", to.name));
    }
    if is_test(from.folder) {
        return None;
    }
    let allowed = edges(from.folder)?;
    if allowed.contains(&to.name.as_str()) {
        return None;
    }
    if to.for_tests && !PURE.contains(&from.folder) {
        return None;
    }
    if to.name == TESTKIT {
        return refuse("nova-testkit is for tests; put it under [dev-dependencies]".into());
    }
    let allowed = if allowed.is_empty() { "no Nova crate".to_owned() } else { allowed.join(", ") };
    refuse(format!("{} may not depend on {}; it may on {allowed}", from.name, to.name))
}

fn edges(folder: &str) -> Option<&'static [&'static str]> {
    let folder = if folder.starts_with("workers/") { "workers/*" } else { folder };
    EDGES.iter().find(|(name, _)| *name == folder).map(|(_, edges)| *edges)
}

fn is_binary(folder: &str) -> bool {
    folder.starts_with("workers/") || ["cli", "dashboard", "coordinator/server"].contains(&folder)
}

fn is_test(folder: &str) -> bool {
    folder.starts_with("tests/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(folder: &str, section: &str, dependency: &str, places: usize) {
        let crates = [
            ("shared/types", "nova-types"),
            ("shared/broker", "nova-broker"),
            ("shared/worker", "nova-worker"),
            ("shared/runtime", "nova-runtime"),
            ("shared/testkit", "nova-testkit"),
            ("workers/echo", "nova-echo"),
            ("coordinator/engine", "nova-engine"),
            ("tests/e2e", "nova-e2e"),
            ("tests/fuzz", "nova-fuzz"),
        ];
        let files: Vec<(String, String)> = crates
            .iter()
            .map(|(at, name)| {
                let edge = if *at == folder {
                    format!("[{section}]\n{dependency} = {{ workspace = true }}\n")
                } else {
                    String::new()
                };
                (format!("{at}/Cargo.toml"), format!("[package]\nname = \"{name}\"\n{edge}"))
            })
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let place = format!("{folder}/Cargo.toml:4");
        crate::check(law, &files, &vec![place.as_str(); places]);
    }

    #[test]
    fn edges_follow_the_design() {
        check("shared/worker", "dependencies", "nova-runtime", 0);
        check("workers/echo", "dependencies", "nova-worker", 0);
        check("workers/echo", "dependencies", "nova-broker", 1);
        check("shared/types", "dependencies", "nova-broker", 1);
        check("coordinator/engine", "dependencies", "nova-runtime", 1);
    }

    #[test]
    fn the_testkit_is_for_tests() {
        check("shared/worker", "dev-dependencies", "nova-testkit", 0);
        check("tests/e2e", "dependencies", "nova-testkit", 0);
        check("shared/worker", "dependencies", "nova-testkit", 1);
        check("coordinator/engine", "dev-dependencies", "nova-testkit", 1);
    }

    #[test]
    fn nobody_imports_a_program() {
        check("shared/worker", "dev-dependencies", "nova-echo", 1);
        check("tests/e2e", "dependencies", "nova-echo", 1);
        check("tests/fuzz", "dependencies", "nova-echo", 0);
    }

    #[test]
    fn an_unknown_crate_needs_its_edges() {
        let files = [("shared/new/Cargo.toml", "[package]\nname = \"nova-new\"\n")];
        crate::check(law, &files, &["shared/new/Cargo.toml:1"]);
    }
}
