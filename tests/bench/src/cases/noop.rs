//! The whole of a task that does nothing, beside the same guarantees written by hand.

use std::time::{Duration, Instant};

use nova_client::{Client, Submit};

use crate::bed::{Bed, NOOP, RAW, STOCK};
use crate::load::{self, IN_FLIGHT};
use crate::meter::{Cost, measure, measured_here};
use crate::row::{Bound, Row};
use crate::sample::{Rounds, Times};
use crate::yardstick::{Kind, Yardstick};

pub const NAME: &str = "noop";
pub const ABOUT: &str =
    "a whole task that does nothing: submit, pull, outcome under compare-and-set, ack, submitter told";
pub const NOTE: &str = "512 tasks of 128 bytes under way, 256 slots, worker and submitter in processes of their own, 5 rounds of \
                        20,000 tasks, in turn. Raw is the same sequence of messages written by hand on the client library, with \
                        receipts on a fixed inbox of its own and everything pipelined in one loop; stock makes the calls that \
                        the library offers. Both are without priorities, leases, cancels, retries, limits and metrics. Ratios \
                        are taken round by round. CPU is per task.";

const TASKS: usize = 20_000;
const SLOTS: usize = 256;
const ROUNDS: usize = 5;
/// Tasks one by one, for the time of a single one.
const SINGLE: usize = 400;

/// A task for Nova's worker, of 128 bytes, as in other figures of NATS.
pub fn task() -> Submit {
    load::task(NOOP, &load::body(128))
}

pub async fn one(client: &Client) -> anyhow::Result<()> {
    load::whole(client, task()).await
}

pub async fn nova(client: Client, tasks: usize) -> anyhow::Result<()> {
    load::closed(client, IN_FLIGHT, std::iter::repeat_n(task(), tasks)).await
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

    fn rows(&self, who: &str) -> Vec<Row> {
        let mut rows = vec![Row::of(NAME, who, &self.rate, "tasks/s")];
        for (process, part) in ["broker", "worker", "submitter"].into_iter().enumerate() {
            rows.push(Row::of(NAME, format!("{who}: CPU of the {part}"), &self.cpu[process], "µs"));
        }
        rows
    }
}

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let worker = bed.worker(NOOP, "noop", SLOTS, Duration::ZERO).await?;
    let mut raw = Yardstick::start(&bed, Kind::Raw, RAW, SLOTS).await?;
    let mut stock = Yardstick::start(&bed, Kind::Stock, STOCK, SLOTS).await?;
    // Warm all sides: connections, caches, the allocator.
    nova(bed.client.clone(), TASKS / 4).await?;
    raw.wait(TASKS / 4, IN_FLIGHT).await?;
    stock.wait(TASKS / 4, IN_FLIGHT).await?;

    let (mut p50, mut p99) = (Rounds::default(), Rounds::default());
    let (mut raw_p50, mut raw_p99) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let mut round = Times::new();
        for _ in 0..SINGLE {
            let began = Instant::now();
            one(&bed.client).await?;
            round.record(began.elapsed());
        }
        let told = raw.wait(SINGLE, 1).await?;
        p50.push(round.quantile_ms(0.5));
        p99.push(round.quantile_ms(0.99));
        raw_p50.push(told.p50_ms);
        raw_p99.push(told.p99_ms);
    }

    let [mut ours, mut by_hand, mut by_calls] = [Side::default(), Side::default(), Side::default()];
    for round in 0..ROUNDS {
        // In turn, and another one begins: what the machine does meanwhile hits all.
        for side in (0..3).map(|side| (side + round) % 3) {
            match side {
                0 => {
                    let processes = [bed.server.pid(), worker.pid(), std::process::id()];
                    ours.push(&measure(processes, nova(bed.client.clone(), TASKS)).await?);
                }
                1 => {
                    let processes = [bed.server.pid(), raw.worker_pid(), raw.submitter_pid()];
                    by_hand.push(&measured_here(processes, raw.wait(TASKS, IN_FLIGHT)).await?.1);
                }
                _ => {
                    let processes = [bed.server.pid(), stock.worker_pid(), stock.submitter_pid()];
                    by_calls.push(&measured_here(processes, stock.wait(TASKS, IN_FLIGHT)).await?.1);
                }
            }
        }
    }
    let mut rows = vec![
        Row::ratio(NAME, "noop/raw", &ours.rate.over(&by_hand.rate)).within(Bound::AtLeast(0.85)),
        Row::ratio(NAME, "noop/stock", &ours.rate.over(&by_calls.rate)).within(Bound::AtLeast(1.3)),
        Row::ratio(NAME, "noop/raw: p50, one at a time", &p50.over(&raw_p50)).within(Bound::Below(1.3)),
        Row::ratio(NAME, "noop/raw: p99, one at a time", &p99.over(&raw_p99)).within(Bound::Below(2.0)),
    ];
    for (who, side) in [("nova", &ours), ("raw", &by_hand), ("stock", &by_calls)] {
        rows.extend(side.rows(who));
    }
    for (name, rounds) in [
        ("nova: one at a time, p50", &p50),
        ("nova: one at a time, p99", &p99),
        ("raw: one at a time, p50", &raw_p50),
        ("raw: one at a time, p99", &raw_p99),
    ] {
        rows.push(Row::of(NAME, name, rounds, "ms"));
    }
    Ok(rows)
}
