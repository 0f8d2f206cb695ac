//! Tells other `nova` commands of this user where the running fleet is, and takes it back at the end.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;

use crate::connect::environment;
use crate::devfile::{self, DevFile};

/// The announcement; taken back when dropped.
pub(crate) struct Announced {
    path: PathBuf,
    pid: u32,
}

/// Writes the state file; the fleet that started last is the one that is found.
///
/// # Errors
/// When it cannot be written, or its folder belongs to somebody else.
pub(crate) fn announce(nats: &str) -> io::Result<Announced> {
    let pid = std::process::id();
    let path = devfile::path(&environment);
    let folder = path.parent().ok_or_else(|| io::Error::other("the state file has no folder"))?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Anyone can make a folder below `/tmp`, and whoever owns it could point our commands elsewhere.
    if std::fs::symlink_metadata(folder)?.uid() != rustix::process::getuid().as_raw() {
        return Err(io::Error::other(format!("{} belongs to another user", folder.display())));
    }
    let text = serde_json::to_vec(&DevFile { nats: nats.to_owned(), pid }).expect("a plain record always encodes");
    let fresh = folder.join(format!("dev.json.{pid}"));
    std::fs::write(&fresh, text)?;
    std::fs::rename(&fresh, &path)?;
    Ok(Announced { path, pid })
}

impl Drop for Announced {
    fn drop(&mut self) {
        let is_ours = std::fs::read(&self.path)
            .is_ok_and(|text| serde_json::from_slice::<DevFile>(&text).is_ok_and(|dev| dev.pid == self.pid));
        if is_ours {
            // Left behind it does no harm: readers look whether the process runs.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
