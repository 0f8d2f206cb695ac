//! The engine: runs one command under its limits in a supervisor process and waits for the report.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use crate::cgroup::{self, Group, Places};
use crate::config::Enforcement;
use crate::job::{self, CANCEL, Identity, Job, Message, Patience, Report, Spec, StartFailure};
use crate::limits::Limits;
use crate::{supervisor, tree};

/// Why the engine cannot work on this machine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// `enforcement = "cgroup"` where it cannot be.
    #[error("cgroup enforcement is asked for, but this process may not make groups for {missing}")]
    NoCgroup {
        /// The limits without a controller.
        missing: String,
    },
    /// This process cannot be read in `/proc`.
    #[error("this process cannot be read in /proc: the shell skill needs Linux with /proc mounted")]
    NoProc,
}

/// Why a command gave no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The supervisor process could not be started.
    #[error("could not start a supervisor from {program:?}")]
    Supervisor {
        /// The binary tried.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The supervisor ended, or stopped answering, before it reported; the tree was killed.
    #[error("the supervisor of the command was lost ({how}); everything it had started was killed")]
    Lost {
        /// What was seen of it.
        how: String,
    },
    /// The command did not start.
    #[error("could not start the command")]
    Start(StartFailure),
}

impl RunError {
    /// Whether the same command may run later.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Start(StartFailure::NotFound(_) | StartFailure::Unusable(_)))
    }
}

/// Runs commands; one engine serves any number of attempts at once.
#[derive(Debug)]
pub struct Engine {
    supervisor: PathBuf,
    places: Places,
    cgroup_required: bool,
    me: tree::Process,
}

/// One count for the process, for a process may hold several engines and its groups are named after it.
static NEXT_GROUP: AtomicU64 = AtomicU64::new(0);

/// How long a supervisor may take beyond all its own deadlines before it counts as lost.
const LATE: Duration = Duration::from_secs(15);

impl Engine {
    /// Finds out what can be enforced here, and clears away what earlier workers left.
    ///
    /// # Errors
    /// [`EngineError`] when the level asked for cannot be had.
    pub fn new(enforcement: Enforcement, delegated: Option<&std::path::Path>) -> Result<Self, EngineError> {
        let me = tree::read(std::process::id() as i32).ok_or(EngineError::NoProc)?;
        let places = match enforcement {
            Enforcement::Sampling => Places::default(),
            Enforcement::Auto | Enforcement::Cgroup => Places::detect(delegated),
        };
        if enforcement == Enforcement::Cgroup && !places.is_complete() {
            let gaps = [("memory", &places.memory), ("processes", &places.processes), ("processor time", &places.cpu)];
            let missing: Vec<&str> = gaps.iter().filter(|(_, place)| place.is_none()).map(|(name, _)| *name).collect();
            return Err(EngineError::NoCgroup { missing: missing.join(", ") });
        }
        let removed = places.remove_stale();
        if removed > 0 {
            tracing::warn!(groups = removed, "cleared away what an earlier worker left");
        }
        let supervisor = PathBuf::from("/proc/self/exe");
        Ok(Self { supervisor, places, cgroup_required: enforcement == Enforcement::Cgroup, me })
    }

    /// Uses another binary as supervisor than the one running, as tests must: it calls [`supervisor::entry`] first.
    #[must_use]
    pub fn with_supervisor(mut self, program: PathBuf) -> Self {
        self.supervisor = program;
        self
    }

