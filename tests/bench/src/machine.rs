//! What the figures were measured on.

use std::fmt;
use std::process::Command;

use anyhow::Context as _;
use serde::Serialize;

/// The machine and the server.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// How many cores this process may use.
    pub cores: usize,
    /// What the processor calls itself.
    pub processor: String,
    /// The server's version.
    pub nats_server: String,
    /// How this was built.
    pub build: &'static str,
}

impl Machine {
    /// Looks around.
    ///
    /// # Errors
    /// When there is no nats-server.
    pub fn look() -> anyhow::Result<Self> {
        let program = nova_testkit::server::find_nats_server()?;
        let shown = Command::new(program).arg("--version").output().context("could not start nats-server")?;
        let version = String::from_utf8_lossy(&shown.stdout).trim().rsplit(' ').next().unwrap_or_default().to_owned();
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            processor: model.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            nats_server: version.trim_start_matches('v').to_owned(),
            build: if cfg!(debug_assertions) { "dev" } else { "release" },
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, nats_server, build } = self;
        write!(f, "{cores} cores ({processor}), shared by broker, workers and submitter; ")?;
        write!(f, "nats-server {nats_server}, file storage, profile fast; {build} build")
    }
}
