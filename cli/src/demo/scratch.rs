//! A folder for the demo's fleet, gone afterwards.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A new folder that only this user may enter; removed when dropped, unless it is to be kept.
pub(crate) struct Scratch {
    path: PathBuf,
    is_kept: bool,
}

impl Scratch {
    /// Makes the folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn new(is_kept: bool) -> Result<Self, Failure> {
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let path = std::env::temp_dir().join(format!("nova-demo-{}", &unique[20..]));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| Failure::io(format!("make the folder {}", path.display()), source))?;
        Ok(Self { path, is_kept })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept {
            // What is left in a folder for temporary files does no harm.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
