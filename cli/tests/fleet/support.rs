//! Runs the `nova` command away from the user's own settings.

use std::process::Command;
use std::time::Duration;

use nova_testkit::server::find_nats_server;
use nova_testkit::{Process, wait_until};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take. Far above what it takes: a slow machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A user's home of its own, and a fleet's store in it.
pub struct Home {
    pub dir: TempDir,
}

/// What a command left behind.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A running `nova dev`.
pub struct Dev {
    pub process: Process,
    pub ready: Value,
}

impl Home {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// The command with arguments; nothing of this machine's settings reaches it.
    pub fn nova(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nova"));
        let ours = std::env::vars_os().map(|(key, _)| key);
        let is_setting = |key: &std::ffi::OsString| {
            let key = key.to_string_lossy();
            key.starts_with("NOVA_") || key.starts_with("NATS_") || key.starts_with("XDG_") || key.starts_with("GIT_")
        };
        ours.filter(is_setting).for_each(|key| _ = command.env_remove(key));
        let home = self.dir.path();
        command.args(args).env("HOME", home).env("XDG_RUNTIME_DIR", home.join("run")).current_dir(home);
        command.env("NOVA_NATS_SERVER", find_nats_server().unwrap());
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, args: &[&str]) -> Ended {
        run(self.nova(args)).await
    }

    /// Starts a fleet and waits for its one line.
    pub async fn dev(&self, args: &[&str]) -> Dev {
        let store = self.dir.path().join("store");
        let fixed = ["dev", "--port", "0", "--json", "--store", store.to_str().unwrap()];
        let process = Process::spawn("nova dev", self.nova(&[&fixed[..], args].concat()));
        let line = process.wait_stdout("{", PATIENCE).await;
        Dev { process, ready: serde_json::from_str(&line).unwrap() }
    }

    /// A fleet that only reviews.
    pub async fn reviewers(&self) -> Dev {
        self.dev(&["--workers", "code-review=1,echo=0,shell=0,http=0"]).await
    }
}

/// Runs any command to its end.
pub async fn run(command: Command) -> Ended {
    let mut process = Process::spawn("nova", command);
    let status = process.wait_exit(PATIENCE).await;
    Ended { code: status.code(), stdout: process.stdout().join("\n"), stderr: process.stderr().join("\n") }
}

impl Dev {
    /// The log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.ready["log"].as_str().unwrap()).unwrap()
    }

    /// The processes it started last, by name.
    pub fn children(&self) -> Vec<(String, u32)> {
        let log = self.log();
        let started = log.lines().filter_map(|line| {
            let (name, pid) = line.strip_prefix("[nova] ")?.split_once(" started as process ")?;
            Some((name.to_owned(), pid.parse().unwrap()))
        });
        started.collect::<std::collections::BTreeMap<_, _>>().into_iter().collect()
    }
}

/// Whether a process runs; one that is only not reaped yet does not.
pub fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with(['Z', 'X']))
}

/// Waits until a process is gone.
pub async fn gone(pid: u32) {
    wait_until(format!("process {pid} to be gone"), PATIENCE, async || (!alive(pid)).then_some(())).await;
}

pub fn kill9(pid: u32) {
    nova_testkit::spawn::signal(pid, rustix::process::Signal::KILL).unwrap();
}
