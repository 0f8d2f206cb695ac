//! What a fleet costs that has nothing to do.

use std::process::Command;
use std::time::Duration;

use nova_testkit::Process;

use crate::bed::{Bed, program};
use crate::meter::{measure, rss_mib};
use crate::mode::Mode;
use crate::row::{Bound, Row};

pub const NAME: &str = "idle-fleet";
pub const ABOUT: &str = "50 worker processes with nothing to do: CPU in all, the broker's included";
pub const NOTE: &str = "50 times `nova-echo`, all present; after 5 s they are watched for 20 s, 60 s with FULL=1. CPU is the share of one \
                        core, summed over all processes. Memory is resident memory, shared pages counted once for each process.";

const WORKERS: usize = 50;
const SETTLE: Duration = Duration::from_secs(5);

pub async fn run(mode: Mode) -> anyhow::Result<Vec<Row>> {
    let time = Duration::from_secs(mode.pick(20, 60));
    let bed = Bed::start().await?;
    let names: Vec<String> = (0..WORKERS).map(|n| format!("idle-{n}")).collect();
    let mut workers = Vec::new();
    for id in &names {
        let mut command = Command::new(program("nova-echo")?);
        command.env("NOVA__NATS__URL", bed.server.url()).env("NOVA__WORKER__ID", id);
        workers.push(Process::spawn(id, command));
    }
    for id in &names {
        bed.present(id).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let cost = measure(bed.parts(&workers), async move {
        tokio::time::sleep(time).await;
        Ok(())
    })
    .await?;
    let share = |at: usize| cost.cpu[at].as_secs_f64() / time.as_secs_f64() * 100.0;
    let mut memory = 0.0;
    for worker in &workers {
        memory += rss_mib(worker.pid())?;
    }
    Ok(vec![
        Row::once(NAME, "CPU in all", share(0) + share(1), "%").within(Bound::Below(3.0)),
        Row::once(NAME, "CPU of the broker", share(0), "%"),
        Row::once(NAME, "CPU of the workers", share(1), "%"),
        Row::once(NAME, "memory of a worker", memory / WORKERS as f64, "MiB"),
        Row::once(NAME, "memory of the broker", rss_mib(bed.server.pid())?, "MiB"),
    ])
}
