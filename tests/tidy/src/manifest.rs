//! What a crate's Cargo.toml says about its dependencies.

use crate::{File, Tree};

/// A crate of this workspace.
#[derive(Debug)]
pub(crate) struct Crate<'a> {
    pub file: &'a File,
    /// Folder from the root, such as `shared/wire`.
    pub folder: &'a str,
    pub name: String,
    pub table: toml::Table,
    pub dependencies: Vec<Dependency>,
}

/// One line of a dependency table.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub name: String,
    pub for_tests: bool,
    /// Taken from the workspace's table, where versions and features are written once.
    pub inherited: bool,
    pub line: usize,
}

/// Reads every crate of the tree; what does not parse is cargo's to report.
pub(crate) fn crates(tree: &Tree) -> Vec<Crate<'_>> {
    tree.ending("/Cargo.toml").filter_map(read).collect()
}

fn read(file: &File) -> Option<Crate<'_>> {
    let folder = file.path.strip_suffix("/Cargo.toml")?;
    let table: toml::Table = file.text.parse().ok()?;
    let name = table.get("package")?.get("name")?.as_str()?.to_owned();
    let mut dependencies = Vec::new();
    collect(file, &table, &mut dependencies);
    for target in table.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values) {
        collect(file, target.as_table()?, &mut dependencies);
    }
    Some(Crate { file, folder, name, table, dependencies })
}

fn collect(file: &File, table: &toml::Table, found: &mut Vec<Dependency>) {
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let entries = table.get(section).and_then(toml::Value::as_table).into_iter().flatten();
        for (key, value) in entries {
            let name = value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned();
            let inherited = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
            let line = line_of(file, section, key);
            found.push(Dependency { name, for_tests: section == "dev-dependencies", inherited, line });
        }
    }
}

fn line_of(file: &File, section: &str, key: &str) -> usize {
    let mut inside = false;
    for (index, line) in file.text.lines().enumerate() {
        if let Some(header) = line.trim().strip_prefix('[').and_then(|line| line.split(']').next()) {
            inside = header.ends_with(section) && !header.ends_with(&format!("-{section}"));
            if header == format!("{section}.{key}") {
                return index + 1;
            }
        } else if inside && line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', '=', '.'])) {
            return index + 1;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_with_their_lines() {
        let text = "[package]\nname = \"nova-a\"\n[dependencies]\nnova-b = { workspace = true }\n[dev-dependencies]\nnova-c = \"1\"\n";
        let tree = Tree::of(&[("shared/a/Cargo.toml", text)]);
        let found = crates(&tree);
        assert_eq!((found[0].name.as_str(), found[0].folder), ("nova-a", "shared/a"));
        let seen: Vec<_> =
            found[0].dependencies.iter().map(|d| (d.name.as_str(), d.for_tests, d.inherited, d.line)).collect();
        assert_eq!(seen, [("nova-b", false, true, 4), ("nova-c", true, false, 6)]);
    }
}
