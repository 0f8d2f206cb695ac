//! Urgent tasks under a backlog of others.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nova_client::Client;
use nova_testkit::wait_until;
use nova_types::Priority;
use tokio::task::JoinSet;

use crate::bed::{Bed, HELD, PATIENCE, held};
use crate::row::{Bound, Row};
use crate::sample::Times;
use crate::skill::Order;

pub const NAME: &str = "priority";
pub const ABOUT: &str = "high tasks under a backlog of 100,000 low ones; 8 slots, tasks of 1 ms";
pub const NOTE: &str = "Steady: 1,000 high tasks a second for 5 s, each timed from the moment it was due until its submitter is \
                        told. Flood: more high tasks than the slots can take, for 3 s. The share is what low tasks made up of all \
                        that were completed meanwhile. A task sleeps for 1 ms on a timer of that grain, so it takes 1 to 2.";

const BACKLOG: usize = 100_000;
const SLOTS: usize = 8;
const TASK: Order = Order { hold_ms: 1, fail_for_ms: None };
const RATE_PER_MS: u64 = 1;
const STEADY: Duration = Duration::from_secs(5);
const FLOOD: Duration = Duration::from_secs(3);
/// High tasks under way in the flood: many times the slots, so that high ones always wait.
const FLOOD_IN_FLIGHT: usize = 64;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let backlog = (0..BACKLOG).map(|_| held(HELD, Priority::Low, TASK));
    let answers = bed.client.submit_all(backlog, |_| {}).await;
    ensure!(answers.iter().all(Result::is_ok), "the backlog was not taken");
    let _worker = bed.worker(HELD, "priority", SLOTS, Duration::ZERO).await?;
    wait_until("the first low tasks to be done", PATIENCE, || async {
        (low_done(&bed).await.ok()? > 500).then_some(())
    })
    .await;

    let before = low_done(&bed).await?;
    let times = steady(&bed.client).await?;
    let low = low_done(&bed).await? - before;
    let steady_share = share(low, times.len());

    let before = low_done(&bed).await?;
    let high = flood(&bed.client).await?;
    let low_flood = low_done(&bed).await? - before;
    ensure!(bed.lane(HELD, Priority::Low).await?.pending > 0, "the backlog ended before the measurement did");

    let rate = |count: u64, time: Duration| count as f64 / time.as_secs_f64();
    Ok(vec![
        Row::once(NAME, "steady: high p50", times.quantile_ms(0.5), "ms"),
        Row::once(NAME, "steady: high p99", times.quantile_ms(0.99), "ms").within(Bound::Below(20.0)),
        Row::once(NAME, "steady: high max", times.max_ms(), "ms"),
        Row::once(NAME, "steady: high completed", rate(times.len(), STEADY), "tasks/s"),
        Row::once(NAME, "steady: low completed", rate(low, STEADY), "tasks/s"),
        Row::once(NAME, "steady: share of low", steady_share, "%").within(Bound::AtLeast(5.0)),
        Row::once(NAME, "flood: high completed", rate(high, FLOOD), "tasks/s"),
        Row::once(NAME, "flood: low completed", rate(low_flood, FLOOD), "tasks/s"),
        Row::once(NAME, "flood: share of low", share(low_flood, high), "%").within(Bound::AtLeast(5.0)),
    ])
}

fn share(low: u64, high: u64) -> f64 {
    low as f64 / (low + high) as f64 * 100.0
}

/// How many low tasks are done with.
async fn low_done(bed: &Bed) -> anyhow::Result<u64> {
    let lane = bed.lane(HELD, Priority::Low).await?;
    Ok(BACKLOG as u64 - lane.pending - lane.ack_pending)
}

/// Submits high tasks at a steady rate, whatever becomes of those before; a late submit counts as waiting.
async fn steady(client: &Client) -> anyhow::Result<Times> {
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    let ticks = u64::try_from(STEADY.as_millis())?;
    for _ in 0..ticks {
        let due = tick.tick().await;
        for _ in 0..RATE_PER_MS {
            let client = client.clone();
            under_way.spawn(async move {
                client.submit_and_wait(held(HELD, Priority::High, TASK), PATIENCE).await.map(|_| due.elapsed())
            });
        }
    }
    let mut times = Times::new();
    while let Some(ended) = under_way.join_next().await {
        times.record(ended??);
    }
    Ok(times)
}

/// Keeps more high tasks waiting than there are slots; says how many were completed.
async fn flood(client: &Client) -> anyhow::Result<u64> {
    let end = Instant::now() + FLOOD;
    let tasks = stream::repeat(()).take_while(|()| std::future::ready(Instant::now() < end));
    let done = tasks
        .map(|()| client.submit_and_wait(held(HELD, Priority::High, TASK), PATIENCE))
        .buffer_unordered(FLOOD_IN_FLIGHT)
        .try_fold(0, |count, _| std::future::ready(Ok(count + 1)));
    Ok(done.await?)
}
