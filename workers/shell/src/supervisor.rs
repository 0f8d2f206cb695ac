//! The supervisor: a process of its own per attempt, which starts the command, watches its whole tree and ends it.
//!
//! It is this same binary, started again with a hidden argument. Being the subreaper of one attempt only, every orphan
//! of that attempt and of no other comes to it, and "no children left" is proof that the tree is gone. Its standard
//! input is the worker's lifeline: end of file means the worker died, however it died, and everything is killed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};

use crate::cgroup::Group;
use crate::job::{self, CANCEL, Job, Message, Report, StartFailure, Usage};
use crate::limits::{self, Breach};

mod meter;
mod pipes;
mod start;

use meter::Meter;
use pipes::{Input, Output};

/// The hidden argument.
pub const ARGUMENT: &str = "--supervise-one-attempt";

/// How long the last processes of a killed tree may take to go; only ones of another user take longer.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Runs as the supervisor of one attempt when this process was started as one.
///
/// A binary that offers the shell skill calls this before anything else in `main`.
pub fn entry() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    Some(if serve().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn serve() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    start::keep_files_to_this_process();
    // What was read of the environment or the task in here is not for other processes of the same user.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    let mut control = File::from(rustix::stdio::stdin().try_clone_to_owned()?);
    let mut reports = File::from(rustix::stdio::stdout().try_clone_to_owned()?);
    let job: Job = serde_json::from_slice(&job::read_frame(&mut control)?)?;
    let stdin = if job.has_stdin { Some(job::read_frame(&mut control)?) } else { None };
    let Attempt { child, group } = match start::start(&job) {
        Ok(attempt) => attempt,
        Err(failure) => return send(&mut reports, &Message::Failed(failure)),
    };
    let mut watch = Watch::new(job, child, group, stdin, control, reports)?;
    let end = watch.until_end();
    watch.finish(end)
}

fn send(to: &mut File, message: &Message) -> io::Result<()> {
    job::write_frame(to, &serde_json::to_vec(message)?)
}

/// A command that runs, and the cgroup it runs in.
struct Attempt {
    child: Child,
    group: Option<Group>,
}

/// Why watching ended.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The command ended and nothing of it is left.
    Clean,
    /// The command ended, others of its tree did not.
    LeftBehind,
    Breach(Breach),
    Cancelled,
    /// The worker is gone: nobody to report to.
    Orphaned,
}

struct Watch {
    job: Job,
    pid: Pid,
    /// Readable when the direct child ends; `None` before Linux 5.3.
    ended: Option<OwnedFd>,
    group: Option<Group>,
    meter: Meter,
    control: File,
    reports: File,
    stdin: Input,
    stdout: Output,
    stderr: Output,
    started: Instant,
    status: Option<(WaitStatus, Instant)>,
    childless: bool,
    next_look: Instant,
    kill_at: Option<Instant>,
}

impl Watch {
    fn new(
        job: Job,
        mut child: Child,
        group: Option<Group>,
        stdin: Option<Vec<u8>>,
        control: File,
        reports: File,
    ) -> io::Result<Self> {
        let started = Instant::now();
        let pid = Pid::from_child(&child);
        let limit = job.limits.output_bytes;
        Ok(Self {
            ended: rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok(),
            meter: Meter::new(child.id() as i32, &job.limits, group.as_ref()),
            stdin: Input::new(child.stdin.take().map(OwnedFd::from), stdin)?,
            stdout: Output::new(child.stdout.take().map(OwnedFd::from), limit)?,
            stderr: Output::new(child.stderr.take().map(OwnedFd::from), limit)?,
            job,
            pid,
            group,
            control,
            reports,
            started,
            status: None,
            childless: false,
            // The first look comes soon: most commands are short.
            next_look: started + Duration::from_millis(2),
            kill_at: None,
        })
    }

    fn until_end(&mut self) -> End {
        loop {
            self.reap();
            let now = Instant::now();
            if let Some((_, at)) = self.status {
                self.stdout.fill();
                self.stderr.fill();
                if self.childless {
                    return End::Clean;
                }
                if let Some(breach) = self.look(now) {
                    return End::Breach(breach);
                }
                let open = self.stdout.is_open() || self.stderr.is_open();
                if !open || now >= at + self.job.patience.drain {
                    return End::LeftBehind;
                }
            } else if now >= self.next_look {
                if let Some(breach) = self.look(now) {
                    return End::Breach(breach);
                }
            } else if let Some(breach) = limits::breach(&self.job.limits, &self.reading(now)) {
                return End::Breach(breach);
            }
            if self.kill_at.is_some_and(|at| now >= at) {
                return End::Cancelled;
            }
            if self.wait(now) == Heard::WorkerGone {
                return End::Orphaned;
            }
        }
    }

    /// The last look taken, with what is known without looking brought up to date.
    fn reading(&self, now: Instant) -> limits::Reading {
        limits::Reading {
            wall: now.duration_since(self.started),
            stdout_bytes: self.stdout.total(),
            stderr_bytes: self.stderr.total(),
            ..self.meter.last().clone()
        }
    }

    /// Looks at the tree, tells the worker who belongs to it, and answers the breach found.
    fn look(&mut self, now: Instant) -> Option<Breach> {
        let wait = self.meter.look(self.group.as_ref());
        self.next_look = Instant::now() + wait;
        if let Some(members) = self.meter.news() {
            let tree = Message::Tree { child: self.pid.as_raw_nonzero().get(), members };
            // A worker that no longer listens is noticed by its lifeline.
            let _ = send(&mut self.reports, &tree);
        }
        limits::breach(&self.job.limits, &self.reading(now))
    }