    /// Where cgroups can be made here; empty when sampling.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Runs a command to its end.
    ///
    /// When `cancel` resolves, the command's process group gets SIGTERM, and after the grace the whole tree SIGKILL.
    ///
    /// # Errors
    /// [`RunError`] when there is no report; nothing of the command is left running then either.
    ///
    /// # Cancel safety
    /// Dropping the future closes the supervisor's lifeline, which kills the whole tree at once.
    pub async fn run(
        &self,
        spec: Spec,
        limits: Limits,
        patience: Patience,
        cancel: impl Future<Output = ()>,
    ) -> Result<Report, RunError> {
        let group = cgroup::group_name(&self.me, NEXT_GROUP.fetch_add(1, Ordering::Relaxed));
        let mut child =
            self.spawn().map_err(|source| RunError::Supervisor { program: self.supervisor.clone(), source })?;
        let mut lifeline = child.stdin.take().expect("it was asked for");
        let answers = child.stdout.take().expect("it was asked for");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let overdue = limits.wall + patience.drain + LATE;
        let stdin = spec.stdin.clone();
        let job = Job {
            has_stdin: stdin.is_some(),
            places: self.places.clone(),
            cgroup_required: self.cgroup_required,
            group: group.clone(),
            spec,
            limits,
            patience,
        };
        let mut request = Vec::new();
        job::write_frame(&mut request, &serde_json::to_vec(&job).expect("a job is plain data")).expect("memory");
        if let Some(bytes) = stdin {
            job::write_frame(&mut request, &bytes).expect("memory");
        }
        // The supervisor reads all of this before it does anything else; when it fails, reading the answer says why.
        let _ = lifeline.write_all(&request).await;
        drop(request);

        let answer = collect(answers, Arc::clone(&seen));
        tokio::pin!(answer, cancel);
        let mut asked = false;
        let mut give_up = Instant::now() + overdue;
        let answer = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                () = &mut cancel, if !asked => {
                    asked = true;
                    give_up = give_up.min(Instant::now() + patience.grace + LATE);
                    let _ = lifeline.write_all(&[CANCEL]).await;
                }
                () = sleep_until(give_up) => {
                    let _ = child.start_kill();
                    break Err(io::ErrorKind::TimedOut.into());
                }
            }
        };
        drop(lifeline);
        match answer {
            Ok(Ok(report)) => {
                // It has said all; it ends by itself, and the runtime reaps it should this future go away.
                let _ = child.wait().await;
                Ok(report)
            }
            Ok(Err(failure)) => {
                let _ = child.wait().await;
                Err(RunError::Start(failure))
            }
            Err(error) => {
                let _ = child.start_kill();
                let how = match child.wait().await {
                    Ok(status) if error.kind() == io::ErrorKind::UnexpectedEof => status.to_string(),
                    _ => error.to_string(),
                };
                let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
                let places = self.places.clone();
                let _ = tokio::task::spawn_blocking(move || clean_up(&places, &group, &seen)).await;
                Err(RunError::Lost { how })
            }
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        Command::new(&self.supervisor)
            .arg(supervisor::ARGUMENT)
            // The command must find no secret of the worker in its parent's environment.
            .env_clear()
            // Signals to the worker's group are the worker's: it tells us when to stop.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }
}

/// The tree as the supervisor last described it.
#[derive(Debug, Default)]
struct Seen {
    child: i32,
    members: Vec<Identity>,
}

async fn collect(mut from: impl AsyncRead + Unpin, seen: Arc<Mutex<Seen>>) -> io::Result<Result<Report, StartFailure>> {
    loop {
        match serde_json::from_slice(&read_frame(&mut from).await?)? {
            Message::Tree { child, members } => {
                *seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Seen { child, members };
            }
            Message::Failed(failure) => return Ok(Err(failure)),
            Message::Done(mut report) => {
                report.stdout = read_frame(&mut from).await?;
                report.stderr = read_frame(&mut from).await?;
                return Ok(Ok(*report));
            }
        }
    }
}

async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = from.read_u64_le().await?;
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Kills what a lost supervisor left: its cgroup, the members it last told of with all their descendants, and every
/// process of the command's session.
///
/// The direct child is dead already, by its death signal. Without a cgroup, what was born and orphaned in a session of
/// its own after the last look is not found.
fn clean_up(places: &Places, group: &str, seen: &Seen) {
    let group = Group::open(places, group);
    // Two empty rounds in a row: a process forked while the first one read the list shows in the second.
    let mut empty = 0;
    for _ in 0..1000 {
        group.kill();
        let all = tree::scan();
        let known: Vec<i32> = all
            .iter()
            .filter(|p| seen.members.contains(&(p.pid, p.started)) || (seen.child > 0 && p.session == seen.child))
            .map(|p| p.pid)
            .collect();
        let below = tree::descendants(&all, &known);
        let alive = |pid: i32| all.iter().any(|p| p.pid == pid && !p.zombie);
        let targets: Vec<i32> =
            known.into_iter().chain(below.iter().map(|p| p.pid)).filter(|pid| alive(*pid)).collect();
        empty = if targets.is_empty() { empty + 1 } else { 0 };
        if empty == 2 {
            break;
        }
        targets.into_iter().for_each(tree::kill);
        tree::moment();
    }
    group.remove(Duration::from_secs(2));
}
