//! A hundred thousand runs that wait for a signal or a moment: what they cost while nothing happens.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nova_broker::{Expect, Message};
use nova_types::{TaskId, run_skill};
use nova_wire::{assets, subject};
use serde_json::json;

use crate::bed::{Bed, PATIENCE};
use crate::meter::{measure, rss_mib};
use crate::row::{Bound, Row};
use crate::runs;

pub const NAME: &str = "waiting";
pub const ABOUT: &str = "100,000 runs that wait, half for a signal and half for a moment a day away";
pub const NOTE: &str = "One coordinator. The runs are started as fast as they are taken, then left alone: memory and CPU (20 s, share of \
                        one core) of coordinator and broker, beside what both had before. Then the coordinator is killed, and a new \
                        one is timed from its start to the end of one of the runs, which was signalled meanwhile.";

const RUNS: usize = 100_000;
const AT_ONCE: usize = 512;
const WATCHED: Duration = Duration::from_secs(20);
/// How long runs may take to be started all.
const STARTED: Duration = Duration::from_secs(600);

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let mut coordinator = runs::coordinator(&bed).await?;
    let signal = json!({"workflow": "signal", "steps": {"s": {"wait": {"signal": "go"}}}});
    let moment = json!({"workflow": "moment", "steps": {"s": {"wait": {"for": "1d"}}}});
    runs::put(&bed, signal).await?;
    runs::put(&bed, moment).await?;
    let before = [rss_mib(coordinator.pid())?, rss_mib(bed.server.pid())?];

    let began = Instant::now();
    let all = stream::iter(0..RUNS).map(|n| {
        let workflow = if n % 2 == 0 { "signal" } else { "moment" };
        let id: TaskId = format!("b.w{n}").parse().expect("well formed");
        bed.client.submit(runs::run(workflow, json!(null)).with_id(id))
    });
    let mut all = all.buffer_unordered(AT_ONCE);
    while all.try_next().await?.is_some() {}
    drop(all);
    settled(&bed, began).await?;
    let rate = RUNS as f64 / began.elapsed().as_secs_f64();
    // What has become idle leaves memory within seconds.
    tokio::time::sleep(Duration::from_secs(10)).await;

    let cost = measure([coordinator.pid(), bed.server.pid()], async {
        tokio::time::sleep(WATCHED).await;
        Ok(())
    })
    .await?;
    let share = |at: usize| cost.cpu[at].as_secs_f64() / WATCHED.as_secs_f64() * 100.0;
    let after = [rss_mib(coordinator.pid())?, rss_mib(bed.server.pid())?];

    coordinator.kill9();
    let last: TaskId = format!("b.w{}", RUNS - 2).parse().expect("well formed");
    let order = Message::new(subject::order("signal", &last), r#"{"signal":"go"}"#);
    bed.broker.publish(order, Expect::Any).await.context("an order is taken while no coordinator lives")?;
    let began = Instant::now();
    let _next = runs::coordinator(&bed).await?;
    let ready = began.elapsed();
    bed.client.wait(&run_skill(), &last, PATIENCE).await?;
    let ended = began.elapsed();
    Ok(vec![
        Row::once(NAME, "runs started", rate, "runs/s"),
        Row::once(NAME, "coordinator: memory more", after[0] - before[0], "MiB").within(Bound::Below(100.0)),
        Row::once(NAME, "coordinator: CPU", share(0), "%").within(Bound::Below(2.0)),
        Row::once(NAME, "broker: memory more", after[1] - before[1], "MiB"),
        Row::once(NAME, "broker: CPU", share(1), "%"),
        Row::once(NAME, "restart to ready", ready.as_secs_f64(), "s").within(Bound::Below(5.0)),
        Row::once(NAME, "restart to the signalled run's end", ended.as_secs_f64(), "s").within(Bound::Below(5.0)),
    ])
}

/// Waits until every run has its history.
async fn settled(bed: &Bed, began: Instant) -> anyhow::Result<()> {
    loop {
        let lane = bed.lane(run_skill().as_str(), nova_types::Priority::Normal).await?;
        if lane.pending + lane.ack_pending == 0 && bed.held(assets::RUNS).await? >= RUNS as u64 {
            return Ok(());
        }
        anyhow::ensure!(began.elapsed() < STARTED, "the runs are not all started");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
