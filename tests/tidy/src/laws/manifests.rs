//! Every crate's Cargo.toml has one shape, and versions and features are written once, at the top.

use crate::manifest;
use crate::{Finding, Tree};

const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

/// Refuses versions, features and lints that differ from crate to crate.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in manifest::crates(tree) {
        let is_inherited = |table: &str, key: Option<&str>| {
            let table = one.table.get(table);
            let value = if let Some(key) = key { table.and_then(|table| table.get(key)) } else { table };
            value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
        };
        for key in INHERITED.iter().filter(|key| !is_inherited("package", Some(key))) {
            let line = one.file.line_of(key);
            found.push(Finding::at(&one.file.path, line, format!("write `{key}.workspace = true` under [package]")));
        }
        if !is_inherited("lints", None) {
            found.push(Finding::at(&one.file.path, 1, "add `[lints]` with `workspace = true`"));
        }
        for to in one.dependencies.iter().filter(|to| !to.inherited) {
            let advice = format!(
                "put {} with its version and features into the top Cargo.toml and write `workspace = true` here",
                to.name
            );
            found.push(Finding::at(&one.file.path, to.line, advice));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    const GOOD: &str = "[package]\nname = \"nova-a\"\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
                        license.workspace = true\npublish.workspace = true\n[dependencies]\nbytes = { workspace = true }\n[lints]\nworkspace = true\n";

    #[test]
    fn the_usual_shape_passes() {
        check(law, &[("shared/a/Cargo.toml", GOOD)], &[]);
    }

    #[test]
    fn own_versions_and_lints_are_refused() {
        let own =
            GOOD.replace("edition.workspace = true", "edition = \"2021\"").replace("{ workspace = true }", "\"1\"");
        check(law, &[("shared/a/Cargo.toml", &own)], &["shared/a/Cargo.toml:4", "shared/a/Cargo.toml:9"]);
        let bare = GOOD.replace("[lints]\nworkspace = true\n", "");
        check(law, &[("shared/a/Cargo.toml", &bare)], &["shared/a/Cargo.toml:1"]);
    }
}
