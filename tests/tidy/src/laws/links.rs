//! Links in markdown to local files lead to files that are there.

use crate::{Finding, Tree, markdown};

/// Refuses links to files that do not exist.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.ending(".md") {
        for line in markdown::lines(&file.text) {
            for target in targets(&line.prose) {
                if local(&file.path, target).is_some_and(|path| !path.is_empty() && !tree.has(&path)) {
                    let advice =
                        format!("the link leads to `{target}`, which is not there; correct it or add the file");
                    found.push(Finding::at(&file.path, line.number, advice));
                }
            }
        }
    }
    found
}

/// Picks the targets of `[text](target)`, `[name]: target` and `src="target"`.
fn targets(prose: &str) -> Vec<&str> {
    let inline = prose.match_indices("](").filter_map(|(at, open)| prose[at + open.len()..].split(')').next());
    let defined = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
    let images = prose.match_indices("src=\"").filter_map(|(at, open)| prose[at + open.len()..].split('"').next());
    inline
        .chain(defined)
        .chain(images)
        .filter_map(|target| target.split_whitespace().next())
        .map(|target| target.trim_matches(['<', '>']))
        .collect()
}

/// The path a link means, from the root of the checkout; none for links that leave it.
fn local(from: &str, target: &str) -> Option<String> {
    let target = target.split(['#', '?']).next().unwrap_or_default();
    if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { from.split('/').collect() };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    #[test]
    fn links_to_files_folders_and_hosts_pass() {
        let text = "[a](../README.md#top) [b](https://example.com/x) [c](#here) ![d](<demo.svg> \"title\")\n\
                    [`e`](/workers/)\n`[no](link.md)`\n```\n[no](link.md)\n```\n[f]: ../README.md\n";
        check(law, &[("docs/a.md", text), ("README.md", ""), ("docs/demo.svg", ""), ("workers/echo/a", "")], &[]);
    }

    #[test]
    fn broken_links_are_refused() {
        check(
            law,
            &[("docs/a.md", "\n[a](b.md)\n<img src=\"c.svg\">\n[d]: e.md\n")],
            &["docs/a.md:2", "docs/a.md:3", "docs/a.md:4"],
        );
    }
}
