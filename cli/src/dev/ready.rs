//! Waits until each part of a fleet can be used: seen from outside, as any client would see it.

use std::path::Path;
use std::time::Duration;

use nova_broker::{BrokerRef, Message};
use nova_client::Client;
use tokio::time::Instant;

use super::unit::Unit;
use crate::exit::Exit;
use crate::failure::Failure;

/// How long any part may take; a busy machine with a large store needs seconds, never this.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// A worker that died so often before it was ready will not get ready.
const HOPELESS: u32 = 3;
/// NATS' own discovery, answered by a coordinator that takes requests.
const COORDINATORS: &str = "$SRV.PING.nova-coordinator";

/// Waits for the server to say its port.
///
/// # Errors
/// When it ends, or says nothing in time.
pub(super) async fn server(unit: &Unit, ports: &Path, asked: u16) -> Result<u16, Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        let state = unit.state();
        if let Some(port) = state.pid.and_then(|pid| port_of(ports, pid)) {
            return Ok(port);
        }
        if state.deaths > 0 {
            let tail = unit.tail();
            if asked != 0 && tail.iter().any(|line| line.contains("address already in use")) {
                return Err(super::nats::port_taken(asked, "something else listens there"));
            }
            return Err(ended("server_failed", unit, &tail));
        }
        pause(until, "nats-server").await?;
    }
}

/// Reads `nats-server_<pid>.ports`; a file that is still being written does not parse and is read again.
fn port_of(ports: &Path, pid: u32) -> Option<u16> {
    let text = std::fs::read(ports.join(format!("nats-server_{pid}.ports"))).ok()?;
    let told: serde_json::Value = serde_json::from_slice(&text).ok()?;
    told.get("nats")?.get(0)?.as_str()?.rsplit(':').next()?.parse().ok()
}

/// Waits until every worker is present as the process that was started, and a coordinator answers: one can do it all.
///
/// # Errors
/// When one of them keeps dying, or does not come in time.
pub(super) async fn all(
    client: &Client,
    coordinators: &[Unit],
    workers: &[&Unit],
    told: &(dyn Fn(&str) + Sync),
) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        let rows = client.workers().await?;
        // A name alone says nothing: the word of an earlier process of that name may not have run out yet.
        let is_present = |unit: &Unit| {
            let state = unit.state();
            rows.iter().any(|row| row.worker.as_str() == unit.name() && Some(row.pid) == state.pid)
        };
        let missing: Vec<&str> = workers.iter().filter(|unit| !is_present(unit)).map(|unit| unit.name()).collect();
        if missing.is_empty() {
            break;
        }
        told(&format!("waiting for {}", missing.join(", ")));
        give_up_on(workers.iter().copied().chain(coordinators))?;
        pause(until, &missing.join(", ")).await?;
    }
    told("waiting for the coordinator");
    while !answers(client.broker()).await {
        give_up_on(coordinators.iter())?;
        pause(until, "the coordinator").await?;
    }
    Ok(())
}

async fn answers(broker: &BrokerRef) -> bool {
    broker.ask(Message::new(COORDINATORS, ""), Duration::from_secs(1)).await.is_ok()
}

fn give_up_on<'a>(mut units: impl Iterator<Item = &'a Unit>) -> Result<(), Failure> {
    match units.find(|unit| unit.state().deaths >= HOPELESS) {
        Some(unit) => Err(ended("process_failed", unit, &unit.tail())),
        None => Ok(()),
    }
}

fn ended(code: &str, unit: &Unit, tail: &[String]) -> Failure {
    let said = if tail.is_empty() { String::new() } else { format!("; it said:\n    {}", tail.join("\n    ")) };
    Failure::new(Exit::FAILURE, code, format!("{} does not stay up{said}", unit.name()))
}

async fn pause(until: Instant, what: &str) -> Result<(), Failure> {
    if Instant::now() >= until {
        let message = format!("waited {} s for {what}", PATIENCE.as_secs());
        return Err(Failure::new(Exit::TIMED_OUT, "not_ready", message).help("the log of the fleet says more"));
    }
    tokio::time::sleep(LOOK).await;
    Ok(())
}
