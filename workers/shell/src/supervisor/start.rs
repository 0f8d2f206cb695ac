//! Starts the command of an attempt inside its cgroup, with resource limits as the second line.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, getppid, getrlimit, setrlimit};

use crate::cgroup::Group;
use crate::job::{Job, StartFailure};
use crate::limits::Limits;

use super::Attempt;

/// What the child answers when it cannot join its cgroup; no exec fails with this one.
const NOT_JOINED: Errno = Errno::REMOTEIO;

/// A single process may map this many times the memory limit when memory is only sampled.
///
/// It bounds what one process can take between two looks. The margin is for runtimes that map much and touch little;
/// the address space as such stays free, or Go, Java and Node would not start.
const DATA_MARGIN: u64 = 4;

/// Marks every file but the standard three as not for the command.
///
/// Ours are opened so; but the worker may have inherited others from whoever started it.
pub fn keep_files_to_this_process() {
    let numbers = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    for number in numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok()).filter(|n| *n > 2) {
        // SAFETY: the process has just listed this descriptor as open and has one thread, so it is open but for the one
        // of the listing itself, for which the call fails with EBADF or marks what is closed right after.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = rustix::io::fcntl_setfd(file, rustix::io::FdFlags::CLOEXEC);
    }
}

/// Starts the command, in a cgroup where there is one.
pub fn start(job: &Job) -> Result<Attempt, StartFailure> {
    let places = &job.places;
    let wanted = places.memory.is_some() || places.processes.is_some() || places.cpu.is_some();
    if wanted {
        match start_in_group(job) {
            Ok(attempt) => return Ok(attempt),
            Err((failure, Fault::Command)) => return Err(failure),
            Err((failure, Fault::Group)) if job.cgroup_required => return Err(failure),
            // The worker was allowed to make groups when it started and no longer is: sample instead, and say so.
            Err((_, Fault::Group)) => {}
        }
    }
    Ok(Attempt { child: spawn(job, Vec::new(), false)?, group: None })
}

enum Fault {
    Command,
    Group,
}

fn start_in_group(job: &Job) -> Result<Attempt, (StartFailure, Fault)> {
    let busy = |error: io::Error| (StartFailure::Busy(format!("cgroup: {error}")), Fault::Group);
    let group = Group::create(&job.places, &job.group, &job.limits).map_err(busy)?;
    let doors = match group.doors() {
        Ok(doors) => doors,
        Err(error) => {
            group.remove(std::time::Duration::ZERO);
            return Err(busy(error));
        }
    };
    match spawn(job, doors, group.levels()[0].is_some()) {
        Ok(child) => Ok(Attempt { child, group: Some(group) }),
        Err(error) => {
            group.remove(std::time::Duration::from_millis(200));
            let joined = error.raw_os_error() != Some(NOT_JOINED.raw_os_error());
            Err(if joined { (error.into(), Fault::Command) } else { busy(error) })
        }
    }
}

fn spawn(job: &Job, doors: Vec<File>, memory_in_group: bool) -> io::Result<Child> {
    let spec = &job.spec;
    let supervisor = getpid();
    let rlimits = rlimits(&job.limits, memory_in_group);
    let mut command = Command::new(&spec.program);
    command
        .arg0(&spec.argv[0])
        .args(&spec.argv[1..])
        .env_clear()
        .envs(&spec.env)
        .current_dir(&spec.cwd)
        .stdin(if job.has_stdin { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let prepare = move || become_child(supervisor, &doors, &rlimits);
    // SAFETY: the closure runs between fork and exec. The supervisor has a single thread, so no lock can be held by
    // another one, and the closure only makes system calls on values made before the fork; it allocates nothing.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

fn become_child(supervisor: Pid, doors: &[File], rlimits: &[(Resource, Rlimit)]) -> io::Result<()> {
    // A session and group of its own: SIGTERM reaches the command and what it started, and nobody else.
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(supervisor) {
        return Err(Errno::SRCH.into());
    }
    for door in doors {
        if rustix::io::write(door, b"0").is_err() {
            return Err(NOT_JOINED.into());
        }
    }
    for (resource, limit) in rlimits {
        setrlimit(*resource, *limit)?;
    }
    Ok(())
}

fn rlimits(limits: &Limits, memory_in_group: bool) -> Vec<(Resource, Rlimit)> {
    let lowered = |resource: Resource, soft: u64, hard: u64| {
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        (resource, Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) })
    };
    // One second later than ours, so that it acts only when the supervisor cannot.
    let cpu = limits.cpu.as_secs() + 2;
    let mut all = vec![lowered(Resource::Core, 0, 0), lowered(Resource::Cpu, cpu, cpu + 1)];
    if !memory_in_group {
        let data = limits.memory_bytes.saturating_mul(DATA_MARGIN);
        all.push(lowered(Resource::Data, data, data));
    }
    all
}
