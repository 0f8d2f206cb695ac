//! What the size of a payload costs.

use std::time::Duration;

use crate::bed::{Bed, NOOP};
use crate::load::{body, closed, task};
use crate::meter::measure;
use crate::row::Row;
use crate::side::{Round, Side, in_turn};

pub const NAME: &str = "sizes";
pub const ABOUT: &str = "whole tasks with payloads of 128 B, 1 KiB, 64 KiB and 1 MiB";
pub const NOTE: &str = "The result is as large as the input, so each payload is written and read twice; above 256 KiB both go through \
                        the object store. One worker with 256 slots, in turn, 3 rounds. Under way are 512, 512, 64 and 8 tasks.";

struct Size {
    name: &'static str,
    bytes: usize,
    tasks: usize,
    in_flight: usize,
}

/// Fewer of the large ones: a round takes about two seconds, and what it leaves behind fits the broker's streams.
const SIZES: [Size; 4] = [
    Size { name: "128 B", bytes: 128, tasks: 15_000, in_flight: 512 },
    Size { name: "1 KiB", bytes: 1 << 10, tasks: 15_000, in_flight: 512 },
    Size { name: "64 KiB", bytes: 64 << 10, tasks: 1_200, in_flight: 64 },
    Size { name: "1 MiB", bytes: 1 << 20, tasks: 60, in_flight: 8 },
];
const SLOTS: usize = 256;
const ROUNDS: usize = 3;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let worker = bed.worker(NOOP, "sizes", SLOTS, Duration::ZERO).await?;
    let tasks = SIZES.each_ref().map(|size| task(NOOP, &body(size.bytes)));
    for (size, task) in SIZES.iter().zip(&tasks) {
        closed(bed.client.clone(), size.in_flight, std::iter::repeat_n(task.clone(), size.tasks / 5)).await?;
    }
    let sides: [Side; SIZES.len()] = in_turn(ROUNDS, async |at| {
        let Size { tasks: count, in_flight, .. } = SIZES[at];
        let work = closed(bed.client.clone(), in_flight, std::iter::repeat_n(tasks[at].clone(), count));
        let cost = measure(bed.parts([&worker]), work).await?;
        bed.empty(NOOP).await?;
        Ok(Round { cost, count })
    })
    .await?;
    let row = |(size, side): (&Size, &Side)| side.row(NAME, size.name, "tasks/s").at("tasks/s", size.bytes as f64);
    Ok(SIZES.iter().zip(&sides).map(row).collect())
}
