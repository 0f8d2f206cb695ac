//! Starts children that cannot outlive this process.
//!
//! Linux sends the parent-death signal when the *thread* that forked ends, and a runtime's threads come and go; so every
//! child is forked by one thread that lasts as long as the process.

use std::fs::File;
use std::io;
use std::sync::OnceLock;

use rustix::io::FdFlags;
use rustix::process::{Signal, getpid, getppid};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Fleets have tens of processes and each waits for its own start.
const WAITING: usize = 16;

struct Job {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<Child>>,
}

/// Starts a command in a process group of its own, so that Ctrl-C reaches only this process; `keep` stays open in it.
///
/// # Errors
/// Whatever the system reports, such as a missing program.
pub(super) async fn spawn(mut command: Command, keep: Option<File>) -> io::Result<Child> {
    command.process_group(0).kill_on_drop(true);
    guard(&mut command, keep);
    let (answer, started) = oneshot::channel();
    let job = Job { command, runtime: Handle::current(), answer };
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner()?.send(job).await.map_err(|_| gone())?;
    started.await.map_err(|_| gone())?
}

fn guard(command: &mut Command, keep: Option<File>) {
    let parent = getpid();
    // SAFETY: between fork and exec the closure only makes system calls and builds an `io::Error` from a number; both are
    // async-signal-safe and neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || {
            #[cfg(target_os = "linux")]
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the call above; then nobody would ever send the signal.
            if getppid() != Some(parent) {
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
            }
            if let Some(file) = &keep {
                rustix::io::fcntl_setfd(file, FdFlags::empty())?;
            }
            Ok(())
        });
    }
}

fn spawner() -> io::Result<&'static mpsc::Sender<Job>> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    if let Some(spawner) = SPAWNER.get() {
        return Ok(spawner);
    }
    let (jobs, mut inbox) = mpsc::channel::<Job>(WAITING);
    std::thread::Builder::new().name("nova-spawner".into()).spawn(move || {
        while let Some(Job { mut command, runtime, answer }) = inbox.blocking_recv() {
            let _entered = runtime.enter();
            // Nobody waits any more when a start was given up; the child ends with its handle.
            let _ = answer.send(command.spawn());
        }
    })?;
    // Another thread may have been first: then this one's inbox closes and it ends, without having started anything.
    Ok(SPAWNER.get_or_init(|| jobs))
}
