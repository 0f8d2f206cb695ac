//! The whole of a task that does nothing, beside the same guarantees written by hand.

use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nova_client::{Client, Submit};
use nova_types::{OutcomeKind, Skill};
use nova_wire::Payload;

use crate::bed::{Bed, NOOP, PATIENCE, RAW};
use crate::meter::{Cost, measure};
use crate::raw::Submitter;
use crate::row::Row;
use crate::sample::{Rounds, Times};

pub const NAME: &str = "noop";
pub const ABOUT: &str =
    "a whole task that does nothing: submit, pull, outcome under compare-and-set, ack, submitter told";
pub const NOTE: &str = "512 tasks of 128 bytes under way, 256 slots, worker and submitter in processes of their own, 5 rounds of \
                        20,000 tasks, Nova and raw in turn. Raw is the same sequence of messages written by hand on the broker \
                        port's publish, pull, settle and listen, without priorities, leases, cancels, retries, limits and \
                        metrics. The ratio is Nova to raw, round by round. CPU is per task.";

const TASKS: usize = 20_000;
/// Enough to keep every part busy, few enough for the dedupe and ack windows of any installation.
const IN_FLIGHT: usize = 512;
const SLOTS: usize = 256;
const ROUNDS: usize = 5;
/// Tasks one by one, for the time of a single one.
const SINGLE: usize = 1_000;

/// 128 bytes, as in other figures of NATS.
pub fn body() -> Bytes {
    Bytes::from(format!("{{\"text\":\"{}\"}}", "x".repeat(128 - 11)))
}

/// A task for Nova's worker.
pub fn task() -> Submit {
    Submit::new(Skill::new(NOOP).expect("well formed"), Payload::json(body()))
}

pub async fn one(client: Client) -> anyhow::Result<()> {
    let ended = client.submit_and_wait(task(), PATIENCE).await?;
    ensure!(ended.outcome.kind == OutcomeKind::Completed, "a task ended as {}", ended.outcome.kind.as_str());
    Ok(())
}

pub async fn nova(client: Client, tasks: usize) -> anyhow::Result<()> {
    let all = stream::iter(0..tasks).map(|_| one(client.clone())).buffer_unordered(IN_FLIGHT);
    all.try_for_each(|()| std::future::ready(Ok(()))).await
}

async fn raw(submitter: std::sync::Arc<Submitter>, tasks: usize) -> anyhow::Result<()> {
    let all = stream::iter(0..tasks).map(|_| submitter.submit_and_wait(body())).buffer_unordered(IN_FLIGHT);
    all.try_for_each(|_| std::future::ready(Ok(()))).await
}

/// The figures of one side: rate, and CPU per task of broker, worker and submitter.
#[derive(Default)]
struct Side {
    rate: Rounds,
    cpu: [Rounds; 3],
}

impl Side {
    fn push(&mut self, cost: &Cost<3>) {
        self.rate.push(cost.rate(TASKS));
        for (process, rounds) in self.cpu.iter_mut().enumerate() {
            rounds.push(cost.cpu_us(process, TASKS));
        }
    }

    fn rows(&self, who: &str, other: Option<&Self>) -> Vec<Row> {
        let row = |name: String, rounds: &Rounds, other: Option<&Rounds>, unit| {
            let row = Row::of(NAME, name, rounds, unit);
            other.map_or(row.clone(), |other| row.over(&rounds.over(other)))
        };
        let mut rows = vec![row(who.to_owned(), &self.rate, other.map(|other| &other.rate), "tasks/s")];
        for (process, part) in ["broker", "worker", "submitter"].into_iter().enumerate() {
            let theirs = other.map(|other| &other.cpu[process]);
            rows.push(row(format!("{who}: CPU of the {part}"), &self.cpu[process], theirs, "µs"));
        }
        rows
    }
}

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let worker = bed.worker(NOOP, "noop", SLOTS, Duration::ZERO).await?;
    let hand = bed.raw_worker(SLOTS).await?;
    let submitter = Submitter::start(&bed.broker, RAW).await?;
    // Warm both sides: connections, caches, the allocator.
    nova(bed.client.clone(), TASKS / 4).await?;
    raw(submitter.clone(), TASKS / 4).await?;

    let mut times = [Times::new(), Times::new()];
    for _ in 0..SINGLE {
        let began = Instant::now();
        one(bed.client.clone()).await?;
        times[0].record(began.elapsed());
        let began = Instant::now();
        submitter.submit_and_wait(body()).await?;
        times[1].record(began.elapsed());
    }

    let own = std::process::id();
    let (mut ours, mut theirs) = (Side::default(), Side::default());
    for round in 0..ROUNDS {
        // In turn, and the first one changes: what the machine does meanwhile hits both.
        for nova_now in [round % 2 == 0, round % 2 == 1] {
            if nova_now {
                let processes = [bed.server.pid(), worker.pid(), own];
                ours.push(&measure(processes, nova(bed.client.clone(), TASKS)).await?);
            } else {
                let processes = [bed.server.pid(), hand.pid(), own];
                theirs.push(&measure(processes, raw(submitter.clone(), TASKS)).await?);
            }
        }
    }
    let mut rows = ours.rows("nova", Some(&theirs));
    rows.extend(theirs.rows("raw", None));
    for (who, times) in ["nova", "raw"].into_iter().zip(&times) {
        rows.push(Row::once(NAME, format!("{who}: one at a time, p50"), times.quantile_ms(0.5), "ms"));
        rows.push(Row::once(NAME, format!("{who}: one at a time, p99"), times.quantile_ms(0.99), "ms"));
    }
    Ok(rows)
}
