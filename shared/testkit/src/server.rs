//! Launches a real nats-server for one test: loopback, a port of its own, a store of its own, gone when dropped.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::spawn::{signal, spawn_guarded};
use crate::wait::poll_blocking;

mod builder;
mod cluster;
mod config;
mod find;
pub use builder::{Builder, Profile};
pub use cluster::{Edge, NatsCluster};
pub use find::find_nats_server;

/// How long a start may take; a busy two-core machine with a large store needs seconds, never this.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long a polite stop may take before it counts as hung.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// A running nats-server with JetStream; dropping it kills the process and removes its temporary files.
#[derive(Debug)]
pub struct NatsServer {
    program: PathBuf,
    home: TempDir,
    store: PathBuf,
    config_names_store: bool,
    env: Vec<(String, String)>,
    port: u16,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    pid: u32,
}

impl NatsServer {
    /// Starts a server with the defaults: `fast` profile, no users, a temporary store.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Describes a server that differs from the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The client address, `nats://127.0.0.1:<port>`; stays the same over restarts.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// The client address as a socket address, for a [`Proxy`](crate::Proxy) in front of it.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The client port; stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the running server.
    ///
    /// # Panics
    /// When the server is stopped.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the server is stopped; restart it first").pid
    }

    /// The JetStream store directory.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// Everything the server has logged, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read(self.home.path().join("log"))
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    /// Kills the server at once (SIGKILL) and waits until it is gone.
    pub fn kill9(&mut self) {
        self.end(Signal::KILL);
    }

    /// Stops the server politely (SIGTERM) and waits until it is gone.
    ///
    /// # Panics
    /// When it has not ended in 30 s.
    pub fn term(&mut self) {
        self.end(Signal::TERM);
    }

    /// Stops the server politely and kills it when it has not ended in time; says whether it ended by itself.
    pub fn term_within(&mut self, patience: Duration) -> bool {
        let Some(running) = &mut self.running else { return true };
        let _ = signal(running.pid, Signal::TERM);
        let is_gone = poll_blocking(patience, || running.child.try_wait().ok().flatten()).is_some();
        self.end(Signal::KILL);
        is_gone
    }

    /// Freezes the server (SIGSTOP): connections stay open and nothing answers.
    pub fn stop_signal(&self) {
        signal(self.pid(), Signal::STOP).expect("a test may signal its own server");
    }

    /// Lets a frozen server go on (SIGCONT).
    pub fn cont(&self) {
        signal(self.pid(), Signal::CONT).expect("a test may signal its own server");
    }

    /// Starts the server again on the same port and store, stopping it politely first when it runs.
    ///
    /// # Panics
    /// When it does not come up again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.term();
        if let Err(e) = self.launch() {
            panic!("could not restart the server on port {}: {e:#}", self.port);
        }
    }

    fn end(&mut self, how: Signal) {
        let Some(mut running) = self.running.take() else { return };
        let _ = signal(running.pid, how);
        let gone = poll_blocking(STOP_DEADLINE, || running.child.try_wait().ok().flatten());
        if gone.is_none() {
            let _ = running.child.kill();
            let _ = running.child.wait();
            if !std::thread::panicking() {
                panic!("nats-server {} did not end in {STOP_DEADLINE:?}\n{}", running.pid, self.log_tail());
            }
        }
    }

    fn launch(&mut self) -> anyhow::Result<()> {
        let mut last = None;
        // The fixed port of a restart may be held for a moment by a client of another test that drew it.
        let done = poll_blocking(START_DEADLINE, || match self.launch_once() {
            Err(e) if self.port != 0 && format!("{e:#}").contains("address already in use") => {
                last = Some(e);
                None
            }
            other => Some(other),
        });
        done.unwrap_or_else(|| Err(last.expect("the loop goes on only after an error")))
    }

    fn launch_once(&mut self) -> anyhow::Result<()> {
        let ports = TempDir::with_prefix_in("ports-", self.home.path()).context("could not create a directory")?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.home.path().join("log"))?;
        let mut command = Command::new(&self.program);
        // Flags win over the configuration file, whatever it says.
        command.args(["-js", "-a", "127.0.0.1", "-p"]);
        command.arg(if self.port == 0 { "-1".into() } else { self.port.to_string() });
        if !self.config_names_store {
            command.arg("-sd").arg(&self.store);
        }
        command.arg("--ports_file_dir").arg(ports.path()).arg("-c").arg(self.home.path().join("test.conf"));
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = spawn_guarded(command).with_context(|| format!("could not start {}", self.program.display()))?;
        // Owned by the struct from here on, so an early return below leaves nothing running.
        let pid = child.id();
        let running = self.running.insert(Running { child, pid });
        let found = poll_blocking(START_DEADLINE, || match running.child.try_wait() {
            Ok(Some(status)) => Some(Err(status)),
            _ => ports_file(ports.path()).map(Ok),
        });
        let (pid, port) = match found {
            Some(Ok(found)) => found,
            Some(Err(status)) => return self.refused(status),
            None => {
                self.end(Signal::KILL);
                bail!("nats-server did not say its port in {START_DEADLINE:?}\n{}", self.log_tail());
            }
        };
        running.pid = pid;
        self.port = port;
        let address = self.address();
        if poll_blocking(START_DEADLINE, || greets(address).then_some(())).is_none() {
            self.end(Signal::KILL);
            bail!("nats-server did not greet on port {port} in {START_DEADLINE:?}\n{}", self.log_tail());
        }
        Ok(())
    }

    fn refused(&mut self, status: ExitStatus) -> anyhow::Result<()> {
        self.running = None;
        bail!("nats-server ended at once with {status}\n{}", self.log_tail())
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}

/// Reads `nats-server_<pid>.ports`; the pid in its name holds even where the program is a wrapper script.
fn ports_file(dir: &Path) -> Option<(u32, u16)> {
    let entry = std::fs::read_dir(dir).ok()?.flatten().find(|e| e.path().extension().is_some_and(|x| x == "ports"))?;
    let pid = entry.path().file_stem()?.to_str()?.rsplit('_').next()?.parse().ok()?;
    // A file that is still being written does not parse and is read again.
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(entry.path()).ok()?).ok()?;
    let url = ports.get("nats")?.get(0)?.as_str()?;
    Some((pid, url.rsplit(':').next()?.parse().ok()?))
}

fn greets(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    let mut hello = [0; 5];
    stream.set_read_timeout(Some(Duration::from_secs(2))).is_ok()
        && stream.read_exact(&mut hello).is_ok()
        && &hello == b"INFO "
}

#[cfg(test)]
mod tests;
