//! The log of a fleet: what its processes write, each line with the name of its process.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::out::Out;

/// Above this size the log begins anew and the old one is kept beside it: at most twice this is ever used.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Where the lines of all processes go.
pub(crate) struct Log {
    path: PathBuf,
    state: Mutex<(File, u64)>,
    /// Where lines are shown, too.
    echo: Option<Out>,
}

impl Log {
    /// Opens a log, or begins it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn open(path: PathBuf, echo: Option<Out>) -> io::Result<Self> {
        let file = append_to(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, state: Mutex::new((file, size)), echo })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one line of a process.
    pub(crate) fn line(&self, process: &str, text: &str) {
        if let Some(out) = &self.echo {
            out.say(format!("{process:<15} | {text}"));
        }
        let line = format!("[{process}] {text}\n");
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.1 > LARGEST {
            self.begin_anew(&mut state);
        }
        state.1 += line.len() as u64;
        // A full disk must not stop the fleet; its processes say the same to whoever asks them.
        let _ = state.0.write_all(line.as_bytes());
    }

    fn begin_anew(&self, state: &mut (File, u64)) {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        let fresh = std::fs::rename(&self.path, old).and_then(|()| append_to(&self.path));
        if let Ok(file) = fresh {
            state.0 = file;
        }
        state.1 = 0;
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_begins_anew_and_keeps_its_past() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(dir.path().join("dev.log"), None).unwrap();
        log.line("echo-1", "before");
        log.state.lock().unwrap().1 = LARGEST + 1;
        log.line("echo-1", "after");
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "[echo-1] after\n");
        assert_eq!(std::fs::read_to_string(dir.path().join("dev.log.1")).unwrap(), "[echo-1] before\n");
    }
}
