//! Turns entries into files with their text, and names what is left out.

use nova_review::git::{Entry, Kind};
use nova_review::language::{ByName, by_first_line, by_name};
use nova_review::{Skip, Skipped};
use serde::Serialize;

use crate::tree::Tree;

/// How much of a file is looked at to tell that it is binary; git itself looks at as much.
const SNIFFED: usize = 8_000;

/// What a task is answered.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The folder that the paths start from: the repository's root, or the folder asked for.
    pub root: String,
    /// The commit that is checked out, when it is a repository with one.
    pub commit: Option<String>,
    /// The source files.
    pub files: Vec<SourceFile>,
    /// What is not among them, and why.
    pub skipped: Vec<Skipped>,
}

/// One source file.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SourceFile {
    /// Its path from the root.
    pub path: String,
    /// Its language by name or first line.
    pub language: &'static str,
    /// Its text.
    pub text: String,
}

/// How much is listed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest file.
    pub file_bytes: u64,
    /// All files together.
    pub total_bytes: u64,
}

/// The files are more than one list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch;

impl Listed {
    /// Reads every entry.
    ///
    /// # Errors
    /// [`TooMuch`] when the texts together are larger than the limit: half a list would pass for a whole one.
    pub(crate) fn read(
        &mut self,
        tree: &Tree,
        entries: &[Entry],
        limits: Limits,
        is_cancelled: impl Fn() -> bool,
    ) -> Result<(), TooMuch> {
        let mut total = 0;
        for entry in entries {
            if is_cancelled() {
                break;
            }
            match source(tree, entry, limits.file_bytes) {
                Ok(file) => {
                    total += file.text.len() as u64;
                    if total > limits.total_bytes {
                        return Err(TooMuch);
                    }
                    self.files.push(file);
                }
                Err(why) => self.skipped.push(Skipped { path: shown(&entry.path), why }),
            }
        }
        Ok(())
    }
}

fn source(tree: &Tree, entry: &Entry, most: u64) -> Result<SourceFile, Skip> {
    match entry.kind {
        Kind::File => {}
        Kind::Symlink => return Err(Skip::Symlink),
        Kind::Submodule => return Err(Skip::Submodule),
    }
    let by_name = by_name(&entry.path);
    if by_name == ByName::Unknown {
        return Err(Skip::UnsupportedLanguage);
    }
    let path = std::str::from_utf8(&entry.path).map_err(|_| Skip::NonUtf8Name)?;
    let content = tree.read(&entry.path, most);
    let language = match (by_name, &content) {
        (ByName::Known(language), _) => language,
        (_, Ok(content)) => by_first_line(content).ok_or(Skip::UnsupportedLanguage)?,
        // Whatever it is, it is no script.
        (_, Err(Skip::TooLarge)) => return Err(Skip::UnsupportedLanguage),
        (_, Err(why)) => return Err(*why),
    };
    let content = content?;
    if content[..content.len().min(SNIFFED)].contains(&0) {
        return Err(Skip::Binary);
    }
    let text = String::from_utf8(content).map_err(|_| Skip::NotUtf8)?;
    Ok(SourceFile { path: path.to_owned(), language, text })
}

/// A path that may be no text, and may hold what steers a terminal.
fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { file_bytes: 50, total_bytes: 1_000 };

    fn list(files: &[(&[u8], &[u8])], limits: Limits) -> Result<Listed, TooMuch> {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(name)), content).unwrap();
        }
        let file = |(name, _): &(&[u8], &[u8])| Entry { path: name.to_vec(), kind: Kind::File };
        let mut entries: Vec<Entry> = files.iter().map(file).collect();
        entries.push(Entry { path: b"l.rs".to_vec(), kind: Kind::Symlink });
        entries.push(Entry { path: b"sub".to_vec(), kind: Kind::Submodule });
        entries.push(Entry { path: b"gone.rs".to_vec(), kind: Kind::File });
        let mut listed = Listed::default();
        listed.read(&Tree::open(dir.path()).unwrap(), &entries, limits, || false)?;
        Ok(listed)
    }

    #[test]
    fn everything_is_read_or_skipped_by_name() {
        let files: [(&[u8], &[u8]); 8] = [
            (b"a.rs", b"fn a() {}"),
            (b"b.rs", b"\0\0"),
            (b"c.rs", &[b' '; 100]),
            (b"tool", b"#!/usr/bin/python3\n"),
            (b"Makefile", b"all:\n"),
            (b"x.png", b""),
            (b"\xff.rs", b""),
            (b"latin.py", b"# caf\xe9\n"),
        ];
        let listed = list(&files, LIMITS).unwrap();
        let found: Vec<(&str, &str, &str)> =
            listed.files.iter().map(|file| (&file.path[..], file.language, &file.text[..])).collect();
        assert_eq!(found, [("a.rs", "rust", "fn a() {}"), ("tool", "python", "#!/usr/bin/python3\n")]);
        let skipped: Vec<(&str, Skip)> = listed.skipped.iter().map(|one| (&one.path[..], one.why)).collect();
        assert_eq!(
            skipped,
            [
                ("b.rs", Skip::Binary),
                ("c.rs", Skip::TooLarge),
                ("Makefile", Skip::UnsupportedLanguage),
                ("x.png", Skip::UnsupportedLanguage),
                ("\u{fffd}.rs", Skip::NonUtf8Name),
                ("latin.py", Skip::NotUtf8),
                ("l.rs", Skip::Symlink),
                ("sub", Skip::Submodule),
                ("gone.rs", Skip::Missing),
            ]
        );
    }

    #[test]
    fn half_a_list_is_never_given() {
        let files: [(&[u8], &[u8]); 2] = [(b"a.rs", &[b' '; 50]), (b"b.rs", &[b' '; 50])];
        assert_eq!(list(&files, Limits { total_bytes: 100, ..LIMITS }).map(|listed| listed.files.len()), Ok(2));
        assert_eq!(list(&files, Limits { total_bytes: 99, ..LIMITS }).map(|listed| listed.files.len()), Err(TooMuch));
    }
}
