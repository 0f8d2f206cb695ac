//! The `main` of a worker: settings, connection, work, drain.

use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use nova_runtime::{CommonArgs, ConfigError, NatsConfig, Next, ProcessOptions, Settings, Started, VERSION};
use nova_types::WorkerId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Worker, WorkerConfig, WorkerOptions};

/// Runs a Nova worker
#[derive(Parser)]
#[command(version = VERSION, disable_help_subcommand = true)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
}

/// What a worker is built from.
#[derive(Clone)]
pub struct Setup {
    settings: Settings,
    name: String,
}

impl Setup {
    /// The settings of the skill itself, from the section of the binary's name without `nova-`.
    ///
    /// # Errors
    /// [`ConfigError`] when a key is unknown or a value does not fit.
    pub fn config<T: DeserializeOwned + Serialize + Default>(&self) -> Result<T, ConfigError> {
        self.section(&self.name)
    }

    /// The settings of another section.
    ///
    /// # Errors
    /// [`ConfigError`] when a key is unknown or a value does not fit.
    pub fn section<T: DeserializeOwned + Serialize + Default>(&self, name: &str) -> Result<T, ConfigError> {
        self.settings.section_with_defaults(name)
    }
}

/// Runs the worker that `build` makes of the settings, until SIGTERM or SIGINT; for a binary's `main`.
pub fn main<F, B>(build: F) -> ExitCode
where
    F: FnOnce(Setup) -> B,
    B: Future<Output = anyhow::Result<Worker>>,
{
    let args = Args::parse();
    nova_runtime::run_main(async move {
        let process = process_name();
        let options = ProcessOptions { name: process.clone(), version: VERSION.to_owned() };
        let started = nova_runtime::start(options, &args.common).await?;
        let name = process.strip_prefix("nova-").unwrap_or(&process).to_owned();
        let worker = build(Setup { settings: started.settings.clone(), name: name.clone() }).await?;
        let config: WorkerConfig = started.settings.section_with_defaults("worker")?;
        let nats: NatsConfig = started.settings.section_with_defaults("nats")?;
        if started.settle()? == Next::Stop {
            return Ok(ExitCode::SUCCESS);
        }
        work(started, worker, config, nats).await?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn work(started: Started, worker: Worker, config: WorkerConfig, nats: NatsConfig) -> anyhow::Result<()> {
    let id = worker_id(&config.id, worker.first_skill().unwrap_or("worker"))?;
    let Some(broker) = started.connect(&nats, id.as_str()).await? else { return Ok(()) };
    let labels: BTreeMap<String, String> = config
        .labels
        .iter()
        .filter_map(|label| label.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let defaults = WorkerConfig::default();
    let slots = match (config.slots, worker.default_slots()) {
        (configured, Some(own)) if configured == defaults.slots => own,
        (configured, _) => configured,
    };
    let options = WorkerOptions {
        id,
        slots,
        threads: config.threads.max(1),
        cancel_grace: Duration::from_secs(config.cancel_grace_secs),
        outcomes_kept: Duration::from_secs(config.outcomes_kept_secs),
        labels,
        http: started.http.map(|address| address.to_string()),
        clock: Arc::clone(&started.clock),
        metrics: started.metrics.clone(),
        shutdown: started.shutdown.clone(),
    };
    Ok(worker.run(broker, options).await?)
}

fn process_name() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    let stem = std::path::Path::new(&path).file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

/// The configured name, or one of host, skill and a random tail.
fn worker_id(configured: &str, skill: &str) -> anyhow::Result<WorkerId> {
    if !configured.is_empty() {
        return WorkerId::new(configured).context("setting worker.id cannot be used");
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(20).collect();
    Ok(WorkerId::new(format!("{host}-{skill:.30}-{:04x}", fastrand::u16(..)))?)
}
