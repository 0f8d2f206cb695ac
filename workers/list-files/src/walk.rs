//! Lists a folder that is no git repository: every file below it, but for what is hidden or made by tools.

use nova_review::git::{Entry, Kind};
use rustix::fs::FileType;

use crate::tree::Tree;

/// Folders that tools fill; a repository would not track them.
const MADE: &[&[u8]] = &[b"node_modules", b"target", b"__pycache__"];

/// All entries in the order of their names, as long as there are at most `most`; else what was found so far.
pub(crate) fn walk(tree: &Tree, most: usize) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut folders = vec![Vec::new()];
    while let Some(folder) = folders.pop() {
        for (name, kind) in tree.entries(&folder) {
            if found.len() > most {
                return found;
            }
            let path = if folder.is_empty() { name.clone() } else { [&folder[..], b"/", &name].concat() };
            match kind {
                FileType::Directory if name.starts_with(b".") || MADE.contains(&&name[..]) => {}
                FileType::Directory => folders.push(path),
                FileType::Symlink => found.push(Entry { path, kind: Kind::Symlink }),
                // Whatever else it is shows when it is opened.
                _ => found.push(Entry { path, kind: Kind::File }),
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn hidden_and_made_folders_and_links_are_not_entered() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        ["b.rs", "a/c.rs", ".git/x.rs", "a/node_modules/m.js", ".env"].into_iter().for_each(write);
        symlink("a", dir.path().join("link")).unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let found = walk(&tree, 10);
        let found: Vec<(&str, Kind)> =
            found.iter().map(|entry| (std::str::from_utf8(&entry.path).unwrap(), entry.kind)).collect();
        assert_eq!(
            found,
            [(".env", Kind::File), ("a/c.rs", Kind::File), ("b.rs", Kind::File), ("link", Kind::Symlink)]
        );
        assert!(walk(&tree, 1).len() > 1, "one more than allowed tells that there are too many");
    }
}
