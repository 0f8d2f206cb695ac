//! What the worker and the supervisor of one attempt tell each other, and how it crosses the pipe.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cgroup::Places;
use crate::limits::{Breach, Limits};

/// One command to run, checked and resolved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The arguments, the name the program is called by first.
    pub argv: Vec<String>,
    /// The program file.
    pub program: PathBuf,
    /// The whole environment of the child.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Standard input; without it the child reads from `/dev/null`.
    #[serde(skip)]
    pub stdin: Option<Vec<u8>>,
}

/// How an attempt ends when it does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patience {
    /// From SIGTERM to SIGKILL after a cancel.
    pub grace: Duration,
    /// From the end of the command to the kill of children it left behind with its output open.
    pub drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { grace: Duration::from_secs(5), drain: Duration::from_millis(200) }
    }
}

/// Everything a supervisor needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub spec: Spec,
    pub limits: Limits,
    pub patience: Patience,
    pub places: Places,
    /// The name of the attempt's cgroup.
    pub group: String,
    /// Whether to fail rather than to fall back to sampling.
    pub cgroup_required: bool,
    pub has_stdin: bool,
}

/// What the whole tree used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// From start to the end of the command.
    pub wall_ms: u64,
    /// Processor time, user and system.
    pub cpu_ms: u64,
    /// Most memory held at once; file cache does not count.
    pub max_rss_bytes: u64,
    /// Most processes and threads at once.
    pub processes: u32,
    /// Bytes written to standard output, as far as they were read.
    pub stdout_bytes: u64,
    /// Bytes written to standard error, as far as they were read.
    pub stderr_bytes: u64,
}

/// What enforced each limit: `cgroup-v1`, `cgroup-v2`, `sampling` or `supervisor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnforcedBy {
    /// Always the supervisor's clock.
    pub wall: String,
    /// Who counted processor time.
    pub cpu: String,
    /// Who bounded memory.
    pub memory: String,
    /// Who bounded the number of processes.
    pub processes: String,
    /// Always the supervisor, who reads the output.
    pub output: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The exit status, when the command ended by itself.
    pub exit: Option<i32>,
    /// The signal that ended the command.
    pub signal: Option<i32>,
    /// The limit that was breached.
    pub breach: Option<Breach>,
    /// Whether the worker had asked to stop.
    pub cancelled: bool,
    /// Standard output, at most the limit.
    #[serde(skip)]
    pub stdout: Vec<u8>,
    /// Standard error, at most the limit.
    #[serde(skip)]
    pub stderr: Vec<u8>,
    /// What was used.
    pub usage: Usage,
    /// What enforced each limit.
    pub enforced_by: EnforcedBy,
    /// Whether some process could not be killed, as one that became another user cannot be.
    pub survivors: bool,
}

/// Why a command did not even start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartFailure {
    /// No such program, or its interpreter is missing.
    NotFound(String),
    /// It is there and cannot be run like this, now or later.
    Unusable(String),
    /// The machine is short of something; later it may work.
    Busy(String),
}

/// Names a process for ever: its number and its start.
pub(crate) type Identity = (i32, u64);

/// What a supervisor says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    /// The direct child and the tree as last seen; for the worker to clean up after a supervisor that was killed.
    Tree { child: i32, members: Vec<Identity> },
    /// The command could not be started.
    Failed(StartFailure),
    /// The end; standard output and error follow as two more frames.
    Done(Box<Report>),
}

/// The byte by which the worker asks for a stop.
pub(crate) const CANCEL: u8 = b'c';

/// More than any frame can be: inputs and outputs are bounded far below.
const MOST: u64 = 1 << 32;

pub(crate) fn write_frame(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)
}

pub(crate) fn read_frame(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame longer than any can be"));
    }
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_went_and_a_cut_one_is_an_error() {
        let mut pipe = Vec::new();
        write_frame(&mut pipe, b"one").expect("memory");
        write_frame(&mut pipe, b"").expect("memory");
        let mut from = pipe.as_slice();
        assert_eq!(read_frame(&mut from).expect("whole"), b"one");
        assert_eq!(read_frame(&mut from).expect("whole"), b"");
        assert!(read_frame(&mut &pipe[..9]).is_err());
        assert!(read_frame(&mut [255; 16].as_slice()).is_err());
    }
}
