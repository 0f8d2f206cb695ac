//! What every process does first: settings, logs, metrics, health and signals, in this order.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{ClockRef, system_clock};
use crate::config::{ConfigError, Settings, Sources};
use crate::drain::Shutdown;
use crate::health::{Health, State};
use crate::http::{HttpConfig, HttpError, HttpServer};
use crate::logs::{self, LogConfig, LogError};
use crate::metrics::{Metric, Metrics};

/// The flags every process takes; flatten them into the process's own arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
// Without this clap would show the lines above as what the process is about.
#[command(about = None, long_about = None)]
pub struct CommonArgs {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", env = "NOVA_CONFIG")]
    pub config: Option<PathBuf>,
    /// Set one setting, over file and environment; may be given again
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Print the settings in effect and where each comes from, then end
    #[arg(long)]
    pub dump_config: bool,
}

/// Who is starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessOptions {
    /// The name of the process, as in logs and metrics.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The section `[process]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessConfig {
    /// Seconds from the first signal until what still runs is given up; 30 unless told.
    pub grace_secs: u64,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self { grace_secs: 30 }
    }
}

/// A process that has its footing.
#[derive(Clone)]
pub struct Started {
    /// The settings; ask for each section once, then [`settle`](Started::settle).
    pub settings: Settings,
    /// The metrics of the process.
    pub metrics: Metrics,
    /// The health of the process; not ready before the first check is set.
    pub health: Health,
    /// When to stop.
    pub shutdown: Shutdown,
    /// The time of day.
    pub clock: ClockRef,
    /// Where metrics and health are served, if they are.
    pub http: Option<SocketAddr>,
    dump_config: bool,
}

/// What a process does once its settings are known to be sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Run,
    /// End with success: the settings were all that was asked for.
    Stop,
}

