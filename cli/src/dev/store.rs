//! The folder of a fleet: its data, its log, and the lock that keeps a second fleet out.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, test_kill_process};

use crate::exit::Exit;
use crate::failure::Failure;

/// How long a server whose `nova dev` was killed may take to end; it dies with it, so this is generous.
const LEFT_BEHIND: Duration = Duration::from_secs(10);

/// A folder that is ours as long as this lives.
pub(crate) struct Store {
    root: PathBuf,
    lock: File,
}

impl Store {
    /// Makes the folder and takes its lock.
    ///
    /// # Errors
    /// When it cannot be written, or another fleet runs in it.
    pub(crate) async fn open(root: &Path) -> Result<Self, Failure> {
        let unusable = |source: std::io::Error| {
            let message = format!("could not use {} as the store: {source}", root.display());
            Failure::new(Exit::FAILURE, "store_unwritable", message).help("name a folder you may write to: --store DIR")
        };
        for folder in [root.to_path_buf(), root.join("nats"), root.join("ports")] {
            std::fs::create_dir_all(folder).map_err(unusable)?;
        }
        let root = root.canonicalize().map_err(unusable)?;
        let path = root.join("lock");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut lock = file.map_err(unusable)?;
        take(&root, &mut lock).await?;
        let written =
            lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| write!(lock, "{}", std::process::id()));
        written.map_err(unusable)?;
        Ok(Self { root, lock })
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The log of all processes.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("dev.log")
    }

    /// Where the server keeps its streams.
    pub(crate) fn streams(&self) -> PathBuf {
        self.root.join("nats")
    }

    /// Where the server says its port.
    pub(crate) fn ports(&self) -> PathBuf {
        self.root.join("ports")
    }

    /// The server's configuration.
    pub(crate) fn server_config(&self) -> PathBuf {
        self.root.join("nats.conf")
    }

    /// The lock for the server to hold as well, so that the folder is free only when its server is gone, too.
    ///
    /// # Errors
    /// When the process has no more file descriptors.
    pub(crate) fn shared_lock(&self) -> std::io::Result<File> {
        self.lock.try_clone()
    }
}

async fn take(root: &Path, lock: &mut File) -> Result<(), Failure> {
    let since = tokio::time::Instant::now();
    while flock(&*lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let owner = owner(lock);
        let runs = owner.and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid).is_ok());
        if runs || since.elapsed() > LEFT_BEHIND {
            let pid = owner.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            let message = format!("another `nova dev`{pid} runs in the store {}", root.display());
            let failure = Failure::new(Exit::REFUSED, "store_in_use", message);
            return Err(failure
                .help("use it as it is, or stop it first")
                .help("or start one of your own: --store DIR --port 0"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn owner(lock: &mut File) -> Option<i32> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Where a fleet lives unless told: `$XDG_DATA_HOME/nova/dev`, else `~/.local/share/nova/dev`.
///
/// # Errors
/// When there is no home.
pub(crate) fn default_root(env: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf, Failure> {
    let data = env("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(Path::new(&env("HOME")?).join(".local/share")));
    let data = data.ok_or_else(|| {
        Failure::usage("there is no place for the fleet's data: neither HOME nor XDG_DATA_HOME is set")
            .help("name a folder: --store DIR")
    })?;
    Ok(data.join("nova").join("dev"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Store::open(dir.path()).await.unwrap_or_else(|failure| panic!("{failure:?}"));
        let refused = Store::open(dir.path()).await.err().expect("it is taken");
        assert_eq!((refused.code.as_str(), refused.exit), ("store_in_use", Exit::REFUSED));
        assert!(refused.lines()[0].contains(&std::process::id().to_string()), "{:?}", refused.lines());
        drop(first);
        assert!(Store::open(dir.path()).await.is_ok());
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_written_is_told_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let refused = Store::open(&dir.path().join("file/below")).await.err().expect("a file is no folder");
        assert_eq!(refused.code, "store_unwritable");
        assert!(refused.help[0].contains("--store"));
    }

    #[test]
    fn the_default_follows_the_desktop_convention() {
        let only = |key: &'static str| move |name: &str| (name == key).then(|| "/x".to_owned());
        assert_eq!(default_root(&only("XDG_DATA_HOME")).unwrap(), Path::new("/x/nova/dev"));
        assert_eq!(default_root(&only("HOME")).unwrap(), Path::new("/x/.local/share/nova/dev"));
        assert!(default_root(&|_: &str| None).is_err());
    }
}
