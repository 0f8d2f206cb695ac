//! A backup in its folder, read back.

use std::path::{Path, PathBuf};

use super::error::FolderError;
use super::folder::{self, MANIFEST};
use super::manifest::{Manifest, Packed, StoredFile};

/// A whole backup.
#[derive(Debug, Clone)]
pub struct Backup {
    folder: PathBuf,
    manifest: Manifest,
}

impl Backup {
    /// Reads the manifest of a folder; looks at no other file.
    ///
    /// # Errors
    /// [`FolderError`] when it holds no backup, an unfinished one, or one of a later version.
    pub fn open(folder: &Path) -> Result<Self, FolderError> {
        let path = folder.join(MANIFEST);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(FolderError::NoManifest { path: folder.to_owned() });
            }
            Err(source) => return Err(FolderError::Io { what: "read", path, source }),
        };
        let manifest = Manifest::parse(&text).map_err(|source| FolderError::Manifest { path, source })?;
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads every file and holds it against the manifest; `tell` is told the name of each before.
    ///
    /// # Errors
    /// [`FolderError`] of the first file that is not as it was written.
    pub fn verify(&self, mut tell: impl FnMut(&StoredFile)) -> Result<(), FolderError> {
        for file in self.manifest.files() {
            tell(file);
            folder::verify(&self.folder, file)?;
        }
        Ok(())
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The streams in the order in which an empty broker is filled.
    pub(super) fn to_restore(&self) -> Vec<&Packed> {
        let mut all: Vec<&Packed> = self.manifest.streams.iter().collect();
        all.sort_by_key(|packed| super::order::restore_rank(&packed.name));
        all
    }
}
