//! Lists the files of a git repository as git itself sees them: what is tracked, and what of it is no file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exit::Exit;
use crate::failure::Failure;

/// Variables by which a surrounding git (a hook, say) would answer for another repository.
const HIDDEN: &[&str] = &["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"];

/// What a tracked entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file.
    File,
    /// A symbolic link: where it leads is not ours to read.
    Symlink,
    /// Another repository.
    Submodule,
}

/// One tracked entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its path from the repository's root, as bytes: git knows no encoding.
    pub(crate) path: Vec<u8>,
    /// What it is.
    pub(crate) kind: Kind,
}

/// The tracked entries at or below a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The repository's root.
    pub(crate) root: PathBuf,
    /// The entries, each once.
    pub(crate) entries: Vec<Entry>,
}

/// Asks git.
///
/// # Errors
/// When the folder is no git repository, or git is missing or refuses.
pub(crate) fn list(path: &Path) -> Result<Listing, Failure> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(Failure::usage(format!("{} is a file; name the repository it is in", path.display()))),
        Err(source) => {
            let message = format!("could not look at {}: {source}", path.display());
            return Err(Failure::new(Exit::USAGE, "no_repository", message));
        }
    }
    let mut root = git(path, &["rev-parse", "--show-toplevel"])?;
    root.truncate(root.strip_suffix(b"\n").map_or(root.len(), <[u8]>::len));
    let listed = git(path, &["ls-files", "--stage", "--full-name", "-z"])?;
    Ok(Listing { root: PathBuf::from(OsStr::from_bytes(&root)), entries: parse(&listed) })
}

fn git(path: &Path, args: &[&str]) -> Result<Vec<u8>, Failure> {
    let mut command = Command::new("git");
    command.arg("-C").arg(path).args(args).env("LC_ALL", "C");
    HIDDEN.iter().for_each(|key| _ = command.env_remove(key));
    let output = command.output().map_err(|source| {
        let failure = Failure::io("run git, which lists the files", source);
        failure.help("install git, or put it on PATH")
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(if said.contains("not a git repository") {
        let message = format!("{} is no git repository", path.display());
        Failure::new(Exit::USAGE, "no_repository", message)
            .help("name one: its tracked files are reviewed")
            .help("or make it one: git init && git add .")
    } else if said.contains("must be run in a work tree") {
        let message = format!("{} is a repository without a work tree, so there are no files to read", path.display());
        Failure::new(Exit::USAGE, "no_repository", message).help("name a clone of it")
    } else {
        Failure::new(Exit::FAILURE, "git", format!("git could not list {}: {said}", path.display()))
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
    }
}
