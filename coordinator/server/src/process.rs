//! The coordinator as a process: settings, connection, and all parts until a signal.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use nova_runtime::{CommonArgs, NatsConfig, Next, ProcessOptions, VERSION, run_main, start};
use nova_types::WorkerId;

use crate::parts::random_name;
use crate::{Coordinator, CoordinatorConfig, Parts};

/// The name of the process, as in logs and metrics.
const NAME: &str = "nova-coordinator";

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
    let options = ProcessOptions { name: NAME.to_owned(), version: VERSION.to_owned() };
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
    let Some(broker) = started.connect(&nats, inbox).await? else { return Ok(ExitCode::SUCCESS) };
    let parts = Parts {
        broker,
        clock: started.clock.clone(),
        metrics: started.metrics.clone(),
        health: started.health.clone(),
        name,
    };
    Coordinator::new(parts, config).run(&started.shutdown).await?;
    Ok(ExitCode::SUCCESS)
}
