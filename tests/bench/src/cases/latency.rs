//! How long a task takes while so many are asked for each second.

use std::time::Duration;

use crate::bed::{Bed, NOOP};
use crate::load::{self, body, open, task};
use crate::meter::measured;
use crate::mode::Mode;
use crate::row::Row;
use crate::sample::Rounds;
use crate::side::{Round, Side};

pub const NAME: &str = "latency";
pub const ABOUT: &str =
    "how long a whole task takes at fixed rates, from the moment it was due until its submitter is told";
pub const NOTE: &str = "Tasks of 128 bytes are started at a steady rate, whatever becomes of those before (open loop): a late start \
                        counts as waiting. Above 2,000 a second they come every 0.5 ms, several at once. One worker with 256 slots. \
                        3 rounds of 3 s for each rate, 10 s with FULL=1. A rate counts as reached when 95 % of what was due had \
                        completed when the last was; otherwise there is one round, and what was completed per second is told.";

const RATES: [u32; 5] = [100, 1_000, 5_000, 10_000, 20_000];
/// The same with more points on the way to the knee.
const FULL_RATES: [u32; 9] = [100, 300, 1_000, 2_500, 5_000, 7_500, 10_000, 15_000, 20_000];
const SLOTS: usize = 256;
const ROUNDS: usize = 3;

pub async fn run(mode: Mode) -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let worker = bed.worker(NOOP, "latency", SLOTS, Duration::ZERO).await?;
    let task = task(NOOP, &body(128));
    load::closed(bed.client.clone(), load::IN_FLIGHT, std::iter::repeat_n(task.clone(), 5_000)).await?;
    let time = Duration::from_secs(mode.pick(3, 10));
    let rates: &[u32] = mode.pick(&RATES, &FULL_RATES);
    let mut rows = Vec::new();
    for &rate in rates {
        let (mut p50, mut p99, mut side) = (Rounds::default(), Rounds::default(), Side::default());
        let mut completed = None;
        for _ in 0..ROUNDS {
            let (client, task) = (bed.client.clone(), task.clone());
            let (steady, cost) = measured(bed.parts([&worker]), open(client, task, rate, time)).await?;
            side.push(&Round { cost, count: usize::try_from(steady.offered)? });
            if !steady.is_reached() {
                completed = Some(steady.in_time as f64 / time.as_secs_f64());
                break;
            }
            p50.push(steady.times.quantile_ms(0.5));
            p99.push(steady.times.quantile_ms(0.99));
        }
        let name = crate::report::figure(f64::from(rate), "per second");
        if let Some(completed) = completed {
            let name = format!("{name}: not reached, completed");
            rows.push(Row::once(NAME, name, completed, "tasks/s").costing(side.cpu()));
            continue;
        }
        let x = f64::from(rate);
        rows.push(Row::of(NAME, format!("{name}: p50"), &p50, "ms").costing(side.cpu()).at("p50", x));
        rows.push(Row::of(NAME, format!("{name}: p99"), &p99, "ms").at("p99", x));
    }
    Ok(rows)
}
