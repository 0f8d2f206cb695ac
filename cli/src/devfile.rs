//! The state file by which a running `nova dev` is found when nothing is configured.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getuid, test_kill_process};
use serde::{Deserialize, Serialize};

/// What a running `nova dev` says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DevFile {
    /// Its NATS address.
    pub(crate) nats: String,
    /// Its process, to tell a running one from one that was killed.
    pub(crate) pid: u32,
}

/// Where the file is: `$XDG_RUNTIME_DIR/nova/dev.json`, else `/tmp/nova-<uid>/dev.json`.
pub(crate) fn path(env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let folder = match env("XDG_RUNTIME_DIR") {
        Some(folder) => Path::new(&folder).join("nova"),
        None => PathBuf::from(format!("/tmp/nova-{}", getuid().as_raw())),
    };
    folder.join("dev.json")
}

/// The `nova dev` that runs now, if any.
///
/// A file of another user is passed over: anyone can write below `/tmp`. So is one whose process is gone.
pub(crate) fn read(env: &dyn Fn(&str) -> Option<String>) -> Option<DevFile> {
    let path = path(env);
    if std::fs::symlink_metadata(&path).ok()?.uid() != getuid().as_raw() {
        return None;
    }
    let dev: DevFile = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let pid = Pid::from_raw(i32::try_from(dev.pid).ok()?)?;
    test_kill_process(pid).is_ok().then_some(dev)
}
