//! The files the laws look at: what git knows, or what lies in the folder when there is no git.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use crate::laws::layout;
use crate::rust::Source;

/// The files of a checkout, sorted by path.
#[derive(Debug, Default)]
pub struct Tree {
    /// Every file that can be read.
    pub files: Vec<File>,
}

/// One file: its path from the root, with `/` between folders, and its text.
#[derive(Debug)]
pub struct File {
    /// Path from the root of the checkout.
    pub path: String,
    /// Content, or empty when it is not UTF-8.
    pub text: String,
    pub(crate) rust: Option<Source>,
}

impl File {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        // Fixtures are somebody's input, not our code.
        let ours = path.ends_with(".rs") && !has_folder(&path, &["fixtures", "testdata"]);
        let rust = ours.then(|| Source::read(&text));
        Self { path, text, rust }
    }

    /// Tells whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        has_folder(&self.path, &["tests", "benches"])
            || self.path.ends_with("/tests.rs")
            || self.path.starts_with("shared/testkit/")
    }

    /// The first line that contains a text, counted from 1; line 1 when none does.
    pub(crate) fn line_of(&self, wanted: &str) -> usize {
        self.text.lines().position(|line| line.contains(wanted)).map_or(1, |index| index + 1)
    }
}

fn has_folder(path: &str, names: &[&str]) -> bool {
    path.rsplit_once('/').is_some_and(|(folders, _)| folders.split('/').any(|folder| names.contains(&folder)))
}

impl Tree {
    /// Makes a tree from paths and texts.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| File::new(*path, *text)).collect() }
    }

    /// Reads a checkout: tracked files, and new ones below the known folders so that they are judged before the commit.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut paths = match git(root, &["ls-files", "-z", "--cached"]) {
            Some(mut tracked) => {
                let new = git(root, &["ls-files", "-z", "--others", "--exclude-standard"]).unwrap_or_default();
                tracked.extend(new.into_iter().filter(|path| layout::is_in_known_folder(path)));
                tracked
            }
            None => walk(root)?,
        };
        paths.sort();
        paths.dedup();
        let mut files = Vec::new();
        for path in paths {
            match fs::read(root.join(&path)) {
                Ok(bytes) => files.push(File::new(path, String::from_utf8(bytes).unwrap_or_default())),
                // Tracked but deleted in the work tree, or a link to a folder.
                Err(_) => continue,
            }
        }
        Ok(Self { files })
    }

    /// Finds a file by its path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Tells whether a path is a file or a folder with files in it.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        self.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    }

    /// Our Rust files with their lexed text.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files.iter().filter_map(|file| file.rust.as_ref().map(|source| (file, source)))
    }

    /// Files whose name ends in a given way.
    pub(crate) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }
}

fn git(root: &Path, args: &[&str]) -> Option<Vec<String>> {
    let done = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
    if !done.status.success() {
        return None;
    }
    let names = String::from_utf8_lossy(&done.stdout);
    Some(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn walk(root: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_file() {
                found.push(path);
            } else if kind.is_dir() && !["target", ".git", ".venv"].contains(&path.as_str()) {
                folders.push(path);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_git_the_folder_is_walked() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("shared/types")).expect("folders");
        fs::create_dir_all(folder.path().join("target/debug")).expect("folders");
        fs::write(folder.path().join("shared/types/a.rs"), "//! A.\n").expect("a file");
        fs::write(folder.path().join("target/debug/b.rs"), "").expect("a file");
        assert_eq!(walk(folder.path()).expect("a list"), ["shared/types/a.rs"]);
    }

    #[test]
    fn test_files_are_known_by_their_place() {
        for path in ["tests/e2e/src/lib.rs", "cli/tests/help.rs", "cli/src/cmd/tests.rs", "shared/testkit/src/lib.rs"] {
            assert!(File::new(path, "").is_test(), "{path}");
        }
        for path in ["cli/src/tests_of_time.rs", "shared/wire/src/lib.rs"] {
            assert!(!File::new(path, "").is_test(), "{path}");
        }
    }
}
