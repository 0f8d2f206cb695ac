//! Nothing in the repository knows the machine it was written on, or where packages come from.

use crate::{Finding, Tree};

/// Top-level folders in which people and build machines keep their checkouts.
const HOMES: &[&str] = &["home", "root", "Users", "work", "workspace", "builds"];

/// People who live in examples only; a name of one letter is one of them, too.
const NOBODY: &[&str] = &["me", "nova", "someone", "user"];

/// Hosts of package registries, in two halves: this file is searched, too.
const REGISTRIES: &[(&str, &str)] = &[
    ("crates", "io"),
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("npmjs", "org"),
    ("npmjs", "com"),
    ("golang", "org"),
    ("rubygems", "org"),
];

/// The lock file names the registry by design of cargo; the licence is not our text.
const EXCEPT: &[&str] = &["Cargo.lock", "LICENSE"];

/// Refuses absolute paths of one machine and host names of registries.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let homes: Vec<String> = HOMES.iter().map(|name| format!("/{name}/")).collect();
    let hosts: Vec<String> = REGISTRIES.iter().map(|(name, end)| format!("{name}.{end}")).collect();
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| !EXCEPT.contains(&file.path.as_str())) {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(home) = homes.iter().find(|home| names_path(line, home)) {
                let advice =
                    format!("`{home}` exists on one machine only; use a path from the checkout, or a variable");
                found.push(Finding::at(&file.path, index + 1, advice));
            }
            if let Some(host) = hosts.iter().find(|host| line.contains(host.as_str())) {
                let advice = format!(
                    "`{host}` is a registry's host; name the package and let the tool's settings say where from"
                );
                found.push(Finding::at(&file.path, index + 1, advice));
            }
        }
    }
    found
}

/// Tells whether a path begins here, rather than going on from a folder, a variable or a host.
fn names_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let begins = !before.is_some_and(|c| c.is_alphanumeric() || "_-.~})*/".contains(c));
        let rest = &line[at + home.len()..];
        let next = rest.split(|c: char| !c.is_alphanumeric() && !"._-".contains(c)).next().unwrap_or_default();
        begins && next.len() > 1 && !NOBODY.contains(&next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    #[test]
    fn relative_paths_and_plain_names_pass() {
        let text = format!(
            "see docs/home/a.md, ${{DIR}}/{}/a, https://example.com/home/xyz, /{}/me/a and tokio's crate\n",
            "work", "home"
        );
        check(law, &[("docs/a.md", &text), ("Cargo.lock", &format!("x crates.{}\n", "io"))], &[]);
    }

    #[test]
    fn machines_and_registries_are_refused() {
        let path = format!("ok\ncd /{}/kim/nova\n", "home");
        check(law, &[("docs/a.md", &path)], &["docs/a.md:2"]);
        let host = format!("from https://pypi.{}/simple\n", "org");
        check(law, &[("deploy/a.sh", &host)], &["deploy/a.sh:1"]);
    }
}
