//! Lists the files of a git repository as git itself sees them: what is tracked, and what of it is no file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::language::{ByName, by_name};

/// Variables by which a surrounding git (a hook, say) would answer for another repository.
const HIDDEN: &[&str] = &["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"];
/// A repository's own settings may name a program that git then runs; listing needs none.
const HARMLESS: &[&str] = &["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];

/// What a tracked entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A symbolic link: where it leads is not ours to read.
    Symlink,
    /// Another repository.
    Submodule,
}

/// One tracked entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the listing's root, as bytes: git knows no encoding.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
}

/// The entries at or below a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What their paths start from: the repository's root.
    pub root: PathBuf,
    /// The commit that is checked out; a new repository has none.
    pub commit: Option<String>,
    /// The entries, each once.
    pub entries: Vec<Entry>,
}

impl Listing {
    /// How many entries may be source files, by their names alone.
    #[must_use]
    pub fn promising(&self) -> u64 {
        let is_promising =
            |entry: &&Entry| entry.kind == Kind::File && matches!(by_name(&entry.path), ByName::Known(_));
        self.entries.iter().filter(is_promising).count() as u64
    }
}

/// Why a folder cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is nothing of that name, or it may not be looked at.
    #[error("could not look at {path}")]
    Look {
        /// The folder asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file stands there.
    #[error("{path} is a file")]
    File {
        /// The folder asked for.
        path: PathBuf,
    },
    /// No repository is there or above.
    #[error("{path} is no git repository")]
    NoRepository {
        /// The folder asked for.
        path: PathBuf,
    },
    /// A bare repository.
    #[error("{path} is a repository without a work tree, so there are no files to read")]
    NoWorkTree {
        /// The folder asked for.
        path: PathBuf,
    },
    /// Git is not installed, or does not start.
    #[error("could not run git, which lists the files")]
    Run(#[source] std::io::Error),
    /// Git says no.
    #[error("git could not list {path}: {said}")]
    Refused {
        /// The folder asked for.
        path: PathBuf,
        /// Its words.
        said: String,
    },
}

impl GitError {
    /// Whether another try may end otherwise.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Run(_))
    }
}

/// Asks git.
///
/// # Errors
/// When the folder is no git repository, or git is missing or refuses.
pub fn list(path: &Path) -> Result<Listing, GitError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(GitError::File { path: path.into() }),
        Err(source) => return Err(GitError::Look { path: path.into(), source }),
    }
    let mut root = git(path, &["rev-parse", "--show-toplevel"])?;
    root.truncate(root.strip_suffix(b"\n").map_or(root.len(), <[u8]>::len));
    let listed = git(path, &["ls-files", "--stage", "--full-name", "-z"])?;
    // Before the first commit there is none, which is no failure.
    let commit = git(path, &["rev-parse", "--verify", "--quiet", "HEAD"]).ok();
    let commit = commit.map(|id| String::from_utf8_lossy(&id).trim().to_owned()).filter(|id| !id.is_empty());
    Ok(Listing { root: PathBuf::from(OsStr::from_bytes(&root)), commit, entries: parse(&listed) })
}

fn git(path: &Path, args: &[&str]) -> Result<Vec<u8>, GitError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(path).args(HARMLESS).args(args).env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
    HIDDEN.iter().for_each(|key| _ = command.env_remove(key));
    let output = command.output().map_err(GitError::Run)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let path = path.to_path_buf();
    Err(if said.contains("not a git repository") {
        GitError::NoRepository { path }
    } else if said.contains("must be run in a work tree") {
        GitError::NoWorkTree { path }
    } else {
        GitError::Refused { path, said }
    })
}

/// Reads `<mode> <object> <stage>\t<path>\0...`; an entry in conflict stands there up to three times.
fn parse(listed: &[u8]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for record in listed.split(|byte| *byte == 0) {
        let Some(tab) = record.iter().position(|byte| *byte == b'\t') else { continue };
        let kind = match record.get(..6) {
            Some(b"120000") => Kind::Symlink,
            Some(b"160000") => Kind::Submodule,
            _ => Kind::File,
        };
        let path = &record[tab + 1..];
        if entries.last().is_none_or(|last| last.path != path) {
            entries.push(Entry { path: path.to_vec(), kind });
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_tell_links_and_submodules_and_conflicts_count_once() {
        let listed = b"100644 aa 0\ta b.rs\x00120000 bb 0\tl\x00160000 cc 0\tsub\x00100755 dd 1\tx\n\xff\x00100755 ee 2\tx\n\xff\x00";
        let entry = |path: &[u8], kind| Entry { path: path.to_vec(), kind };
        let expect = [
            entry(b"a b.rs", Kind::File),
            entry(b"l", Kind::Symlink),
            entry(b"sub", Kind::Submodule),
            entry(b"x\n\xff", Kind::File),
        ];
        assert_eq!(parse(listed), expect);
        assert_eq!(parse(b""), []);
        let listing = Listing { root: "/".into(), commit: None, entries: parse(listed) };
        assert_eq!(listing.promising(), 1);
    }
}
