//! Many items in one task, beside one task for each.

use anyhow::ensure;
use futures_util::{StreamExt as _, stream};
use nova_client::{Bundling, Client};
use nova_types::{OutcomeKind, Skill};
use nova_wire::Payload;

use crate::bed::{Bed, NOOP, PATIENCE};
use crate::cases::noop::{self, body};
use crate::meter::{Cost, measure};
use crate::row::{Bound, Row};
use crate::sample::Rounds;

pub const NAME: &str = "bundle";
pub const ABOUT: &str = "items of 128 bytes that do nothing, many in one task, beside one plain task for each";
pub const NOTE: &str = "One worker with 256 slots and the submitter in processes of their own, 3 rounds in turn: 20,000 plain tasks with \
                        512 under way, and 100,000 items in bundles of 100 and of 10. Each item has a result of its own, which the \
                        submitter reads. CPU is per item.";

const TASKS: usize = 20_000;
const ITEMS: usize = 100_000;
const SLOTS: usize = 256;
const ROUNDS: usize = 3;
/// The size that the bound is for, and a small one.
const SIZES: [u32; 2] = [100, 10];

async fn bundled(client: Client, size: u32, items: usize) -> anyhow::Result<()> {
    let item = Payload::json(body());
    let items_of = stream::iter(std::iter::repeat_n(item.clone(), items));
    let how = Bundling::new(Skill::new(NOOP)?, size);
    let mut ends = std::pin::pin!(client.run_bundled(how, items_of, PATIENCE));
    let mut ended = 0;
    while let Some(end) = ends.next().await {
        let end = end?.end;
        ensure!(end.kind == OutcomeKind::Completed && end.body.bytes == item.bytes, "an item ended as {}", end.kind);
        ended += 1;
    }
    ensure!(ended == items, "{ended} of {items} items ended");
    Ok(())
}

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let worker = bed.worker(NOOP, "noop", SLOTS, std::time::Duration::ZERO).await?;
    noop::nova(bed.client.clone(), TASKS / 4).await?;
    for size in SIZES {
        bundled(bed.client.clone(), size, ITEMS / 4).await?;
    }
    let processes = [bed.server.pid(), worker.pid(), std::process::id()];
    let mut single = Rounds::default();
    let mut rates = SIZES.map(|_| Rounds::default());
    let mut cpu = [Rounds::default(), Rounds::default(), Rounds::default()];
    for _ in 0..ROUNDS {
        let cost: Cost<3> = measure(processes, noop::nova(bed.client.clone(), TASKS)).await?;
        single.push(cost.rate(TASKS));
        for (size, rate) in SIZES.into_iter().zip(&mut rates) {
            let cost: Cost<3> = measure(processes, bundled(bed.client.clone(), size, ITEMS)).await?;
            rate.push(cost.rate(ITEMS));
            if size == SIZES[0] {
                for (process, rounds) in cpu.iter_mut().enumerate() {
                    rounds.push(cost.cpu_us(process, ITEMS));
                }
            }
        }
    }
    let mut rows = vec![Row::of(NAME, "single", &single, "tasks/s")];
    for (size, rate) in SIZES.into_iter().zip(&rates) {
        rows.push(Row::of(NAME, format!("bundles of {size}"), rate, "items/s").over(&rate.over(&single)));
    }
    let ratio = rates[0].over(&single);
    rows.push(Row::ratio(NAME, "bundle/single", &ratio).within(Bound::AtLeast(5.0)));
    for (part, rounds) in ["broker", "worker", "submitter"].into_iter().zip(&cpu) {
        rows.push(Row::of(NAME, format!("bundles of {}: CPU of the {part}", SIZES[0]), rounds, "µs"));
    }
    Ok(rows)
}
