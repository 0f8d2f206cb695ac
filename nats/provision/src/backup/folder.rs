//! The folder of a backup: files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::FolderError;
use super::manifest::{StoredFile, digits};

/// The file that makes the folder a backup.
pub(super) const MANIFEST: &str = "manifest.json";
/// What the name of a file ends in until it is whole.
const UNFINISHED: &str = ".part";
/// How much is read at once: half of what a message may carry by default.
pub(super) const PIECE_BYTES: usize = 512 * 1024;

/// A folder that is being filled.
pub(super) struct Folder(PathBuf);

/// A file that is being written.
pub(super) struct Writing {
    file: File,
    unfinished: PathBuf,
    whole: PathBuf,
    name: String,
    bytes: u64,
    hash: Sha256,
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { what, path, source }
}

impl Folder {
    /// Makes a folder, or takes an empty one.
    pub(super) fn create(path: &Path) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(failed("make the folder", path))?;
        let mut inside = fs::read_dir(path).map_err(failed("look into", path))?;
        match inside.next() {
            None => Ok(Self(path.to_owned())),
            Some(_) => Err(FolderError::NotEmpty { path: path.to_owned() }),
        }
    }

    /// Begins a file.
    pub(super) fn write(&self, name: &str) -> Result<Writing, FolderError> {
        let (whole, unfinished) = (self.0.join(name), self.0.join(format!("{name}{UNFINISHED}")));
        let file = File::create_new(&unfinished).map_err(failed("make", &unfinished))?;
        Ok(Writing { file, unfinished, whole, name: name.to_owned(), bytes: 0, hash: Sha256::new() })
    }

    /// Writes the manifest, when all else is on the disk.
    pub(super) fn conclude(&self, manifest: &str) -> Result<(), FolderError> {
        // The names of the files first: a manifest that names what a power cut takes away would be a lie.
        self.sync()?;
        let mut writing = self.write(MANIFEST)?;
        writing.push(manifest.as_bytes())?;
        writing.finish()?;
        self.sync()
    }

    fn sync(&self) -> Result<(), FolderError> {
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(failed("sync", &self.0))
    }
}

impl Writing {
    /// Appends.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), FolderError> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(failed("write", &self.unfinished))
    }

    /// How much was written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts it on the disk under its name.
    pub(super) fn finish(self) -> Result<StoredFile, FolderError> {
        self.file.sync_all().map_err(failed("sync", &self.unfinished))?;
        fs::rename(&self.unfinished, &self.whole).map_err(failed("name", &self.whole))?;
        Ok(StoredFile { file: self.name, bytes: self.bytes, sha256: digits(self.hash.finalize()) })
    }
}

/// Opens a file of a backup.
pub(super) fn open(folder: &Path, file: &StoredFile) -> Result<Reading, FolderError> {
    let path = folder.join(&file.file);
    match File::open(&path) {
        Ok(file) => Ok(Reading { file, path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FolderError::Missing { path }),
        Err(error) => Err(failed("open", &path)(error)),
    }
}

/// A file that is being read.
pub(super) struct Reading {
    file: File,
    path: PathBuf,
}

impl Reading {
    /// The next piece; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, FolderError> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = (&mut self.file).take(PIECE_BYTES as u64).read_to_end(&mut piece);
        read.map_err(failed("read", &self.path))?;
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// Holds a file against what the manifest says of it.
pub(super) fn verify(folder: &Path, file: &StoredFile) -> Result<(), FolderError> {
    let mut reading = open(folder, file)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    while let Some(piece) = reading.next()? {
        hash.update(&piece);
        bytes += piece.len() as u64;
    }
    if bytes != file.bytes {
        return Err(FolderError::Size { path: reading.path, found: bytes, written: file.bytes });
    }
    if digits(hash.finalize()) != file.sha256 {
        return Err(FolderError::Damaged { path: reading.path });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(&home.path().join("new")).expect("made");
        let mut writing = folder.write("a").expect("begun");
        writing.push(b"12").expect("written");
        assert!(!folder.0.join("a").exists());
        writing.push(b"34").expect("written");
        let stored = writing.finish().expect("whole");
        assert_eq!((stored.bytes, stored.sha256.len()), (4, 64));
        verify(&folder.0, &stored).expect("as it was written");
        assert!(!folder.0.join("a.part").exists());
    }

    #[test]
    fn what_is_altered_cut_or_gone_is_told_apart() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(home.path()).expect("taken");
        let mut writing = folder.write("a").expect("begun");
        writing.push(b"1234").expect("written");
        let stored = writing.finish().expect("whole");
        let check = |text: Option<&str>, expect: &str| {
            let path = home.path().join("a");
            match text {
                Some(text) => fs::write(&path, text).expect("written"),
                None => fs::remove_file(&path).expect("removed"),
            }
            let told = verify(home.path(), &stored).expect_err("refused").to_string();
            assert!(told.contains(expect) && told.contains(&path.display().to_string()), "{told}");
        };
        check(Some("1235"), "is damaged");
        check(Some("123"), "has 3 bytes and not 4");
        check(None, "is missing");
    }

    #[test]
    fn a_folder_with_anything_in_it_is_refused() {
        let home = tempfile::tempdir().expect("a folder");
        fs::write(home.path().join("x"), "").expect("written");
        assert!(matches!(Folder::create(home.path()), Err(FolderError::NotEmpty { .. })));
    }
}
