//! Turns a listing into files with their bytes, one after the other, on a thread of its own.

use tokio::sync::mpsc;

use super::finding::Skip;
use super::git::{Entry, Kind, Listing};
use super::language::{ByName, by_first_line, by_name};
use super::tree::Tree;

/// Files read ahead of the submitter: enough to keep it busy, at most 64 MiB of the largest.
const AHEAD: usize = 32;
/// How much of a file is looked at to tell that it is binary; git itself looks at as much.
const SNIFFED: usize = 8_000;

/// A file on its way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// To be reviewed.
    Source {
        /// Its path.
        path: String,
        /// Its bytes.
        content: Vec<u8>,
    },
    /// Not to be reviewed.
    Skipped {
        /// Its path, shown.
        path: String,
        /// Why not.
        why: Skip,
    },
}

/// How many entries may become tasks, by their names alone.
pub(crate) fn promising(listing: &Listing) -> u64 {
    let is_promising = |entry: &&Entry| entry.kind == Kind::File && by_name(&entry.path) == ByName::Known;
    listing.entries.iter().filter(is_promising).count() as u64
}

/// Reads everything in the listing's order; ends early when nobody listens any more.
pub(crate) fn read_all(listing: Listing, most: u64) -> mpsc::Receiver<Item> {
    let (items, inbox) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let tree = Tree::open(&listing.root);
        for entry in listing.entries {
            let item = match &tree {
                Ok(tree) => look(tree, &entry, most),
                Err(_) => Item::Skipped { path: shown(&entry.path), why: Skip::Unreadable },
            };
            if items.blocking_send(item).is_err() {
                return;
            }
        }
    });
    inbox
}

fn look(tree: &Tree, entry: &Entry, most: u64) -> Item {
    match source(tree, entry, most) {
        Ok((path, content)) => Item::Source { path: path.to_owned(), content },
        Err(why) => Item::Skipped { path: shown(&entry.path), why },
    }
}

fn source<'a>(tree: &Tree, entry: &'a Entry, most: u64) -> Result<(&'a str, Vec<u8>), Skip> {
    match entry.kind {
        Kind::File => {}
        Kind::Symlink => return Err(Skip::Symlink),
        Kind::Submodule => return Err(Skip::Submodule),
    }
    let kind = by_name(&entry.path);
    if kind == ByName::Unknown {
        return Err(Skip::UnsupportedLanguage);
    }
    let path = std::str::from_utf8(&entry.path).map_err(|_| Skip::NonUtf8Name)?;
    let content = tree.read(&entry.path, most);
    if kind == ByName::FirstLine && !content.as_ref().is_ok_and(|content| by_first_line(content)) {
        return Err(match content {
            // Whatever it is, it is no script.
            Ok(_) | Err(Skip::TooLarge) => Skip::UnsupportedLanguage,
            Err(why) => why,
        });
    }
    let content = content?;
    if content[..content.len().min(SNIFFED)].contains(&0) { Err(Skip::Binary) } else { Ok((path, content)) }
}

/// A path that may be no text, and may hold what steers a terminal.
fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_is_read_or_skipped_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| std::fs::write(dir.path().join(name), content).unwrap();
        write("a.rs", b"fn a() {}");
        write("b.rs", b"\0\0");
        write("c.rs", &[b' '; 100]);
        write("tool", b"#!/usr/bin/python3\n");
        write("Makefile", b"all:\n");
        let file = |path: &[u8]| Entry { path: path.to_vec(), kind: Kind::File };
        let entries = vec![
            file(b"a.rs"),
            file(b"b.rs"),
            file(b"c.rs"),
            file(b"tool"),
            file(b"Makefile"),
            file(b"x.png"),
            file(b"\xff.rs"),
            Entry { path: b"l.rs".to_vec(), kind: Kind::Symlink },
            Entry { path: b"sub".to_vec(), kind: Kind::Submodule },
        ];
        let listing = Listing { root: dir.path().to_path_buf(), entries };
        assert_eq!(promising(&listing), 4);
        let mut items = read_all(listing, 50);
        let mut seen = Vec::new();
        while let Some(item) = items.recv().await {
            seen.push(match item {
                Item::Source { path, .. } => (path, None),
                Item::Skipped { path, why } => (path, Some(why)),
            });
        }
        let expect = [
            ("a.rs", None),
            ("b.rs", Some(Skip::Binary)),
            ("c.rs", Some(Skip::TooLarge)),
            ("tool", None),
            ("Makefile", Some(Skip::UnsupportedLanguage)),
            ("x.png", Some(Skip::UnsupportedLanguage)),
            ("\u{fffd}.rs", Some(Skip::NonUtf8Name)),
            ("l.rs", Some(Skip::Symlink)),
            ("sub", Some(Skip::Submodule)),
        ];
        assert_eq!(seen, expect.map(|(path, why)| (path.to_owned(), why)));
    }
}