/// Why a process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are wrong.
    #[error("could not use the settings")]
    Config(#[from] ConfigError),
    /// Logging cannot begin.
    #[error("could not begin logging")]
    Logs(#[from] LogError),
    /// The server of metrics and health cannot begin.
    #[error("could not serve metrics and health")]
    Http(#[from] HttpError),
    /// Signals cannot be listened to.
    #[error("could not listen to signals")]
    Signals(#[source] std::io::Error),
    /// The settings cannot be printed.
    #[error("could not print the settings")]
    Dump(#[source] std::io::Error),
}

impl StartError {
    /// Whether starting again may help: only a taken port may become free.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Http(error) if error.is_transient())
    }
}

/// Starts the common parts of a process.
///
/// # Errors
/// When settings, logs, the listening address or signals are not to be had; nothing is left running that matters.
pub async fn start(options: ProcessOptions, args: &CommonArgs) -> Result<Started, StartError> {
    start_with(options, Sources::of_process(args.config.clone(), args.set.clone()), args.dump_config).await
}

async fn start_with(options: ProcessOptions, sources: Sources, dump_config: bool) -> Result<Started, StartError> {
    let settings = Settings::load(sources)?;
    let log: LogConfig = settings.section_with_defaults("log")?;
    logs::init(&log, nova_broker::LIBRARY_LOG_TARGETS)?;
    let process: ProcessConfig = settings.section_with_defaults("process")?;
    let shutdown = Shutdown::on_signals(Duration::from_secs(process.grace_secs)).map_err(StartError::Signals)?;
    prepare(options, settings, shutdown, dump_config).await
}

/// All that follows once there are settings, logs and signals.
async fn prepare(
    options: ProcessOptions,
    settings: Settings,
    shutdown: Shutdown,
    dump_config: bool,
) -> Result<Started, StartError> {
    let listen = settings.section_with_defaults::<HttpConfig>("serve")?.address()?;
    let (metrics, health) = (Metrics::new(), Health::new());
    metrics.set(Metric::BuildInfo, &[&options.name, &options.version], 1.0);
    tokio::spawn(not_ready_while_draining(shutdown.clone(), health.clone()));
    let http = match listen {
        Some(listen) if !dump_config => Some(HttpServer::start(listen, metrics.clone(), health.clone()).await?),
        _ => None,
    };
    if !dump_config {
        let http = http.map(tracing::field::display);
        tracing::info!(process = options.name, version = options.version, http, "process started");
    }
    Ok(Started { settings, metrics, health, shutdown, clock: system_clock(), http, dump_config })
}

impl Started {
    /// Refuses settings nobody asked for, and prints the others when `--dump-config` was given.
    ///
    /// Call it when every section was asked for, before any work.
    ///
    /// # Errors
    /// [`StartError::Config`] for a section nobody knows; [`StartError::Dump`] when stdout is closed.
    pub fn settle(&self) -> Result<Next, StartError> {
        self.settings.finish()?;
        if !self.dump_config {
            return Ok(Next::Run);
        }
        let mut out = std::io::stdout().lock();
        out.write_all(self.settings.dump().as_bytes()).and_then(|()| out.flush()).map_err(StartError::Dump)?;
        Ok(Next::Stop)
    }
}

async fn not_ready_while_draining(shutdown: Shutdown, health: Health) {
    shutdown.token().cancelled().await;
    health.set("drain", State::Down("the process is stopping".to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ProcessOptions {
        ProcessOptions { name: "echo".to_owned(), version: "1.2.3".to_owned() }
    }

    fn sources(overrides: &[&str]) -> Sources {
        Sources { overrides: overrides.iter().map(|&text| text.to_owned()).collect(), ..Sources::default() }
    }

    #[derive(clap::Parser)]
    #[command(about = "Says what it is told")]
    struct Args {
        #[command(flatten)]
        common: CommonArgs,
    }

    #[derive(clap::Parser)]
    struct Silent {
        #[command(flatten)]
        common: CommonArgs,
    }

    #[test]
    fn common_flags_leave_the_description_to_the_process() {
        use clap::{CommandFactory, Parser};
        assert_eq!(Args::command().get_about().map(ToString::to_string).as_deref(), Some("Says what it is told"));
        assert!(Silent::command().get_about().is_none());
        let args = ["echo", "--set", "a.b=1", "--set", "a.c=2", "--dump-config"];
        let (args, silent) = (Args::parse_from(args).common, Silent::parse_from(args).common);
        assert_eq!(args, silent);
        assert!(args.dump_config && args.set == ["a.b=1", "a.c=2"]);
    }

    // One test: logging begins once per process.
    #[tokio::test]
    async fn process_starts_serves_and_drains() {
        let wrong = start_with(options(), sources(&["serve.listen=nowhere"]), false).await.err().unwrap();
        assert!(matches!(wrong, StartError::Http(_)) && !wrong.is_transient());
        let wrong = start_with(options(), sources(&["log.level=nova=loud"]), false).await.err().unwrap();
        assert!(matches!(wrong, StartError::Logs(LogError::Level { .. })));

        let started = prepared(&[]).await;
        assert!(started.http.unwrap().ip().is_loopback());
        assert!(started.metrics.render().contains(r#"nova_build_info{process="echo",version="1.2.3"} 1"#));
        assert_eq!(started.settle().unwrap(), Next::Run);
        started.health.set("broker", State::Up);
        assert!(started.health.ready().is_ok());
        started.shutdown.drain();
        let drained = async {
            while started.health.ready().is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), drained).await.expect("stayed ready while draining");

        let off = prepared(&["serve.listen=", "echo.a=1"]).await;
        assert_eq!(off.http, None);
        assert!(off.settle().unwrap_err().to_string().contains("settings"));
    }

    async fn prepared(overrides: &[&str]) -> Started {
        let settings = Settings::load(sources(overrides)).unwrap();
        // Signals are left to the tests of `drain`, which send some to this very process.
        prepare(options(), settings, Shutdown::manual(), false).await.unwrap()
    }
}
