//! One process of the field, and the proxies between it and the servers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use nova_testkit::{NatsServer, Process, Proxy};

use super::program;
use crate::sabotage::Sabotage;
use crate::worker::{BROKEN, HISTORY};

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs tasks.
    Worker,
    /// Moves runs, sweeps, answers.
    Coordinator,
    /// Submits; part of this very process, but for its connections.
    Submitter,
}

/// How long one that was asked to end may take.
const DRAIN: Duration = Duration::from_secs(20);
/// How many attempts a worker runs at once.
const SLOTS: &str = "24";

/// The member.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// One for each server.
    pub proxies: Vec<Proxy>,
    home: PathBuf,
    broken: Option<Sabotage>,
    process: Option<Process>,
    /// What its former processes said at last.
    said: Vec<String>,
}

impl Member {
    /// A member that does nothing yet.
    ///
    /// # Errors
    /// When no proxy can be started.
    pub async fn new(
        role: Role,
        n: usize,
        servers: &[NatsServer],
        home: &Path,
        broken: Option<Sabotage>,
    ) -> anyhow::Result<Self> {
        let mut proxies = Vec::new();
        for server in servers {
            proxies.push(Proxy::start(server.address()).await.context("could not start a proxy")?);
        }
        let name = match role {
            Role::Worker => format!("w{n}"),
            Role::Coordinator => format!("c{n}"),
            Role::Submitter => format!("s{n}"),
        };
        Ok(Self { name, role, proxies, home: home.to_owned(), broken, process: None, said: Vec::new() })
    }

    /// The servers as it sees them.
    #[must_use]
    pub fn url(&self) -> String {
        self.proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",")
    }

    /// Starts its process, if it has one, with more variables than usual.
    ///
    /// # Errors
    /// When the program is not there.
    pub fn start(&mut self, more: &[(&str, String)]) -> anyhow::Result<()> {
        let mut command = match self.role {
            Role::Worker => Command::new(program("nova-chaos")?),
            Role::Coordinator => Command::new(program("nova-coordinator")?),
            Role::Submitter => return Ok(()),
        };
        command.env("NOVA__NATS__URL", self.url()).env("NOVA__SERVE__LISTEN", "");
        match self.role {
            Role::Worker => command
                .env("NOVA__WORKER__ID", &self.name)
                .env("NOVA__WORKER__SLOTS", SLOTS)
                .env(HISTORY, self.home.join("history"))
                .env(
                    BROKEN,
                    self.broken
                        .and_then(|how| serde_json::to_value(how).ok()?.as_str().map(str::to_owned))
                        .unwrap_or_default(),
                ),
            _ => command.env("NOVA__COORDINATOR__ID", &self.name),
        };
        // A trace of each panic on order would take a debug build longer than its task may.
        command.env("RUST_BACKTRACE", "0").env("NOVA_FAILPOINT_MARK", self.home.join("marks"));
        command.envs(more.iter().map(|(key, value)| (*key, value)));
        self.forget();
        self.process = Some(Process::spawn(&self.name, command));
        Ok(())
    }

    /// Its running process; `None` for a submitter.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Waits until a process that was asked to end has ended, and kills it when it does not.
    pub async fn ended(&mut self) {
        let Some(process) = &mut self.process else { return };
        let ended = async {
            while process.try_exit().is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(DRAIN, ended).await;
        self.forget();
    }

    /// Kills its process.
    pub fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill9();
        }
        self.forget();
    }

    fn forget(&mut self) {
        if let Some(process) = self.process.take() {
            let lines = process.stderr();
            self.said.extend(lines[lines.len().saturating_sub(200)..].iter().cloned());
            self.said.push("--- ended".to_owned());
        }
    }

    /// What its processes said.
    #[must_use]
    pub fn log(&self) -> String {
        let now = self.process.as_ref().map(Process::stderr).unwrap_or_default();
        self.said.iter().chain(&now).fold(String::new(), |text, line| text + line + "\n")
    }
}
