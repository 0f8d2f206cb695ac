//! The coordinator as a process: settings, connection, and all parts until a signal.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use std::time::Duration;

use nova_broker::BrokerError;
use nova_broker::jetstream::{self, JetStream};
use nova_runtime::{CommonArgs, Metric, Next, ProcessOptions, Started, State, VERSION, run_main, start};
use nova_types::WorkerId;

use crate::parts::random_name;
use crate::{Coordinator, CoordinatorConfig, NatsConfig, Parts};

/// The name of the process, as in logs and metrics.
const NAME: &str = "nova-coordinator";

/// The first pause before a broker that is not up is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Coordinates a Nova fleet: calls, schedules, cancels, sweeps and trims. Any number may run at once.
#[derive(Debug, Parser)]
#[command(name = NAME, version = VERSION)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
}

/// Runs the process to its end.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    run_main(run(args))
}

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let options =
        ProcessOptions { name: NAME.to_owned(), version: VERSION.to_owned(), quiet: nova_broker::LIBRARY_LOG_TARGETS };
    let started = start(options, &args.common).await?;
    let config: CoordinatorConfig = started.settings.section_with_defaults("coordinator")?;
    let nats: NatsConfig = started.settings.section_with_defaults("nats")?;
    if started.settle()? == Next::Stop {
        return Ok(ExitCode::SUCCESS);
    }
    let name = match &*config.id {
        "" => random_name(),
        id => WorkerId::new(id).context("setting coordinator.id")?,
    };
    // Permissions name the inbox after the user; without one it is called after the process.
    let inbox = if nats.user.is_empty() { name.as_str() } else { &nats.user };
    let mut options = nats.options(inbox).context("could not use the section [nats]")?;
    let metrics = started.metrics.clone();
    options.on_complaint = Some(Arc::new(move |words: &str| {
        if words.to_ascii_lowercase().contains("permissions violation") {
            metrics.inc(Metric::PermissionViolations, &[]);
        }
    }));
    let Some(broker) = connect(&started, options).await? else { return Ok(ExitCode::SUCCESS) };
    let parts = Parts {
        broker: Arc::new(broker),
        clock: started.clock.clone(),
        metrics: started.metrics.clone(),
        health: started.health.clone(),
        name,
    };
    Coordinator::new(parts, config).run(&started.shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// Connects, for as long as it takes: a coordinator may be up before its broker is. `None` when it was told to stop.
async fn connect(started: &Started, options: jetstream::Options) -> Result<Option<JetStream>, BrokerError> {
    let stop = started.shutdown.token();
    let mut pause = FIRST_PAUSE;
    loop {
        let error = tokio::select! {
            connected = jetstream::connect(options.clone()) => match connected {
                Ok(broker) => return Ok(Some(broker)),
                Err(error) if !error.is_transient() => return Err(error),
                Err(error) => error,
            },
            () = stop.cancelled() => return Ok(None),
        };
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot reach the broker yet");
        started.health.set("broker", State::Down(error.to_string()));
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = stop.cancelled() => return Ok(None),
        }
    }
}