    /// Sleeps until something happens, and moves input and output along.
    fn wait(&mut self, now: Instant) -> Heard {
        let mut until = self.next_look.min(self.started + self.job.limits.wall);
        if let Some((_, at)) = self.status {
            until = until.min(at + self.job.patience.drain);
        }
        if let Some(at) = self.kill_at {
            until = until.min(at);
        }
        let timeout = Timespec::try_from(until.saturating_duration_since(now)).expect("limits are below 30 days");
        let mut files = vec![PollFd::new(&self.control, PollFlags::IN)];
        let ended = self.ended.as_ref().filter(|_| self.status.is_none());
        files.extend(ended.map(|fd| PollFd::new(fd, PollFlags::IN)));
        files.extend(self.stdin.file().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)));
        files.extend(self.stdout.file().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        files.extend(self.stderr.file().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        // Interrupted or out of memory: both are as good as a timeout that came early.
        let _ = poll(&mut files, Some(&timeout));
        let spoken = !files[0].revents().is_empty();
        self.stdin.drain();
        self.stdout.fill();
        self.stderr.fill();
        if spoken { self.listen() } else { Heard::Nothing }
    }

    fn listen(&mut self) -> Heard {
        let mut byte = [0];
        match rustix::io::read(self.control.as_fd(), &mut byte) {
            Ok(1) if byte[0] == CANCEL => {
                if self.kill_at.is_none() {
                    self.kill_at = Some(Instant::now() + self.job.patience.grace);
                    let _ = rustix::process::kill_process_group(self.pid, Signal::TERM);
                }
                Heard::Nothing
            }
            Ok(1) | Err(rustix::io::Errno::INTR) => Heard::Nothing,
            _ => Heard::WorkerGone,
        }
    }

    /// Takes leave of every ended child, adopted ones included.
    fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.pid => self.status = Some((status, Instant::now())),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => {
                    self.childless = true;
                    return;
                }
            }
        }
    }

    /// Kills whatever is left until this process has no children.
    fn kill_tree(&mut self) {
        let deadline = Instant::now() + KILL_PATIENCE;
        self.reap();
        while !self.childless && Instant::now() < deadline {
            if let Some(group) = &self.group {
                group.kill();
            }
            if self.status.is_none() {
                let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
            }
            // A killed process makes no more children, so every round finds fewer than the one before.
            meter::descendants_of_this_process().iter().for_each(|process| crate::tree::kill(process.pid));
            crate::tree::moment();
            self.reap();
        }
    }

    fn finish(&mut self, end: End) -> io::Result<()> {
        let asked = Instant::now();
        // One more look while the tree is still there: what it holds at its end is part of what it used. A breach has just
        // been looked at, and grows while we look.
        if !self.childless && matches!(end, End::LeftBehind | End::Cancelled) {
            self.meter.look(self.group.as_ref());
        }
        self.kill_tree();
        self.stdout.fill();
        self.stderr.fill();
        self.meter.close(self.group.as_ref());
        if let Some(group) = &self.group {
            group.remove(Duration::from_secs(1));
        }
        if end == End::Orphaned {
            return Ok(());
        }
        let ended = self.status.map_or(asked, |(_, at)| at);
        let last = self.reading(ended);
        let cancelled = self.kill_at.is_some();
        let breach = match end {
            End::Breach(breach) => Some(breach),
            _ if cancelled => None,
            // Short commands may end between two looks; time on the clock is no breach once it stopped in time.
            _ => limits::breach(&self.job.limits, &limits::Reading { wall: Duration::ZERO, ..last.clone() }),
        };
        let report = Report {
            exit: self.status.and_then(|(status, _)| status.exit_status()),
            signal: self.status.and_then(|(status, _)| status.terminating_signal()),
            breach,
            cancelled,
            stdout: Vec::new(),
            stderr: Vec::new(),
            usage: Usage {
                wall_ms: last.wall.as_millis() as u64,
                cpu_ms: last.cpu.as_millis() as u64,
                max_rss_bytes: self.meter.peak_memory(),
                processes: self.meter.peak_processes(),
                stdout_bytes: last.stdout_bytes,
                stderr_bytes: last.stderr_bytes,
            },
            enforced_by: self.meter.enforced_by(),
            survivors: !self.childless,
        };
        send(&mut self.reports, &Message::Done(Box::new(report)))?;
        job::write_frame(&mut self.reports, self.stdout.kept())?;
        job::write_frame(&mut self.reports, self.stderr.kept())
    }
}

#[derive(PartialEq)]
enum Heard {
    Nothing,
    WorkerGone,
}

impl From<io::Error> for StartFailure {
    fn from(error: io::Error) -> Self {
        use rustix::io::Errno;
        let text = error.to_string();
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NOTDIR) => Self::NotFound(text),
            Some(Errno::ACCESS | Errno::PERM | Errno::NOEXEC | Errno::TOOBIG | Errno::ISDIR | Errno::LOOP) => {
                Self::Unusable(text)
            }
            // A NUL byte in an argument or a name is found before the kernel is asked.
            None => Self::Unusable(text),
            Some(_) => Self::Busy(text),
        }
    }
}
