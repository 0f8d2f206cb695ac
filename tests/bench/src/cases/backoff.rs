//! A healthy task behind many that fail and wait for their next attempt.

use std::time::{Duration, Instant};

use anyhow::ensure;
use nova_testkit::wait_until;
use nova_types::{OutcomeKind, Priority};
use nova_wire::assets;

use crate::bed::{Bed, HELD, PATIENCE, held};
use crate::row::{Bound, Row};
use crate::sample::Times;
use crate::skill::Order;

pub const NAME: &str = "backoff";
pub const ABOUT: &str = "a healthy task of the same skill while 10,000 failed ones back off";
pub const NOTE: &str = "The 10,000 have failed once and wait, by schedules (60 s) or by delayed redelivery (20 s, below the 30 s at \
                        which schedules begin). Then 50 healthy tasks, one after the other, on the same priority. 64 slots.";

const FAILING: usize = 10_000;
const HEALTHY: usize = 50;
const SLOTS: usize = 64;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for pause in [Duration::from_secs(60), Duration::from_secs(20)] {
        rows.extend(with_pause(pause).await?);
    }
    Ok(rows)
}

async fn with_pause(pause: Duration) -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let _worker = bed.worker(HELD, "backoff", SLOTS, Duration::ZERO).await?;
    let failing = Order { hold_ms: 0, fail_for_ms: Some(u64::try_from(pause.as_millis())?) };
    let began = Instant::now();
    let answers = bed.client.submit_all((0..FAILING).map(|_| held(HELD, Priority::Normal, failing)), |_| {}).await;
    ensure!(answers.iter().all(Result::is_ok), "the failing tasks were not taken");
    wait_until("every failing task to have failed", PATIENCE, || async {
        let failed = bed.held(assets::ATTEMPTS).await.ok()?;
        let lane = bed.lane(HELD, Priority::Normal).await.ok()?;
        (failed >= FAILING as u64 && lane.pending == 0).then_some(())
    })
    .await;
    let failed = began.elapsed();
    ensure!(failed < pause, "the machine is too slow: the first came again before the last had failed");

    let mut times = Times::new();
    for _ in 0..HEALTHY {
        let began = Instant::now();
        let healthy = held(HELD, Priority::Normal, Order::default());
        let ended = bed.client.submit_and_wait(healthy, PATIENCE).await?;
        ensure!(
            ended.outcome.kind == OutcomeKind::Completed,
            "the healthy task ended as {}",
            ended.outcome.kind.as_str()
        );
        times.record(began.elapsed());
    }
    ensure!(began.elapsed() < pause, "the machine is too slow: the backoff ended before the measurement did");
    let name = |what: &str| format!("{} s: {what}", pause.as_secs());
    Ok(vec![
        Row::once(NAME, name("healthy task, p50"), times.quantile_ms(0.5), "ms"),
        Row::once(NAME, name("healthy task, slowest"), times.max_ms(), "ms").within(Bound::Below(1000.0)),
        Row::once(NAME, name("failing tasks, until all wait"), FAILING as f64 / failed.as_secs_f64(), "tasks/s"),
    ])
}
