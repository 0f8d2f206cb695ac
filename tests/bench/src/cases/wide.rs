//! A map of ten thousand items, beside as many plain tasks.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::{Bed, NOOP};
use crate::cases::noop;
use crate::row::{Bound, Row};
use crate::runs;
use crate::sample::Rounds;

pub const NAME: &str = "wide";
pub const ABOUT: &str = "one run with a map of 10,000 items that do nothing, beside 10,000 plain tasks";
pub const NOTE: &str = "One coordinator, one worker with 256 slots, rounds in turn. The run is timed from submit to outcome, its list, \
                        its intake and its result included; the tasks as in the case noop, 512 at once. The ratio is items per \
                        second to tasks per second.";

const ITEMS: usize = 10_000;
const ROUNDS: usize = 3;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let _worker = bed.worker(NOOP, "noop", 256, Duration::ZERO).await?;
    let _coordinator = runs::coordinator(&bed).await?;
    let definition = json!({"workflow": "wide", "steps": {
        "each": {"map": {"over": "input", "do": {"skill": NOOP, "input": {"item": "${item}"}}}}},
        "result": {"first": "${steps.each.result[0]}"}});
    runs::put(&bed, definition).await?;
    let items: Vec<usize> = (0..ITEMS).collect();
    runs::complete(&bed, "wide", json!(items[..1000])).await?;
    noop::nova(bed.client.clone(), ITEMS / 4).await?;

    let (mut wide, mut plain) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        runs::complete(&bed, "wide", json!(items)).await?;
        wide.push(ITEMS as f64 / began.elapsed().as_secs_f64());
        let began = Instant::now();
        noop::nova(bed.client.clone(), ITEMS).await?;
        plain.push(ITEMS as f64 / began.elapsed().as_secs_f64());
    }
    let ratio = wide.over(&plain);
    Ok(vec![
        Row::of(NAME, "items of a map", &wide, "items/s").over(&ratio),
        Row::of(NAME, "plain tasks", &plain, "tasks/s"),
        Row::once(NAME, "items to tasks", ratio.median(), "").within(Bound::AtLeast(0.5)),
    ])
}
