//! How fast a queue that was filled before runs empty.

use std::time::Duration;

use crate::bed::{Bed, NOOP};
use crate::load::{body, drain, fill, hold, release, task};
use crate::meter::measured;
use crate::row::Row;
use crate::side::{Round, Side};

pub const NAME: &str = "burn-down";
pub const ABOUT: &str = "a queue of 30,000 waiting tasks worked off, nobody waiting for them";
pub const NOTE: &str = "Tasks of 128 bytes that do nothing; one worker with 256 slots and one with 16 (the default). The queue is held \
                        while it is filled, and timed from its first tasks until nothing waits and every ack has arrived. 3 rounds.";

const TASKS: usize = 30_000;
const ROUNDS: usize = 3;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for slots in [256, 16] {
        let bed = Bed::start().await?;
        let worker = bed.worker(NOOP, "burn-down", slots, Duration::ZERO).await?;
        let task = task(NOOP, &body(128));
        let mut side = Side::default();
        for _ in 0..ROUNDS {
            hold(&bed.client, NOOP).await?;
            fill(&bed.client, std::iter::repeat_n(task.clone(), TASKS)).await?;
            let count = usize::try_from(release(&bed.client, NOOP).await?)?;
            let (_, cost) = measured(bed.parts([&worker]), drain(bed.client.clone(), NOOP.to_owned(), 0)).await?;
            side.push(&Round { cost, count });
        }
        rows.push(side.row(NAME, format!("one worker, {slots} slots"), "tasks/s"));
    }
    Ok(rows)
}
