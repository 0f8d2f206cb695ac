//! Reads files of a work tree without ever leaving it: no link is followed, at no step of a path.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nova_review::Skip;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

/// An open work tree.
pub(crate) struct Tree {
    root: OwnedFd,
}

impl Tree {
    /// Opens the root.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub(crate) fn open(root: &Path) -> std::io::Result<Self> {
        Ok(Self { root: openat(CWD, root, folder_flags() - OFlags::NOFOLLOW, Mode::empty())? })
    }

    /// The entries of a folder, unsorted, without `.` and `..`; empty when it cannot be read.
    pub(crate) fn entries(&self, folder: &[u8]) -> Vec<(Vec<u8>, FileType)> {
        let steps = folder.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let Ok(found) = self.descend(steps) else { return Vec::new() };
        let read = match &found {
            Some(found) => Dir::read_from(found),
            None => Dir::read_from(&self.root),
        };
        let Ok(entries) = read else { return Vec::new() };
        let named = entries.flatten().map(|entry| (entry.file_name().to_bytes().to_vec(), entry.file_type()));
        named.filter(|(name, _)| name != b"." && name != b"..").collect()
    }

    /// Opens one folder after the other; `None` is the root itself.
    fn descend<'a>(&self, steps: impl Iterator<Item = &'a [u8]>) -> Result<Option<OwnedFd>, Skip> {
        let mut below: Option<OwnedFd> = None;
        for folder in steps {
            let next = openat(below.as_ref().unwrap_or(&self.root), step(folder)?, folder_flags(), Mode::empty());
            below = Some(next.map_err(|errno| why_not(errno, Skip::Symlink))?);
        }
        Ok(below)
    }

    /// Reads a file of at most `most` bytes.
    ///
    /// # Errors
    /// The reason why it is not listed.
    pub(crate) fn read(&self, path: &[u8], most: u64) -> Result<Vec<u8>, Skip> {
        let mut folders: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let name = folders.pop().unwrap_or_default();
        let below = self.descend(folders.into_iter())?;
        // A pipe that stands where git knows a file must not block us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(below.as_ref().unwrap_or(&self.root), step(name)?, flags, Mode::empty());
        let file = file.map_err(|errno| why_not(errno, Skip::NotAFile))?;
        let stat = fstat(&file).map_err(|_| Skip::Unreadable)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Skip::NotAFile);
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > most {
            return Err(Skip::TooLarge);
        }
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // It may grow while it is read.
        File::from(file).take(most + 1).read_to_end(&mut content).map_err(|_| Skip::Unreadable)?;
        if content.len() as u64 > most { Err(Skip::TooLarge) } else { Ok(content) }
    }
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// One step down; git never lists another kind, but the index is a file that anybody may have written.
fn step(name: &[u8]) -> Result<&OsStr, Skip> {
    match name {
        b"" | b"." | b".." => Err(Skip::NotAFile),
        name => Ok(OsStr::from_bytes(name)),
    }
}

fn why_not(errno: Errno, not_a_folder: Skip) -> Skip {
    match errno {
        Errno::NOENT => Skip::Missing,
        // Linux says so of a link that must not be followed; of one in place of a folder it says "not a directory".
        Errno::LOOP | Errno::MLINK => Skip::Symlink,
        Errno::NOTDIR => not_a_folder,
        Errno::NXIO => Skip::NotAFile,
        _ => Skip::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_nowhere_at_no_step() {
        let (outside, inside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("secret.rs"), "secret").unwrap();
        let at = |name: &str| inside.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        std::fs::write(at("real/a.rs"), "fn a() {}").unwrap();
        symlink(outside.path(), at("out")).unwrap();
        symlink(outside.path().join("secret.rs"), at("link.rs")).unwrap();
        symlink("real/a.rs", at("within.rs")).unwrap();
        let tree = Tree::open(inside.path()).unwrap();
        let read = |path: &str| tree.read(path.as_bytes(), 9);
        assert_eq!(read("real/a.rs").as_deref(), Ok(&b"fn a() {}"[..]));
        for (path, skip) in [
            ("out/secret.rs", Skip::Symlink),
            ("link.rs", Skip::Symlink),
            ("within.rs", Skip::Symlink),
            ("gone.rs", Skip::Missing),
            ("real", Skip::NotAFile),
            ("../x", Skip::NotAFile),
            ("/etc/passwd", Skip::NotAFile),
        ] {
            assert_eq!(read(path), Err(skip), "{path}");
        }
        assert_eq!(tree.read(b"real/a.rs", 8), Err(Skip::TooLarge));
    }

    #[test]
    fn a_pipe_in_place_of_a_file_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(CWD, dir.path().join("a.rs"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(Tree::open(dir.path()).unwrap().read(b"a.rs", 9), Err(Skip::NotAFile));
    }
}
