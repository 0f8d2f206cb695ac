//! Starts child processes that cannot outlive the test process.
//!
//! Linux sends the parent-death signal when the *thread* that forked ends, not the process. A test thread ends with its
//! test and a runtime's blocking thread when it idles, so every child is forked by one thread that lives for ever.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

use rustix::process::{Pid, Signal};

type Job = (Command, SyncSender<io::Result<Child>>);

/// Spawns `command` in a process group of its own, killed by the kernel when this process dies.
///
/// # Errors
/// Whatever [`Command::spawn`] reports, such as a missing program.
pub fn spawn_guarded(mut command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<SyncSender<Job>> = OnceLock::new();
    command.process_group(0);
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec the closure only makes system calls and builds an `io::Error` from a number;
    // both are async-signal-safe and neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died between fork and the call above; then nobody would ever send the signal.
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
            }
            Ok(())
        });
    }
    let spawner = SPAWNER.get_or_init(|| {
        // No waiting room: each asker waits for its own answer anyway.
        let (jobs, inbox) = sync_channel::<Job>(0);
        std::thread::Builder::new()
            .name("testkit-spawner".into())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    // The asker waits for the answer, so it is there to receive it.
                    let _ = answer.send(command.spawn());
                }
            })
            .expect("a process that can run tests can start one more thread");
        jobs
    });
    // One place, so that the spawner never waits for an asker.
    let (answer, reply) = sync_channel(1);
    spawner.send((command, answer)).expect("the spawner thread never ends");
    reply.recv().expect("the spawner thread answers every job")
}

/// Sends `signal` to one process by its id; a process that is gone already is no error.
///
/// # Errors
/// When the signal may not be sent.
pub fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    settle(rustix::process::kill_process(to_pid(pid), signal))
}

/// Sends `signal` to a whole process group; a group that is gone already is no error.
///
/// # Errors
/// When the signal may not be sent.
pub fn signal_group(pid: u32, signal: Signal) -> io::Result<()> {
    settle(rustix::process::kill_process_group(to_pid(pid), signal))
}

fn settle(sent: rustix::io::Result<()>) -> io::Result<()> {
    match sent {
        Err(e) if e != rustix::io::Errno::SRCH => Err(e.into()),
        _ => Ok(()),
    }
}

fn to_pid(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("the kernel hands out positive process ids")
}
