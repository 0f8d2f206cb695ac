//! What a worker costs that has nothing to do.

use std::process::Command;
use std::time::Duration;

use nova_provision::Catalogue;
use nova_testkit::Process;

use crate::bed::{Bed, program};
use crate::meter::{measure, rss_mib};
use crate::row::{Bound, Row};

pub const NAME: &str = "idle";
pub const ABOUT: &str = "each built-in worker as a process with nothing to do, all on one server, for 10 s";
pub const NOTE: &str = "Memory is resident memory, shared pages of libraries and of the program's own file included. CPU is the \
                        share of one core over the 10 s. The broker's line is its work for all of them together.";

/// How long they are left alone before it counts: caches fill and starts settle.
const SETTLE: Duration = Duration::from_secs(3);
const WATCHED: Duration = Duration::from_secs(10);

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let mut workers: Vec<(String, Process)> = Vec::new();
    for skill in Catalogue::built_in().skills() {
        let id = format!("idle-{skill}");
        let mut command = Command::new(program(&format!("nova-{skill}"))?);
        command.env("NOVA__NATS__URL", bed.server.url()).env("NOVA__WORKER__ID", &id);
        workers.push((skill.to_string(), Process::spawn(&id, command)));
        bed.present(&id).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let watched = async |pid: u32| {
        let cost = measure([pid], async {
            tokio::time::sleep(WATCHED).await;
            Ok(())
        });
        anyhow::Ok(cost.await?.cpu[0].as_secs_f64() / WATCHED.as_secs_f64() * 100.0)
    };
    let pids = workers.iter().map(|(_, process)| process.pid()).chain([bed.server.pid()]);
    let mut shares = futures_util::future::try_join_all(pids.map(&watched)).await?;
    let broker = shares.pop().unwrap_or_default();
    let mut rows = Vec::new();
    for ((skill, process), share) in workers.iter().zip(shares) {
        let memory = rss_mib(process.pid())?;
        rows.push(Row::once(NAME, format!("{skill}: memory"), memory, "MiB").within(Bound::Below(20.0)));
        rows.push(Row::once(NAME, format!("{skill}: CPU"), share, "%").within(Bound::Below(0.5)));
    }
    rows.push(Row::once(NAME, "broker: memory", rss_mib(bed.server.pid())?, "MiB"));
    rows.push(Row::once(NAME, "broker: CPU", broker, "%"));
    Ok(rows)
}
